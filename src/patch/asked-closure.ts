import { type ClosureName, parseClosureName } from "../closure-index/closure-name.ts";
import { closureNameInvalid, maxListed, NixClosureError, rootsMissing, sourceUnknown } from "../errors.ts";
import { parseRoot, type StorePath } from "../nix/store-path.ts";

/** A closure as a person asks for it. */
export type AskedClosure = Roots | AskedName;

/** Roots in one source. */
export interface Roots {
  readonly source: string;
  /** As written, without repetitions; the first one is the profile. Never empty. */
  readonly roots: readonly [StorePath, ...StorePath[]];
}

/** A name in one source: closures of several systems, of which each node has its own. */
export interface AskedName {
  readonly source: string;
  readonly name: ClosureName;
}

/** What the validators need from the configuration. */
export interface KnownSources {
  readonly sources: readonly string[];
  readonly defaultSource: string;
}

/**
 * Parses `[<source>:] <store path>[, <store path>...]` or `<source>: <name>`.
 *
 * @param where the place of the value, for messages.
 * @param errors gets one error for each thing that is wrong; the result is then undefined.
 */
export function parseAskedClosure(
  where: string,
  value: string,
  known: KnownSources,
  errors: NixClosureError[],
): AskedClosure | undefined {
  const prefix = /^([^/\s,]*?)\s*:/.exec(value);
  const source = prefix?.[1] ?? known.defaultSource;
  const errorsBefore = errors.length;
  if (!known.sources.includes(source)) errors.push(sourceUnknown(source, known.sources).within(where));
  const words = value
    .slice(prefix?.[0].length ?? 0)
    .split(/[\s,]+/)
    .filter((word) => word !== "");
  if (words.length === 0) errors.push(rootsMissing(where));
  const roots = new Set<StorePath>();
  let name: ClosureName | undefined;
  for (const word of words) {
    // A message names no more of them, and an annotation can have a hundred thousand.
    if (errors.length > maxListed) break;
    try {
      if (prefix !== null && mayBeName(word)) name = parseOnlyName(word, words.length);
      else roots.add(parseRoot(word));
    } catch (error) {
      if (!(error instanceof NixClosureError)) throw error;
      errors.push(error.within(where));
    }
  }
  if (errors.length > errorsBefore) return undefined;
  if (name !== undefined) return { source, name };
  const [first, ...rest] = roots;
  return first === undefined ? undefined : { source, roots: [first, ...rest] };
}

/** Whether a word after a source is rather a name than a store path that something is wrong with. */
function mayBeName(word: string): boolean {
  return !word.includes("/") && !/^[0-9a-z]{32}-/.test(word);
}

function parseOnlyName(word: string, words: number): ClosureName {
  const name = parseClosureName(word);
  if (words === 1) return name;
  throw closureNameInvalid(
    word,
    "a name stands alone after its source, and others have an annotation of their own",
  );
}
