import { describe, expect, it, test } from "vitest";
import { parseNarInfo, type NarInfo } from "../../src/nix/narinfo.ts";
import { findTrustedKey, parsePublicKey, parseSignature, type PublicKey } from "../../src/nix/signature.ts";
import { parseStorePath } from "../../src/nix/store-path.ts";
import { parseSha256 } from "../../src/nix/hash.ts";
import { failureOf } from "./failure.ts";
import { createSigner, formatNarInfo } from "./signer.ts";

const signer = createSigner("test-1");
const key = parsePublicKey(signer.publicKey);
const signed = {
  storePath: parseStorePath("/nix/store/268agsvglk9kqv0gxyyminx42gs2n9yp-attr-2.5.1-4"),
  narHash: parseSha256("sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq"),
  narSize: 31976,
  references: [
    parseStorePath("/nix/store/4p9f6482za2nbxkilsbpdjshc2npmkvf-glibc-2.36-9+deb12u14"),
    parseStorePath("/nix/store/cigi1lmws9lvsv0pn0f8s00cn1l9b1j0-bash-5.2.15-2+b13"),
  ],
};

function narInfo(...signatures: readonly string[]): NarInfo {
  return parseNarInfo(Buffer.from(formatNarInfo({ ...signed, signatures })));
}

function flipBit(bytes: Uint8Array, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
}

describe("a signature", () => {
  it("by a trusted key is found", () => {
    expect(findTrustedKey(narInfo(signer.sign(signed)), [key])).toBe(key);
  });

  it("by the second of two keys of one name is found", () => {
    const old = parsePublicKey(createSigner("test-1", "old").publicKey);
    expect(findTrustedKey(narInfo(signer.sign(signed)), [old, key])).toBe(key);
    expect(findTrustedKey(narInfo(signer.sign(signed)), [old])).toBeUndefined();
  });

  it("under another name than the key's does not count", () => {
    const renamed = signer.sign(signed).replace("test-1", "test-2");
    expect(findTrustedKey(narInfo(renamed), [key])).toBeUndefined();
  });

  it("counts beside wrong, foreign and malformed ones", () => {
    const wrong = createSigner("test-1", "wrong").sign(signed);
    const foreign = createSigner("other-1").sign(signed);
    const info = narInfo("nonsense", wrong, foreign, "test-1:AAAA", signer.sign(signed));
    expect(findTrustedKey(info, [key])).toBe(key);
  });

  it("is looked for in the first 64 of the name alone, so that a hostile narinfo cannot cost much", () => {
    const wrong = `test-1:${Buffer.alloc(64).toString("base64")}`;
    const others = Array.from({ length: 500 }, (_, index) => wrong.replace("test-1", `other-${index}`));
    const right = signer.sign(signed);
    const repeat = (count: number): string[] => Array.from({ length: count }, () => wrong);
    expect(findTrustedKey(narInfo(...others, ...repeat(63), right), [key])).toBe(key);
    expect(findTrustedKey(narInfo(...repeat(64), right), [key])).toBeUndefined();
  });

  it("is not found without signatures or without keys", () => {
    expect(findTrustedKey(narInfo(), [key])).toBeUndefined();
    expect(findTrustedKey(narInfo(signer.sign(signed)), [])).toBeUndefined();
  });

  test.each<[string, Partial<NarInfo>]>([
    ["store path", { storePath: parseStorePath("/nix/store/268agsvglk9kqv0gxyyminx42gs2n9yp-attr-2.5.1-5") }],
    ["NarHash", { narHash: parseSha256(`sha256:${"0".repeat(64)}`) }],
    ["NarSize", { narSize: 31977 }],
    ["a reference that is left out", { references: signed.references.slice(1) }],
    ["a reference that is added", { references: [...signed.references, signed.storePath] }],
  ])("covers the %s", (_, change) => {
    expect(findTrustedKey({ ...narInfo(signer.sign(signed)), ...change }, [key])).toBeUndefined();
  });

  it("does not depend on the order of references, nor on the spelling of NarHash", () => {
    const text = formatNarInfo({
      ...signed,
      narHash: "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
      references: [...signed.references].toReversed(),
      signatures: [signer.sign(signed)],
    });
    expect(findTrustedKey(parseNarInfo(Buffer.from(text)), [key])).toBe(key);
  });

  it("does not cover URL, Compression, FileHash, Deriver and CA", () => {
    const info: NarInfo = {
      ...narInfo(signer.sign(signed)),
      url: "elsewhere",
      compression: "xz",
      deriver: "x",
    };
    expect(findTrustedKey(info, [key])).toBe(key);
  });

  it("fails with any bit of it flipped", () => {
    const info = narInfo(signer.sign(signed));
    const { bytes } = parseSignature(signer.sign(signed))!;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const signatures = [{ keyName: "test-1", bytes: flipBit(bytes, bit) }];
      expect(findTrustedKey({ ...info, signatures }, [key])).toBeUndefined();
    }
  });

  it("fails with any bit of the key flipped", () => {
    const info = narInfo(signer.sign(signed));
    const bytes = Buffer.from(signer.publicKey.split(":")[1]!, "base64");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const other = parsePublicKey(`test-1:${flipBit(bytes, bit).toString("base64")}`);
      expect(findTrustedKey(info, [other])).toBeUndefined();
    }
  });

  it("fails with any digit of the store path changed", () => {
    for (let at = "/nix/store/".length; at < "/nix/store/".length + 32; at++) {
      const digit = signed.storePath.charAt(at) === "0" ? "1" : "0";
      const storePath = parseStorePath(
        signed.storePath.slice(0, at) + digit + signed.storePath.slice(at + 1),
      );
      expect(findTrustedKey({ ...narInfo(signer.sign(signed)), storePath }, [key])).toBeUndefined();
    }
  });
});

describe("parsePublicKey", () => {
  it("reads the key of cache.nixos.org", () => {
    const text = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    const read: PublicKey = parsePublicKey(text);
    expect(read).toMatchObject({ name: "cache.nixos.org-1", text });
    expect(read.key.asymmetricKeyType).toBe("ed25519");
  });

  it("reads a key without padding", () => {
    const text = signer.publicKey.replace(/=+$/, "");
    expect(findTrustedKey(narInfo(signer.sign(signed)), [parsePublicKey(text)])?.text).toBe(text);
  });

  test.each([
    ["nothing", "", 'there is no name before a ":"'],
    ["no colon", "cache.nixos.org-1", 'there is no name before a ":"'],
    ["no name", ":6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=", 'there is no name before a ":"'],
    ["no key", "a:", "it has 0 bytes, not 32"],
    ["a key that is too short", "a:AAAA", "it has 3 bytes, not 32"],
    ["a secret key", `a:${Buffer.alloc(64).toString("base64")}`, "it has 64 bytes, not 32"],
    ["no base64", "a:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShj_=", 'what follows ":" is not base64'],
    ["white space at its end", `${signer.publicKey}\n`, 'what follows ":" is not base64'],
    ["two keys", `${signer.publicKey} ${signer.publicKey}`, 'what follows ":" is not base64'],
  ])("refuses %s", (_, text, reason) => {
    const failure = failureOf(() => parsePublicKey(text));
    expect(failure.code).toBe("PUBLIC_KEY_INVALID");
    expect(failure.message).toContain(reason);
  });
});

describe("parseSignature", () => {
  it("reads name and bytes, and takes the first colon for their border", () => {
    expect(parseSignature(`a-1:${Buffer.alloc(64, 1).toString("base64")}`)).toEqual({
      keyName: "a-1",
      bytes: new Uint8Array(64).fill(1),
    });
    expect(parseSignature(`a:b:${"A".repeat(86)}==`)).toBeUndefined();
  });

  test.each([
    "",
    "a",
    "a:",
    ":AAAA",
    "a:AAAA",
    `a:${"A".repeat(88)}`,
    `a:${"A".repeat(86)}=`,
    `a:${"A".repeat(85)}B==`,
  ])("refuses %j", (text) => {
    expect(parseSignature(text)).toBeUndefined();
  });
});
