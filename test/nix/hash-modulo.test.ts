import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HashModulo } from "../../src/nix/hash-modulo.ts";
import { formatNarHash } from "../../src/nix/hash.ts";
import { demoNarInfos, readDemoNar } from "./demo-cache.ts";
import { cut } from "./nar-recorder.ts";

const hashPart = "4vlwxs24hwlvm23q063xvdmkzvlxjw1s";

/** The definition, on the whole of the bytes at once. */
function reference(bytes: Buffer): string {
  const zeroed = Buffer.from(bytes);
  const positions: number[] = [];
  for (let at = zeroed.indexOf(hashPart); at >= 0; at = zeroed.indexOf(hashPart, at)) {
    positions.push(at);
    zeroed.fill(0, at, at + 32);
  }
  return createHash("sha256")
    .update(zeroed)
    .update(positions.map((position) => `|${position}`).join(""))
    .digest("hex");
}

function modulo(chunks: readonly Uint8Array[]): string | undefined {
  const hash = new HashModulo("sha256", hashPart);
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest()?.toString("hex");
}

describe("HashModulo", () => {
  it("gives the content address that Nix gave a path with references to itself", () => {
    // nix store make-content-addressed on the demo cache's glibc made /nix/store/svj6...-glibc-2.36 of it.
    const info = demoNarInfos().find(({ storePath }) =>
      storePath.includes("ra4afjxdcbsb5s1k7k8phm8wk7f2z9lj"),
    );
    const made = "svj6sqqk4k34rwv3vavha0g27i9xp7sc";
    const nar = readDemoNar(info!);
    let rewritten = 0;
    for (let at = nar.indexOf("ra4afjxdcbsb5s1k7k8phm8wk7f2z9lj"); at >= 0; rewritten++) {
      nar.write(made, at, "latin1");
      at = nar.indexOf("ra4afjxdcbsb5s1k7k8phm8wk7f2z9lj", at);
    }
    const hash = new HashModulo("sha256", made);
    for (const chunk of cut(nar, [10_000])) hash.update(chunk);
    expect(rewritten).toBeGreaterThan(0);
    expect(formatNarHash(hash.digest()!)).toBe("sha256:11w5hbw0rwclv6915v6na5232vnwfmdi7mj29rg021n3d45hlflf");
  });

  it("is the plain hash where the hash part does not occur", () => {
    const bytes = Buffer.from("nothing of the kind");
    expect(modulo([bytes])).toBe(createHash("sha256").update(bytes).digest("hex"));
  });

  it("tells a self-reference from zeros in its place", () => {
    const referring = Buffer.from(`/nix/store/${hashPart}-x`);
    const zeros = Buffer.from(`/nix/store/${"\0".repeat(32)}-x`);
    expect(modulo([referring])).not.toBe(modulo([zeros]));
  });

  it("does not depend on where the bytes are cut", () => {
    const piece = fc.oneof(
      fc.constant(Buffer.from(hashPart)),
      fc.constant(Buffer.from(hashPart.slice(0, 20))),
      fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 8 }),
        (pieces, cuts) => {
          const bytes = Buffer.concat(pieces);
          expect(modulo([...cut(bytes, cuts)])).toBe(reference(bytes));
        },
      ),
    );
  });
});
