import { quote, storePathInvalid } from "../errors.ts";
import { nix32Alphabet } from "./nix32.ts";

/** The one store directory whose paths can be mounted: it is part of every hash, and binaries name it. */
export const storeDirectory = "/nix/store";

/** A store path: `/nix/store/<hash>-<name>`. */
export type StorePath = string & { readonly __brand: "StorePath" };

/** The hash part of a store path: 32 digits of nix32. */
export type StoreHash = string & { readonly __brand: "StoreHash" };

const prefix = `${storeDirectory}/`;
const hashLength = 32;
/** Base names have at most 255 - 11 characters, so that Nix can add suffixes such as `.lock` (path.hh, MaxPathLen). */
const maxNameLength = 211;

const hashPattern = new RegExp(`^[${nix32Alphabet}]{${hashLength}}$`);
/**
 * The rule of checkName and StorePath::StorePath in src/libstore/path.cc, 2.36. Names that start with a dot were
 * refused in Nix 2.20 and are legal again, but for `.`, `..` and those whose first part before a dash is one of them.
 */
const baseNamePattern = new RegExp(
  `^[${nix32Alphabet}]{${hashLength}}-(?!\\.\\.?(?:-|$))[0-9a-zA-Z+._?=-]{1,${maxNameLength}}$`,
);

/**
 * Reads a store path as a person writes it. Stricter than Nix, which tidies the path first: there is one spelling.
 *
 * @throws storePathInvalid, with a reason of its own for each way to miss it.
 */
export function parseStorePath(text: string): StorePath {
  if (!text.startsWith(prefix)) throw storePathInvalid(text, explainOutside(text));
  const base = text.slice(prefix.length);
  if (!isBaseName(base)) throw storePathInvalid(text, explainBaseName(base));
  return text as StorePath;
}

/**
 * Reads a store path that is written without its directory, `<hash>-<name>`, as in `References`.
 *
 * @throws storePathInvalid
 */
export function parseBaseName(text: string): StorePath {
  if (!isBaseName(text)) throw storePathInvalid(text, explainBaseName(text));
  return (prefix + text) as StorePath;
}

/**
 * Reads the hash part of a store path alone.
 *
 * @throws storePathInvalid
 */
export function parseStoreHash(text: string): StoreHash {
  if (!hashPattern.test(text)) throw storePathInvalid(text, explainHash(text) ?? "it is not a hash part");
  return text as StoreHash;
}

/**
 * Reads a store path that is to be mounted with its closure.
 *
 * @throws storePathInvalid, also for a derivation: it says how to build a path, and holds nothing to run.
 */
export function parseRoot(text: string): StorePath {
  const path = parseStorePath(text);
  if (isDerivation(path)) {
    throw storePathInvalid(text, "it names a derivation, not its output; write its output path");
  }
  return path;
}

/** The 32 characters before the first dash. */
export function storeHash(path: StorePath): StoreHash {
  return path.slice(prefix.length, prefix.length + hashLength) as StoreHash;
}

/** What follows the dash after the hash. */
export function storePathName(path: StorePath): string {
  return path.slice(prefix.length + hashLength + 1);
}

/** The path without its directory: `<hash>-<name>`. */
export function baseName(path: StorePath): string {
  return path.slice(prefix.length);
}

/** Whether the path is a derivation (`.drv`), which Nix tells by the name alone. */
export function isDerivation(path: StorePath): boolean {
  return path.endsWith(".drv");
}

function isBaseName(text: string): boolean {
  return baseNamePattern.test(text);
}

/** Why a text that does not start with `/nix/store/` is no store path. */
function explainOutside(text: string): string {
  if (text === "") return "it is empty";
  if (text.trim() !== text) return "it has white space around it";
  if (text === storeDirectory) return "it is the store directory itself";
  if (isBaseName(text)) return `${prefix} is missing before it`;
  const inStore = text.indexOf(prefix);
  if (inStore >= 0 && isBaseName(text.slice(inStore + prefix.length).split("/", 1)[0] ?? "")) {
    return `it has ${quote(text.slice(0, inStore))} before ${prefix}`;
  }
  const parts = text.split("/");
  const base = parts.findIndex((part, index) => index > 0 && isBaseName(part));
  if (base > 0) {
    const directory = parts.slice(0, base).join("/");
    return `it lies in the store directory ${quote(directory)}, only ${storeDirectory} can be mounted`;
  }
  return `it does not start with ${prefix}`;
}

/** Why a text is not `<hash>-<name>`. */
function explainBaseName(base: string): string {
  if (base === "") return "it is the store directory itself";
  if (base.trim() !== base) return "it has white space or a newline at its end";
  const slash = base.indexOf("/");
  if (slash >= 0) {
    if (slash === 0) return 'it has a "/" too many after the store directory';
    const first = base.slice(0, slash);
    if (!isBaseName(first)) return explainBaseName(first);
    if (/^\/+$/.test(base.slice(slash))) return 'it ends with "/"; leave that out';
    return `it points below a store path; leave out ${quote(base.slice(slash))}`;
  }
  return explainHashAndDash(base) ?? explainName(base.slice(hashLength + 1)) ?? "it is malformed";
}

function explainHashAndDash(base: string): string | undefined {
  const dash = base.indexOf("-");
  if (dash >= 0 && dash !== hashLength) {
    return `its hash, the part before the first "-", has ${dash} characters, not ${hashLength}`;
  }
  const hash = dash < 0 ? base : base.slice(0, dash);
  const wrongHash = explainHash(hash);
  if (wrongHash !== undefined) return wrongHash;
  return dash < 0 ? "its name is missing: a hash alone does not tell it" : undefined;
}

function explainHash(hash: string): string | undefined {
  if (hash.length !== hashLength) return `its hash has ${hash.length} characters, not ${hashLength}`;
  const wrong = Array.from(hash).find((character) => !nix32Alphabet.includes(character));
  if (wrong === undefined) return undefined;
  return `its hash has ${quote(wrong)}; the digits are ${nix32Alphabet} (no e, o, u, t, no capitals)`;
}

function explainName(name: string): string | undefined {
  if (name === "") return "its name is empty";
  if (name.length > maxNameLength)
    return `its name has ${name.length} characters, at most ${maxNameLength} are legal`;
  const wrong = /[^0-9a-zA-Z+._?=-]/u.exec(name)?.[0];
  if (wrong === "!" || wrong === "^") {
    return `${quote(wrong)} selects an output of a derivation; write the path of that output`;
  }
  if (wrong !== undefined) return `its name has ${quote(wrong)}; legal are letters, digits and + - . _ ? =`;
  const first = /^\.\.?(?=-|$)/.exec(name)?.[0];
  if (first === undefined) return undefined;
  return first === name
    ? `its name is ${quote(first)}`
    : `its name starts with ${quote(`${first}-`)}, which Nix refuses`;
}
