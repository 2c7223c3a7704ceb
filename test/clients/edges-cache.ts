import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeNar, type NarEntries, type NarNode } from "../nix/nar-writer.ts";
import { cacheFiles, pathOf, signer } from "../resolver/fake-store.ts";

/** The key of the cache. */
export const edgesKey = signer.publicKey;

const file = pathOf("edges.conf");
const link = pathOf("edges-link");
/** A link that leads out of its store path by a relative way; nothing is wrong with it. */
export const escapingLink = "links/outside";
/** A closure of everything that a NAR may have and that the demo's closures do not have. */
export const edgesRoot = pathOf("edges");

const regular = (contents: string, executable = false): NarNode => ({
  type: "regular",
  contents: Buffer.from(contents),
  executable,
});
const symlink = (target: string | Uint8Array): NarNode => ({ type: "symlink", target: Buffer.from(target) });
const directory = (entries: NarEntries): NarNode => ({ type: "directory", entries });

/** Names that ustar, PAX, a shell or a text decoder could get wrong. */
const names: readonly Buffer[] = [
  Buffer.from([0xff, 0xfe, 0x80]),
  Buffer.from("caf\u00e9 \u{10000}"),
  Buffer.from("cafe\u0301"),
  Buffer.from("a\nb"),
  Buffer.from("a\\b\t%2f"),
  Buffer.from("-rf"),
  Buffer.from("..."),
  Buffer.from(" "),
  Buffer.from("wh.not-a-whiteout"),
  Buffer.alloc(100, "h"),
  Buffer.alloc(101, "h"),
  Buffer.alloc(255, "n"),
];

/** Directories inside each other: paths of 100 and 155 bytes, where ustar's fields end, lie between. */
function nested(levels: number): NarNode {
  const inner: NarNode = levels === 0 ? regular("deep\n") : nested(levels - 1);
  return directory([[Buffer.from(`level-${String(levels).padStart(2, "0")}`), inner]]);
}

const tree = directory([
  ...names.map((name) => [name, regular(`${name.length} bytes\n`)] as const),
  [
    Buffer.from("links"),
    directory([
      [Buffer.from("bytes"), symlink(Buffer.from([0x2f, 0xff, 0x0a, 0x25]))],
      [Buffer.from("dangling"), symlink("../no such file")],
      [Buffer.from("long-100"), symlink("t".repeat(100))],
      [Buffer.from("long-101"), symlink("t".repeat(101))],
      [Buffer.from("long-4000"), symlink(`/${"t".repeat(199)}`.repeat(20))],
      [Buffer.from("outside"), symlink("../../../../../etc/passwd")],
      [Buffer.from("to-file"), symlink(file)],
      [Buffer.alloc(255, "l"), symlink("l".repeat(255))],
    ]),
  ],
  [Buffer.from("empty"), directory([])],
  [Buffer.from("empty-file"), regular("")],
  [Buffer.from("empty-program"), regular("", true)],
  [Buffer.from("block"), regular("b".repeat(512))],
  [Buffer.from("block-and-a-byte"), regular("b".repeat(513), true)],
  [Buffer.from("nested"), nested(40)],
]);

/** Writes a signed binary cache with the closure of `edgesRoot`. */
export async function writeEdgesCache(to: string): Promise<void> {
  const files = cacheFiles([
    [edgesRoot, { nar: writeNar(tree), references: [file, link, edgesRoot] }],
    [file, { nar: writeNar(regular("greeting = hello\n")) }],
    [link, { nar: writeNar(symlink(`${file}/../edges`)) }],
  ]);
  for (const [name, bytes] of files) {
    const path = join(to, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
}
