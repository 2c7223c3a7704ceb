/** One `machine` (or `default`) of a netrc file. */
export interface NetrcEntry {
  /** `undefined` for `default`. */
  readonly machine: string | undefined;
  readonly login: string;
  readonly password: string;
}

/** A word with its quotes undone, and whether it had any: a quoted keyword is none. */
interface Word {
  readonly text: string;
  readonly quoted: boolean;
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/**
 * Reads a netrc file as curl does (lib/netrc.c), for it is what Nix reads it with: words separated by white space,
 * comments from `#` where a keyword could stand, values in double quotes with backslash escapes. `account` and macros
 * are passed over; a macro ends at an empty line.
 */
export function parseNetrc(text: string): readonly NetrcEntry[] {
  const entries: NetrcEntry[] = [];
  let current: { machine: string | undefined; login: string; password: string } | undefined;
  const words = new NetrcWords(text);
  for (let word = words.keyword(); word !== undefined; word = words.keyword()) {
    switch (word.quoted ? "" : word.text) {
      case "machine":
      case "default":
        current = { machine: word.text === "default" ? undefined : words.value(), login: "", password: "" };
        entries.push(current);
        break;
      case "login":
      case "password": {
        const value = words.value();
        if (current !== undefined) current[word.text as "login" | "password"] = value;
        break;
      }
      case "account":
        words.value();
        break;
      case "macdef":
        words.skipMacro();
        break;
    }
  }
  return entries;
}

/** The entry for a host: the first with its name, else the first `default`. Ports do not count. */
export function findNetrcEntry(entries: readonly NetrcEntry[], host: string): NetrcEntry | undefined {
  const wanted = host.toLowerCase();
  return (
    entries.find((entry) => entry.machine?.toLowerCase() === wanted) ??
    entries.find((entry) => entry.machine === undefined)
  );
}

class NetrcWords {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  keyword(): Word | undefined {
    for (;;) {
      this.#match(/\s*/y);
      if (!this.#text.startsWith("#", this.#at)) return this.#word();
      this.#match(/[^\n]*/y);
    }
  }

  /** The word after a keyword; empty at the end of the file. */
  value(): string {
    this.#match(/\s*/y);
    return this.#word()?.text ?? "";
  }

  skipMacro(): void {
    const end = this.#text.slice(this.#at).search(/\n[ \t\r]*\n/);
    this.#at = end < 0 ? this.#text.length : this.#at + end;
  }

  #word(): Word | undefined {
    if (this.#at >= this.#text.length) return undefined;
    const quoted = this.#match(/"((?:[^"\\]|\\[^])*)"?/y)?.[1];
    if (quoted === undefined) return { text: this.#match(/\S+/y)?.[0] ?? "", quoted: false };
    const text = quoted.replace(/\\([^])/g, (_, escaped: string) => escapes[escaped] ?? escaped);
    return { text, quoted: true };
  }

  #match(sticky: RegExp): RegExpExecArray | undefined {
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#text);
    if (match !== null) this.#at = sticky.lastIndex;
    return match ?? undefined;
  }
}
