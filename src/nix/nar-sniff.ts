import { narInvalid } from "../errors.ts";
import type { PathType } from "./closure.ts";
import { encodeNarWord, narMagic } from "./nar-words.ts";

/** What a NAR starts with, for each type of its root. */
const heads: readonly { readonly type: PathType; readonly bytes: Uint8Array }[] = (
  ["directory", "regular", "symlink"] as const
).map((type) => ({ type, bytes: Buffer.concat([narMagic, "(", "type", type].map(encodeNarWord)) }));

/**
 * Tells the type of the root from the first bytes of a NAR; 80 are enough for each.
 *
 * @returns `undefined` if more bytes are needed.
 * @throws narInvalid as soon as no NAR can start with these bytes.
 */
export function sniffPathType(prefix: Uint8Array): PathType | undefined {
  let longestMatch = 0;
  for (const { type, bytes } of heads) {
    const difference = bytes.findIndex((byte, index) => byte !== prefix[index]);
    if (difference < 0) return type;
    if (difference >= prefix.length) return undefined;
    longestMatch = Math.max(longestMatch, difference);
  }
  throw narInvalid("no NAR starts like this; is it compressed?", longestMatch);
}
