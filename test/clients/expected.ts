import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { PlannedImage } from "./closures.ts";
import { belowRoot, type Listing, listNar, under } from "./listing.ts";

/** Listings of all NARs, by store path. */
export type NarListings = Readonly<Record<string, Listing>>;

/** A NAR of a binary cache on the disk. */
export interface NarFile {
  readonly storePath: string;
  readonly file: string;
  readonly compression: string;
}

/** The NARs of a binary cache. Of the narinfos only what Nix's manual says of them is used. */
export async function narFiles(cache: string): Promise<readonly NarFile[]> {
  const names = (await readdir(cache)).filter((name) => name.endsWith(".narinfo"));
  return Promise.all(
    names.map(async (name) => {
      const narInfo = await readFile(join(cache, name), "utf8");
      const field = (key: string): string => new RegExp(`^${key}: (.*)$`, "m").exec(narInfo)?.[1] ?? "";
      return {
        storePath: field("StorePath"),
        file: join(cache, field("URL")),
        compression: field("Compression"),
      };
    }),
  );
}

/** Lists every NAR of binary caches. */
export async function listCaches(caches: readonly string[]): Promise<NarListings> {
  const nars = (await Promise.all(caches.map(narFiles))).flat();
  const listings: Record<string, Listing> = {};
  // Two at a time: one for each core of the smallest machine.
  const listRest = async (): Promise<void> => {
    for (let nar = nars.pop(); nar !== undefined; nar = nars.pop()) {
      listings[nar.storePath] = await listNar(nar.file, nar.compression);
    }
  };
  await Promise.all([listRest(), listRest()]);
  return listings;
}

/** The tree that an image is to have. */
export function expectedTree(image: PlannedImage, nars: NarListings): Listing {
  switch (image.kind) {
    case "base":
      return baseTree;
    case "path":
      return belowRoot(narOf(image.storePath, nars));
    case "store":
      return [
        ...image.storePaths.flatMap((path) => under(nameOf(path), narOf(path, nars))),
        ...image.mountPoints.map((path) => `${nameOf(path)} directory 555 0:0 1`),
      ];
  }
}

/** The name below /nix/store; all of its characters may be in a listing as they are, but for three. */
function nameOf(storePath: string): string {
  return basename(storePath).replaceAll("+", "%2B").replaceAll("=", "%3D").replaceAll("?", "%3F");
}

function narOf(storePath: string, nars: NarListings): Listing {
  const listing = nars[storePath];
  if (listing === undefined) throw new Error(`no cache has ${storePath}`);
  return listing;
}

function file(path: string, lines: readonly string[]): string {
  const content = lines.map((line) => `${line}\n`).join("");
  const digest = createHash("sha256").update(content).digest("hex");
  return `${path} file 644 0:0 1 ${content.length} ${digest}`;
}

/** The base image, as docs/annotations.md describes it. */
const baseTree: Listing = [
  "etc directory 755 0:0 1",
  file("etc/group", ["root:x:0:", "nobody:x:65534:", "nonroot:x:65532:"]),
  file("etc/nsswitch.conf", ["passwd: files", "group: files", "hosts: files dns"]),
  file("etc/passwd", [
    "root:x:0:0:root:/root:/sbin/nologin",
    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin",
    "nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin",
  ]),
  "nix directory 755 0:0 1",
  "nix/store directory 755 0:0 1",
  "tmp directory 1777 0:0 1",
];
