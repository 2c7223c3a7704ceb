import { type ClosureName, parseClosureName } from "../closure-index/closure-name.ts";
import { isSystem, type System, systems } from "../closure-index/system.ts";
import { pushOptionInvalid } from "../errors.ts";
import type { StorePath } from "../nix/store-path.ts";
import { WrongArguments } from "./exit-codes.ts";

/** A root on the command line that is for one system. */
export interface SystemRoot {
  readonly system: System;
  /** As it is written. */
  readonly word: string;
}

/** What `--name` and `--system` say. */
export interface PushSystems {
  readonly name: ClosureName | undefined;
  /** Of the roots that are written without one; undefined: that of their programs. */
  readonly system: System | undefined;
  /** Those of the name, each for another system; none: it is for that of its one root's programs. */
  readonly roots: readonly SystemRoot[];
}

/** The words of `--system`. */
interface SystemWords {
  readonly text: string;
  readonly system: System;
  readonly word: string | undefined;
}

/**
 * Reads `--name`, `--system SYSTEM` and `--system SYSTEM=ROOT`, which have to go together.
 *
 * @param words roots that are written without a system.
 * @throws pushOptionInvalid, closureNameInvalid
 */
export function readPushSystems(
  flags: {
    readonly name?: string;
    readonly system?: readonly string[];
    readonly together: boolean;
  },
  words: readonly string[],
): PushSystems {
  const name = flags.name === undefined ? undefined : parseClosureName(flags.name);
  const all = (flags.system ?? []).map(parseSystemWords);
  const roots = all.flatMap(({ system, word }) => (word === undefined ? [] : [{ system, word }]));
  const [plain, second] = all.filter(({ word }) => word === undefined);
  if (second !== undefined)
    throw pushOptionInvalid("--system", second.text, "it is given twice without a root");
  const withRoot = all.find(({ word }) => word !== undefined);
  if (withRoot !== undefined) {
    const { text } = withRoot;
    if (name === undefined) {
      throw pushOptionInvalid(
        "--system",
        text,
        "only what has a name is for several systems; add --name NAME",
      );
    }
    if (plain !== undefined) throw pushOptionInvalid("--system", plain.text, "its root is missing");
    requireOneEach(all);
  }
  if (name === undefined) return { name, system: plain?.system, roots };
  if (flags.together)
    throw pushOptionInvalid("--name", name, "each system has one root, so there is no --together");
  if (words.length + roots.length === 0 || (words.length > 0 && words.length + roots.length > 1)) {
    const form = "write one root, or --system SYSTEM=ROOT for each system";
    throw pushOptionInvalid("--name", name, form);
  }
  return { name, system: plain?.system, roots };
}

function parseSystemWords(text: string): SystemWords {
  const equals = text.indexOf("=");
  const system = equals < 0 ? text : text.slice(0, equals);
  if (!isSystem(system) || equals === text.length - 1) {
    const form = `write ${systems.join(" or ")}, for a name with =ROOT after it`;
    throw pushOptionInvalid("--system", text, form);
  }
  return { text, system, word: equals < 0 ? undefined : text.slice(equals + 1) };
}

function requireOneEach(all: readonly SystemWords[]): void {
  const seen = new Set<System>();
  for (const { system, text } of all) {
    if (seen.has(system)) {
      const fix = "combine its roots with symlinkJoin or buildEnv";
      throw pushOptionInvalid("--system", text, `this system has a root already; ${fix}`);
    }
    seen.add(system);
  }
}

/**
 * Requires that a name's roots are the ones that were found, each for one system.
 *
 * @param found all roots of the command line.
 * @throws WrongArguments
 */
export function requireNamedRoots(
  name: ClosureName,
  roots: readonly StorePath[],
  found: readonly StorePath[],
): void {
  const named = new Set(roots);
  if (named.size < roots.length) {
    throw wrongName(name, "its systems have the same root, and a closure is of one system");
  }
  const other = found.find((root) => !named.has(root));
  if (other !== undefined) throw wrongName(name, `${other} is for none of its systems`);
}

function wrongName(name: ClosureName, why: string): WrongArguments {
  return new WrongArguments(pushOptionInvalid("--name", name, why));
}
