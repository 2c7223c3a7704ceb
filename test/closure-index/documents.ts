import { parseContentAddress } from "../../src/nix/content-address.ts";
import { parseSecretKey } from "../../src/nix/secret-key.ts";
import { parseSignature } from "../../src/nix/signature.ts";
import type { StorePath } from "../../src/nix/store-path.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import type {
  ClosureDocument,
  ManifestDescriptor,
  PushedPath,
} from "../../src/closure-index/closure-document.ts";
import { formatNarHash } from "../../src/nix/hash.ts";
import { demoClosure, demoPath, demoTypes, madePath } from "../patch/closures.ts";

/** The key of RFC 8032, section 7.1, test 1, as Nix writes it. */
export const secretKey = parseSecretKey(
  "test-1:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==",
);

/** The descriptor of some manifest that follows from a text. */
export function manifestOf(text: string): ManifestDescriptor {
  return { digest: sha256Digest(Buffer.from(text)), size: 500 + text.length };
}

/** The document of a closure of the demo's binary cache, with one store image that has all of it. */
export function demoDocument(...names: readonly string[]): ClosureDocument {
  const roots = names.map(demoPath).toSorted();
  return {
    system: "x86_64-linux",
    roots,
    paths: demoClosure(...roots).paths.map((info) => {
      const { storePath, narHash, narSize, references, signatures, contentAddress } = info;
      const type = demoTypes.get(storePath)!;
      return {
        storePath,
        narHash,
        narSize,
        references,
        signatures,
        type,
        ...(contentAddress !== undefined && { contentAddress }),
        ...(type === "directory" && { manifest: manifestOf(storePath) }),
      };
    }),
    storeImages: [{ own: [], manifest: manifestOf(`all of ${roots.join(" ")}`) }],
  };
}

/** A document with everything that one can have: two roots, a file, a content address, self-references. */
export const smallDocument: ClosureDocument = (() => {
  const [app, config, library, tool] = ["app", "config", "library", "tool"].map((name, position) =>
    madePath(position, name),
  ) as [StorePath, StorePath, StorePath, StorePath];
  const signature = parseSignature(`cache-1:${Buffer.alloc(64, 1).toString("base64")}`)!;
  const path = (storePath: StorePath, references: readonly StorePath[]): PushedPath => ({
    storePath,
    narHash: formatNarHash(Buffer.alloc(32, storePath.length)),
    narSize: 1000,
    references,
    signatures: [signature],
    type: "directory",
    manifest: manifestOf(storePath),
  });
  const { manifest: _, ...file } = path(config, []);
  return {
    system: "x86_64-linux",
    roots: [app, tool],
    paths: [
      path(app, [app, config, library]),
      {
        ...file,
        signatures: [],
        contentAddress: parseContentAddress(
          "text:sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ),
        type: "regular",
      },
      path(library, [library]),
      path(tool, [library]),
    ],
    storeImages: [
      { own: [app], manifest: manifestOf("app apart") },
      { own: [app, tool], manifest: manifestOf("roots apart") },
    ],
  };
})();

/** A document of so many directories, each of which refers to so many of those after it. */
export function largeDocument(count: number, references: number): ClosureDocument {
  const names = Array.from({ length: count }, (_, position) =>
    madePath(position, `python3.13-package-with-a-name-${position}`),
  );
  const signatures = ["cache.nixos.org-1", "company-1"].map((name) =>
    parseSignature(`${name}:${Buffer.alloc(64, 7).toString("base64")}`)!,
  );
  return {
    system: "aarch64-linux",
    roots: names.slice(0, 1),
    paths: names.map((storePath, position) => ({
      storePath,
      narHash: formatNarHash(Buffer.alloc(32, position)),
      narSize: 123_456_789,
      references: names.slice(position + 1, position + 1 + references),
      signatures,
      type: "directory",
      manifest: manifestOf(storePath),
    })),
    storeImages: [{ own: names, manifest: manifestOf("files") }],
  };
}
