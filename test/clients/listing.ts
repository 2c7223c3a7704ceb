import { fileURLToPath } from "node:url";
import { run } from "../programs/command.ts";

/** A tree, one entry a line, sorted; the form is that of list-tree.py. */
export type Listing = readonly string[];

const program = fileURLToPath(new URL("list-tree.py", import.meta.url));
/** The path of a listing's root. */
const rootPath = ".";

/** Lists a tar archive, compressed or not, as Python's tarfile reads it. */
export async function listTar(file: string): Promise<Listing> {
  return sorted(await run("python3", [program, "tar", file]));
}

/** Lists what is in all of these tar archives together; none has an entry of another one. */
export async function listTars(files: readonly string[]): Promise<Listing> {
  return (await Promise.all(files.map(listTar))).flat().toSorted();
}

/** Lists what lies below a directory. */
export async function listDirectory(directory: string): Promise<Listing> {
  return sorted(await run("python3", [program, "dir", directory]));
}

/** Lists a NAR, its root included. */
export async function listNar(file: string, compression: string): Promise<Listing> {
  const decompress = { none: "cat", zstd: "zstd -dc" }[compression];
  if (decompress === undefined) throw new Error(`${file}: compression ${compression}`);
  // bash, for pipefail: a NAR that breaks off is to be an error.
  const script = `set -o pipefail; ${decompress} < "$1" | python3 "$2" nar`;
  return sorted(await run("bash", ["-c", script, "list", file, program]));
}

/** The listing without its root, which no layer has. */
export function belowRoot(listing: Listing): Listing {
  return listing.filter((line) => !line.startsWith(`${rootPath} `));
}

/** The listing as it is in a directory under `name`. */
export function under(name: string, listing: Listing): Listing {
  return listing.map((line) => (line.startsWith(`${rootPath} `) ? name + line.slice(1) : `${name}/${line}`));
}

/** What two listings do not have in common, `-` what is wanted and `+` what is found; at most 20 lines. */
export function difference(found: Listing, wanted: Listing): readonly string[] {
  const [isFound, isWanted] = [new Set(found), new Set(wanted)];
  return [
    ...wanted.filter((line) => !isFound.has(line)).map((line) => `- ${line}`),
    ...found.filter((line) => !isWanted.has(line)).map((line) => `+ ${line}`),
    ...(found.length === wanted.length ? [] : [`${found.length} lines instead of ${wanted.length}`]),
  ].slice(0, 20);
}

function sorted(text: string): Listing {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .toSorted();
}
