import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/**
 * Where what can be made again is kept for a user: `$XDG_CACHE_HOME/nix-closure`, else `~/.cache/nix-closure`.
 *
 * @see XDG Base Directory Specification 0.8: a path that is not absolute does not count.
 */
export function cacheDirectory(env: Readonly<Record<string, string | undefined>>): string {
  const { XDG_CACHE_HOME: configured = "", HOME: home = homedir() } = env;
  return join(isAbsolute(configured) ? configured : join(home, ".cache"), "nix-closure");
}
