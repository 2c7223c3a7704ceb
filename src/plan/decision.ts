import { createHash } from "node:crypto";
import { imageNameInvalid, internal } from "../errors.ts";
import type { Closure, PathType } from "../nix/closure.ts";
import type { StorePath } from "../nix/store-path.ts";

/**
 * The decision of a plan: which paths of a closure have volumes of their own. It is written into the tag of the store
 * image, so that a registry can make that image without planning again:
 *
 * - `a`: all directories; `n`: none
 * - `o<list>`: these; `p<list>`: all directories but these
 *
 * A list holds positions in the closure sorted by hash, two base-62 digits each, ascending.
 */

/** At most so many entries: version, decision and check then stay within a tag's 128 characters. */
export const maxListed = 48;

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/**
 * Writes the decision that gives `own` volumes of their own.
 * @param types the known path types; a path without one counts as no directory.
 * @returns undefined if neither list is short enough.
 */
export function encodeDecision(
  closure: Closure,
  own: ReadonlySet<StorePath>,
  types: ReadonlyMap<StorePath, PathType>,
): string | undefined {
  if (own.size === 0) return "n";
  const ownPositions: number[] = [];
  const otherPositions: number[] = [];
  closure.paths.forEach(({ storePath }, position) => {
    if (own.has(storePath)) ownPositions.push(position);
    else if (types.get(storePath) === "directory") otherPositions.push(position);
  });
  // `a` and `p` speak of all directories, so they hold only where every path's type is known.
  const complete = closure.paths.every(({ storePath }) => types.has(storePath));
  if (complete && otherPositions.length === 0) return "a";
  const shorter = complete && otherPositions.length < ownPositions.length ? otherPositions : ownPositions;
  if (shorter.length > maxListed) return undefined;
  return (shorter === ownPositions ? "o" : "p") + shorter.map(encodePosition).join("");
}

/** Whether a decision can be read only by someone who knows the type of every path. */
export function decisionNeedsTypes(decision: string): boolean {
  return decision.startsWith("a") || decision.startsWith("p");
}

/**
 * The paths that have volumes of their own under a decision.
 * @param types types of all paths where {@link decisionNeedsTypes}, else unused.
 * @throws imageNameInvalid if the list is not ascending or leaves the closure.
 */
export function decodeDecision(
  decision: string,
  closure: Closure,
  types: ReadonlyMap<StorePath, PathType>,
): ReadonlySet<StorePath> {
  if (decision === "n") return new Set();
  const listed = listedPaths(decision, closure);
  if (decision.startsWith("o")) return listed;
  const own = new Set<StorePath>();
  for (const { storePath } of closure.paths) {
    const type = types.get(storePath);
    if (type === undefined) throw internal(`the type of ${storePath} is not known to decision ${decision}`);
    if (type === "directory" && !listed.has(storePath)) own.add(storePath);
  }
  return own;
}

/** Ties a decision to one closure: the first 16 hexadecimal digits of SHA-256 over version, sorted paths and decision. */
export function closureCheck(version: number, closure: Closure, decision: string): string {
  const hash = createHash("sha256").update(`${version}\n`);
  for (const { storePath } of closure.paths) hash.update(`${storePath}\n`);
  return hash.update(decision).digest("hex").slice(0, 16);
}

function listedPaths(decision: string, closure: Closure): Set<StorePath> {
  const listed = new Set<StorePath>();
  let last = -1;
  for (let at = 1; at < decision.length; at += 2) {
    const position = decodePosition(decision.slice(at, at + 2));
    const path = closure.paths[position]?.storePath;
    if (path === undefined || position <= last) {
      throw imageNameInvalid(decision, "its positions must ascend and lie within the closure");
    }
    listed.add(path);
    last = position;
  }
  return listed;
}

/** -1 for what are not two digits. */
function decodePosition(text: string): number {
  return /^[0-9A-Za-z]{2}$/.test(text)
    ? digits.indexOf(text.charAt(0)) * 62 + digits.indexOf(text.charAt(1))
    : -1;
}

function encodePosition(position: number): string {
  return digits.charAt(Math.floor(position / 62)) + digits.charAt(position % 62);
}
