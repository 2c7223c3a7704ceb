import { annotationsInvalid, closureNameInvalid, type NixClosureError } from "../errors.ts";
import { type AskedClosure, parseAskedClosure, type Roots } from "../patch/asked-closure.ts";
import { WrongArguments } from "./exit-codes.ts";

/** What a configuration says of its sources. */
interface ConfiguredSources {
  readonly sources: readonly { readonly name: string }[];
  readonly defaultSource: string;
}

/**
 * The closure on a command line: store paths or a name as in the annotation nix.closure; `/nix/store/` may be left out.
 * @throws WrongArguments with all that is wrong.
 */
export function parseClosureArguments(words: readonly string[], config: ConfiguredSources): AskedClosure {
  const errors: NixClosureError[] = [];
  const value = words.join(" ").replace(/(^|[\s,:])(?=[0-9a-z]{32}-)/g, "$1/nix/store/");
  const known = { sources: config.sources.map((source) => source.name), defaultSource: config.defaultSource };
  const asked = parseAskedClosure("argument", value, known, errors);
  const [first, ...more] = errors;
  if (asked !== undefined && first === undefined) return asked;
  if (first !== undefined && more.length === 0) throw new WrongArguments(first);
  throw new WrongArguments(annotationsInvalid(errors.map((error) => `${error.message} [${error.code}]`)));
}

/**
 * The same where only store paths make sense.
 * @throws WrongArguments
 */
export function parseRootArguments(words: readonly string[], config: ConfiguredSources): Roots {
  const asked = parseClosureArguments(words, config);
  if ("roots" in asked) return asked;
  const why = "store paths are wanted here; a name is given with --name";
  throw new WrongArguments(closureNameInvalid(asked.name, why));
}
