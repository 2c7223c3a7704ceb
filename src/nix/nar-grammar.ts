/**
 * The grammar of a NAR as a table of places, after parse() in src/libutil/archive.cc of Nix 2.36, with its limits:
 *
 *     nar   = "nix-archive-1" node
 *     node  = "(" "type" ( "regular" [ "executable" "" ] "contents" CONTENTS | "symlink" "target" TARGET
 *                        | "directory" entry* ) ")"
 *     entry = "entry" "(" "name" NAME "node" node ")"
 */
import { narMagic } from "./nar-words.ts";

/** Where in the grammar a reader is; the name says what comes next. */
export type PlaceName =
  | "magic"
  | "open"
  | "typeField"
  | "type"
  | "regularField"
  | "executable"
  | "contentsField"
  | "contents"
  | "closeRegular"
  | "targetField"
  | "target"
  | "closeSymlink"
  | "entryOrClose"
  | "openEntry"
  | "nameField"
  | "name"
  | "nodeField"
  | "closeEntry"
  | "end";

/** What a word means beyond leading to the next place. */
export type NarEvent =
  "regular" | "executable" | "endRegular" | "directory" | "endDirectory" | "node" | "endNode";

/** A word that is legal at a place. */
export interface NarWord {
  readonly bytes: Uint8Array;
  /** For a word that ends a node, the place within a directory; after the root comes `end`. */
  readonly next: PlaceName;
  readonly event: NarEvent | undefined;
}

/** What is legal at a place: one of some words or, if there are none, any string (or contents) up to a length. */
export interface NarPlace {
  readonly name: PlaceName;
  /** For messages. */
  readonly what: string;
  /** The longest string that is read, in bytes. */
  readonly maxLength: number;
  readonly words: readonly NarWord[];
}

/** The longest file name, in bytes. */
export const maxNameLength = 255;
/** The longest target of a symlink, in bytes. */
export const maxTargetLength = 4095;
/** Words have at most 10 bytes; the slack is Nix's, so that a message can show what was found. */
const maxWordLength = 32;

type Alternative = readonly [word: string, next: PlaceName, event?: NarEvent];

function words(name: PlaceName, maxLength: number, alternatives: readonly Alternative[]): NarPlace {
  return {
    name,
    what: alternatives.map(([word]) => `"${word}"`).join(" or "),
    maxLength,
    words: alternatives.map(([word, next, event]) => ({ bytes: Buffer.from(word), next, event })),
  };
}

function word(name: PlaceName, ...alternatives: readonly Alternative[]): NarPlace {
  return words(name, maxWordLength, alternatives);
}

function string(name: PlaceName, what: string, maxLength: number): NarPlace {
  return { name, what, maxLength, words: [] };
}

/** All places by name. A reader starts at `magic`. */
export const narPlaces: Readonly<Record<PlaceName, NarPlace>> = {
  magic: words("magic", narMagic.length, [[narMagic, "open"]]),
  open: word("open", ["(", "typeField"]),
  typeField: word("typeField", ["type", "type"]),
  type: word(
    "type",
    ["regular", "regularField", "regular"],
    ["directory", "entryOrClose", "directory"],
    ["symlink", "targetField"],
  ),
  regularField: word("regularField", ["contents", "contents"], ["executable", "executable", "executable"]),
  executable: words("executable", 0, [["", "contentsField"]]),
  contentsField: word("contentsField", ["contents", "contents"]),
  contents: string("contents", "the contents of a file", Number.MAX_SAFE_INTEGER),
  closeRegular: word("closeRegular", [")", "closeEntry", "endRegular"]),
  targetField: word("targetField", ["target", "target"]),
  target: string("target", "the target of a symlink", maxTargetLength),
  closeSymlink: word("closeSymlink", [")", "closeEntry", "endNode"]),
  entryOrClose: word("entryOrClose", ["entry", "openEntry"], [")", "closeEntry", "endDirectory"]),
  openEntry: word("openEntry", ["(", "nameField"]),
  nameField: word("nameField", ["name", "name"]),
  name: string("name", "a file name", maxNameLength),
  nodeField: word("nodeField", ["node", "open", "node"]),
  closeEntry: word("closeEntry", [")", "entryOrClose"]),
  end: string("end", "nothing", 0),
};
