import { annotationsInvalid, type NixClosureError } from "../errors.ts";
import { parseRoots, type Roots } from "../patch/annotations.ts";
import { WrongArguments } from "./exit-codes.ts";

/**
 * The roots on a command line: store paths as in the annotation nix.closure; `/nix/store/` may be left out.
 * @throws WrongArguments with all that is wrong.
 */
export function parseRootArguments(
  words: readonly string[],
  config: { readonly sources: readonly { readonly name: string }[]; readonly defaultSource: string },
): Roots {
  const errors: NixClosureError[] = [];
  const value = words.join(" ").replace(/(^|[\s,:])(?=[0-9a-z]{32}-)/g, "$1/nix/store/");
  const known = { sources: config.sources.map((source) => source.name), defaultSource: config.defaultSource };
  const roots = parseRoots("argument", value, known, errors);
  const [first, ...more] = errors;
  if (roots !== undefined && first === undefined) return roots;
  if (first !== undefined && more.length === 0) throw new WrongArguments(first);
  throw new WrongArguments(annotationsInvalid(errors.map((error) => `${error.message} [${error.code}]`)));
}
