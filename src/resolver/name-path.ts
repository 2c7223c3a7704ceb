import type { NixClosureError } from "../errors.ts";
import type { NarLocation } from "./nar-location.ts";

/**
 * An error with what was asked for, and who needs it; not all errors of caches have that.
 *
 * @param path the store path, or what is known of it.
 */
export function namePath(error: NixClosureError, path: string, neededBy = ""): NixClosureError {
  if (error.message.includes(path)) return neededBy === "" ? error : error.within(neededBy);
  return error.within(neededBy === "" ? path : `${path} (${neededBy})`);
}

/** An error about a NAR with the path and the cache; not all errors of formats have them. */
export function nameNar(error: NixClosureError, { storePath, cache }: NarLocation): NixClosureError {
  if (!error.message.includes(storePath)) return error.within(`the NAR of ${storePath} from ${cache}`);
  return error.message.includes(cache) ? error : error.within(cache);
}
