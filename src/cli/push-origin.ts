import type { Config } from "../config.ts";
import { NixClosureError, pushOptionInvalid } from "../errors.ts";
import { parsePublicKey } from "../nix/signature.ts";
import { storeDirectory, type StorePath } from "../nix/store-path.ts";
import { parseCacheUrl } from "../resolver/cache-url.ts";
import { WrongArguments } from "./exit-codes.ts";
import { parseRootArguments } from "./root-arguments.ts";
import { followToStore, isFileName } from "./store-link.ts";

/** What a push reads closures from. */
export type PushOrigin = { readonly roots: readonly StorePath[] } & (
  | { readonly kind: "source"; readonly source: string }
  | { readonly kind: "cache"; readonly url: string; readonly publicKeys: readonly string[] }
  | { readonly kind: "local-store" }
);

/** The source that a cache or the local store is, for the time of a push. */
export const originSource = "from";

/**
 * Finds out what is pushed from where. Links such as `./result` are of the local store, and so is `--from /nix/store`.
 *
 * @throws WrongArguments
 */
export async function findOrigin(
  words: readonly string[],
  from: string | undefined,
  publicKeys: readonly string[],
  config: Config,
): Promise<PushOrigin> {
  try {
    const links = [...words, ...(from === undefined ? [] : [from])].filter(isFileName);
    const linked = await Promise.all(links.map(followToStore));
    const written = words.filter((word) => !isFileName(word));
    if (links[0] !== undefined || from === storeDirectory) {
      const known = { sources: [{ name: originSource }], defaultSource: originSource };
      const roots = written.length === 0 ? [] : parseRootArguments(written, known).roots;
      requireLocal(links[0] ?? storeDirectory, from);
      requireNoKeys(publicKeys);
      return { kind: "local-store", roots: [...new Set([...linked, ...roots])] };
    }
    if (from !== undefined && /^[a-z0-9+.-]+:/.test(from)) {
      parseCacheUrl(from);
      publicKeys.forEach(parsePublicKey);
      const known = { sources: [{ name: originSource }], defaultSource: originSource };
      return { kind: "cache", url: from, publicKeys, roots: parseRootArguments(written, known).roots };
    }
    requireNoKeys(publicKeys);
    const known = { sources: config.sources, defaultSource: from ?? config.defaultSource };
    const { source, roots } = parseRootArguments(written, known);
    if (from !== undefined && from !== source) {
      throw pushOptionInvalid("--from", from, `the roots are of source ${source}; name one of them`);
    }
    return { kind: "source", source, roots };
  } catch (error) {
    throw error instanceof NixClosureError ? new WrongArguments(error) : error;
  }
}

/**
 * The store path that one word of the command line is.
 *
 * @throws WrongArguments
 */
export async function findRoot(word: string, config: Config): Promise<StorePath> {
  try {
    if (isFileName(word)) return await followToStore(word);
    const sources = [...config.sources, { name: originSource }];
    const [root, ...others] = parseRootArguments([word], { sources, defaultSource: originSource }).roots;
    if (others.length === 0) return root;
    throw pushOptionInvalid(
      "--system",
      word,
      "a system has one root; combine them with symlinkJoin or buildEnv",
    );
  } catch (error) {
    throw error instanceof NixClosureError ? new WrongArguments(error) : error;
  }
}

function requireLocal(link: string, from: string | undefined): void {
  if (from === undefined || from === storeDirectory || isFileName(from)) return;
  throw pushOptionInvalid("--from", from, `${link} is of the local store; push one after the other`);
}

function requireNoKeys([key]: readonly string[]): void {
  if (key === undefined) return;
  throw pushOptionInvalid(
    "--public-key",
    key,
    "it has a meaning only beside the URL of a cache, --from https://...",
  );
}
