import { createHash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { contentAddressedPath, parseContentAddress } from "../../../src/nix/content-address.ts";
import { encodeNix32 } from "../../../src/nix/nix32.ts";
import { parseStorePath, storeHash, type StorePath } from "../../../src/nix/store-path.ts";
import { writeNar, type NarNode } from "../../nix/nar-writer.ts";
import { readDemoFile } from "../../nix/demo-cache.ts";
import { narInfoOf, pathOf, type FakePath } from "../../resolver/fake-store.ts";
import { hello, mixed } from "../demo-cache.ts";
import type { Files } from "./lying-cache.ts";

/** A closure, and the path in it about which a cache lies. */
export interface Scene {
  readonly root: StorePath;
  readonly victim: StorePath;
  /** Names of the victim's files. */
  readonly narInfo: string;
  readonly nar: string;
  readonly listing: string;
  /** What there is beside the demo's cache. */
  readonly files: Files;
}

function sceneOf(root: string, victim: string, nar: string, files: Files = new Map()): Scene {
  const hash = storeHash(parseStorePath(victim));
  return {
    root: parseStorePath(root),
    victim: parseStorePath(victim),
    narInfo: `${hash}.narinfo`,
    nar,
    listing: `${hash}.ls`,
    files,
  };
}

/** The URL that the demo's cache has for a NAR. */
function demoNar(victim: string): string {
  const narInfo = readDemoFile(`${storeHash(parseStorePath(victim))}.narinfo`).toString();
  return /^URL: (.*)$/m.exec(narInfo)?.[1] ?? "";
}

function demoScene(root: string, victim: string): Scene {
  return sceneOf(root, victim, demoNar(victim));
}

/** A directory of the demo that another path needs; its type is told from its NAR, for it has no listing. */
export const helloScene = demoScene(hello, "/nix/store/lfxl2j3iwlp4cn809rdp0xdnv9v4n797-hello-2.10");
/** A symlink of the demo that has a listing. */
export const linkScene = demoScene(mixed, "/nix/store/j7ijnwfpdqbkpzr4737zcw1j2r49xqmg-mixed-link");
/** A directory of the demo that has a listing, and is the root itself. */
export const listedScene = demoScene(mixed, mixed);

/** A directory whose contents are these. */
export function treeOf(contents: string): NarNode {
  const file: NarNode = { type: "regular", contents: Buffer.from(contents) };
  return { type: "directory", entries: [[Buffer.from("file"), file]] };
}

/** The narinfo of a victim with this NAR, and the NAR itself, under the names that {@link madeScene} has. */
export function madeFiles(
  victim: StorePath,
  nar: Uint8Array,
  options: FakePath = {},
): Map<string, Uint8Array> {
  return new Map([
    [`${storeHash(victim)}.narinfo`, narInfoOf(victim, { nar, ...options })],
    [`nar/${storeHash(victim)}.nar`, options.fields?.compression === "zstd" ? zstdCompressSync(nar) : nar],
  ]);
}

/** An app that is made up, signed, and needs the victim, with everything that is true about both. */
export function madeScene(victim: StorePath, nar: Uint8Array, options: FakePath = {}): Scene {
  const root = pathOf(`app-of-${victim.slice(44)}`);
  const files = new Map([
    ...madeFiles(root, writeNar(treeOf("app")), { references: [victim] }),
    ...madeFiles(victim, nar, options),
  ]);
  return sceneOf(root, victim, `nar/${storeHash(victim)}.nar`, files);
}

/** The victim is signed, and uncompressed. */
export const signedScene = madeScene(pathOf("signed"), writeNar(treeOf("signed")));

/** The victim is nowhere. */
export const orphanScene = withoutVictim(madeScene(pathOf("orphan"), writeNar(treeOf("orphan"))));

function withoutVictim(scene: Scene): Scene {
  const files = new Map(scene.files);
  files.delete(scene.narInfo);
  files.delete(scene.nar);
  return { ...scene, files };
}

/** The victim is signed, uncompressed, and large enough to go wrong in the middle. */
export const largeScene = madeScene(pathOf("large"), writeNar(treeOf("large ".repeat(40_000))));

/** The address of this content by a method. */
function contentAddress(method: "flat" | "text" | "recursive", content: Uint8Array): string {
  const prefix = { flat: "fixed:", text: "text:", recursive: "fixed:r:" }[method];
  return `${prefix}sha256:${encodeNix32(createHash("sha256").update(content).digest())}`;
}

export interface AddressedScene extends Scene {
  /** The files of a lie: the victim's true address, and other content. */
  lie(tree: NarNode): Files;
}

/** The victim has a content address and no signature. */
export function addressedScene(method: "flat" | "text" | "recursive", contents: string): AddressedScene {
  const tree: NarNode =
    method === "recursive" ? treeOf(contents) : { type: "regular", contents: Buffer.from(contents) };
  const nar = writeNar(tree);
  const address = contentAddress(method, method === "recursive" ? nar : Buffer.from(contents));
  const victim = contentAddressedPath(`addressed-${method}`, parseContentAddress(address), [], false);
  if (victim === undefined) throw new Error("it has no path");
  const unsigned: FakePath = { signer: undefined, fields: { contentAddress: address } };
  return {
    ...madeScene(victim, nar, unsigned),
    lie: (other) => madeFiles(victim, writeNar(other), unsigned),
  };
}
