import { createHash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { encodeNix32 } from "../../../../src/nix/nix32.ts";
import { createSigner } from "../../../nix/signer.ts";
import { writeNar } from "../../../nix/nar-writer.ts";
import { withStatus } from "../../../resolver/cache-server.ts";
import { pathOf } from "../../../resolver/fake-store.ts";
import type { Files, LyingCache } from "../lying-cache.ts";
import {
  addressedScene,
  helloScene,
  linkScene,
  listedScene,
  madeFiles,
  madeScene,
  signedScene,
  treeOf,
  type Scene,
} from "../scenes.ts";
import type { Lie } from "./lie.ts";

const flat = addressedScene("flat", "flat content");
const text = addressedScene("text", "text content");
const recursive = addressedScene("recursive", "recursive content");
const unsignedScene = madeScene(pathOf("unsigned"), writeNar(treeOf("unsigned")));
const executable = { type: "regular", executable: true, contents: Buffer.from("flat content") } as const;

/** Changes the text of the victim's narinfo. */
function rewrite(cache: LyingCache, { narInfo }: Scene, field: RegExp, value: string): void {
  const before = Buffer.from(cache.file(narInfo) ?? "").toString();
  const after = before.replace(field, value);
  if (after === before) throw new Error("nothing was changed");
  cache.say(narInfo, (response) => response.end(after));
}

function serve(cache: LyingCache, files: Files): void {
  for (const [name, bytes] of files) cache.say(name, (response) => response.end(bytes));
}

/** Serves another NAR in place of the signed victim's. */
function replaceNar(cache: LyingCache, nar: Uint8Array): void {
  cache.say(signedScene.nar, (response) => response.end(nar));
}

const wrongHash = encodeNix32(createHash("sha256").update("another").digest());
const signedNar = writeNar(treeOf("signed"));

/** What is said about paths, and what they hold. */
export const lying = {
  "narinfo-other": {
    name: "answers with the narinfo of another path",
    scene: helloScene,
    tell(cache) {
      const other = cache.file("4vlwxs24hwlvm23q063xvdmkzvlxjw1s.narinfo");
      cache.say(helloScene.narInfo, (response) => response.end(other));
    },
  },
  "narinfo-html": {
    name: "answers with a page of a proxy",
    scene: helloScene,
    tell: (cache) => cache.say(helloScene.narInfo, (response) => response.end("<html>log in</html>\n")),
  },
  "narhash-wrong": {
    name: "changes NarHash",
    scene: helloScene,
    tell: (cache) => rewrite(cache, helloScene, /^NarHash: .*$/m, `NarHash: sha256:${wrongHash}`),
  },
  "narsize-wrong": {
    name: "changes NarSize",
    scene: helloScene,
    tell: (cache) => rewrite(cache, helloScene, /^NarSize: .*$/m, "NarSize: 1"),
  },
  "references-less": {
    name: "leaves out a reference",
    scene: helloScene,
    tell: (cache) => rewrite(cache, helloScene, /^References: .*$/m, "References: "),
  },
  "references-more": {
    name: "adds a reference",
    scene: helloScene,
    tell: (cache) => rewrite(cache, helloScene, /^References: /m, `References: ${pathOf("evil").slice(11)} `),
  },
  "key-unknown": {
    name: "has a signature by a key that nobody trusts",
    scene: unsignedScene,
    tell: (cache) =>
      serve(
        cache,
        madeFiles(unsignedScene.victim, writeNar(treeOf("unsigned")), { signer: createSigner("evil-1") }),
      ),
  },
  "key-name-forged": {
    name: "has a signature by another key under a trusted name",
    scene: unsignedScene,
    tell: (cache) =>
      serve(
        cache,
        madeFiles(unsignedScene.victim, writeNar(treeOf("unsigned")), {
          signer: createSigner("test-1", "another seed"),
        }),
      ),
  },
  unsigned: {
    name: "has no signature",
    scene: unsignedScene,
    tell: (cache) =>
      serve(cache, madeFiles(unsignedScene.victim, writeNar(treeOf("unsigned")), { signer: undefined })),
  },
  "reference-missing": {
    name: "lacks a reference",
    scene: helloScene,
    tell: (cache) => cache.say(helloScene.narInfo, withStatus(404)),
  },
  "address-other-content-flat": {
    name: "has other content under a true flat content address",
    scene: flat,
    tell: (cache) => serve(cache, flat.lie({ type: "regular", contents: Buffer.from("evil") })),
  },
  "address-executable-flat": {
    name: "makes the file of a flat content address executable",
    scene: flat,
    tell: (cache) => serve(cache, flat.lie(executable)),
  },
  "address-directory-flat": {
    name: "has a directory under a flat content address",
    scene: flat,
    tell: (cache) => serve(cache, flat.lie(treeOf("flat content"))),
  },
  "address-other-content-text": {
    name: "has other content under a true text content address",
    scene: text,
    tell: (cache) => serve(cache, text.lie({ type: "regular", contents: Buffer.from("evil") })),
  },
  "address-other-content-recursive": {
    name: "has other content under a true recursive content address",
    scene: recursive,
    tell: (cache) => serve(cache, recursive.lie(treeOf("evil"))),
  },
  "address-changed": {
    name: "changes a content address to that of its content",
    scene: recursive,
    tell: (cache) => rewrite(cache, recursive, /^CA: .*$/m, `CA: fixed:r:sha256:${wrongHash}`),
  },
  "compression-missing": {
    name: "does not say that a NAR is compressed with zstd",
    scene: helloScene,
    tell: (cache) => rewrite(cache, helloScene, /^Compression: .*\n/m, ""),
  },
  "compression-unknown": {
    name: "names a compression that nobody knows",
    scene: helloScene,
    tell: (cache) => rewrite(cache, helloScene, /^Compression: .*$/m, "Compression: rot13"),
  },
  "nar-other": {
    name: "serves the NAR of another path",
    scene: signedScene,
    tell: (cache) => replaceNar(cache, writeNar(treeOf("singed"))),
  },
  "nar-longer": {
    name: "serves a longer NAR than was signed",
    scene: signedScene,
    tell: (cache) => replaceNar(cache, writeNar(treeOf("signed, and then some"))),
  },
  "nar-shorter": {
    name: "serves a shorter NAR than was signed",
    scene: signedScene,
    tell: (cache) => replaceNar(cache, writeNar({ type: "directory", entries: [] })),
  },
  "nar-truncated": {
    name: "cuts off a NAR without compression",
    scene: signedScene,
    tell: (cache) => replaceNar(cache, signedNar.subarray(0, signedNar.length - 16)),
  },
  "nar-trailing": {
    name: "adds bytes after the end of a NAR",
    scene: signedScene,
    tell: (cache) => replaceNar(cache, Buffer.concat([signedNar, Buffer.alloc(8)])),
  },
  "nar-empty": {
    name: "serves an empty NAR",
    scene: signedScene,
    tell: (cache) => replaceNar(cache, new Uint8Array()),
  },
  "nar-bomb": {
    name: "serves a NAR that swells to 64 MiB",
    scene: helloScene,
    tell(cache) {
      const bomb = zstdCompressSync(
        writeNar({ type: "directory", entries: [[Buffer.from("a"), zeros(2 ** 26)]] }),
      );
      cache.say(helloScene.nar, (response) => response.end(bomb));
    },
  },
  "listing-says-directory": {
    name: "lists a symlink as a directory",
    scene: linkScene,
    tell: (cache) =>
      cache.say(linkScene.listing, (response) =>
        response.end('{"version":1,"root":{"type":"directory","entries":{}}}'),
      ),
  },
  "listing-says-file": {
    name: "lists a directory as a file",
    scene: listedScene,
    tell: (cache) =>
      cache.say(listedScene.listing, (response) =>
        response.end('{"version":1,"root":{"type":"regular","size":5}}'),
      ),
  },
} as const satisfies Record<string, Lie>;

function zeros(size: number) {
  return { type: "regular", contents: Buffer.alloc(size) } as const;
}
