/** A command of a page of documentation. */
export interface DocCommand {
  /** The nearest heading above. */
  readonly section: string;
  /** Number of its first line in the page, from 1. */
  readonly line: number;
  /** As it is written, with its continuation lines or here-document. */
  readonly text: string;
}

/** A command of a `console` block, which a page shows with what it writes. */
export interface DocTranscript extends DocCommand {
  /** "…" in it stands for anything. */
  readonly output: string;
}

/** Languages by which others mark shell commands: here they are all "sh", so that none is overlooked. */
const aliases = new Set(["bash", "shell", "zsh", "shell-session"]);

/** A fenced block of a page. */
interface Block {
  readonly section: string;
  readonly language: string;
  /** Number of its first line, from 1. */
  readonly line: number;
  readonly lines: readonly string[];
}

/**
 * The commands of a page's `sh` blocks, in their order. Empty lines and comments are none.
 *
 * @throws Error if a block or a command does not end, or a block is marked as shell in another way
 */
export function docCommands(page: string): readonly DocCommand[] {
  return blocksOf(page)
    .filter(({ language }) => language === "sh")
    .flatMap(commandsOf);
}

/**
 * The commands of a page's `console` blocks, which begin with "$ ", with what is shown below them.
 *
 * @throws Error if a block does not end, or begins without a command
 */
export function docTranscripts(page: string): readonly DocTranscript[] {
  return blocksOf(page)
    .filter(({ language }) => language === "console")
    .flatMap(({ section, line, lines }) => {
      const found: DocTranscript[] = [];
      for (const [index, text] of lines.entries()) {
        const last = found.at(-1);
        if (text.startsWith("$ "))
          found.push({ section, line: line + index, text: text.slice(2), output: "" });
        else if (last === undefined) throw new Error(`line ${line + index}: no command above`);
        else found[found.length - 1] = { ...last, output: `${last.output}${text}\n` };
      }
      return found;
    });
}

/** Whether a command has written what a page shows. */
export function matchesTranscript(shown: string, written: string): boolean {
  const pattern = shown
    .trim()
    .split("…")
    .map((part) => RegExp.escape(part))
    .join(".*");
  return new RegExp(`^${pattern}$`, "s").test(written.trim());
}

function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = [];
  let section = "";
  let open:
    (Block & { readonly lines: string[]; readonly ticks: string; readonly indent: string }) | undefined;
  for (const [index, text] of page.split("\n").entries()) {
    const [, indent = "", ticks, language = ""] = /^( *)(`{3,})\s*(\S*)/.exec(text) ?? [];
    if (open !== undefined) {
      const ends = ticks !== undefined && ticks.length >= open.ticks.length && language === "";
      if (!ends) open.lines.push(text.startsWith(open.indent) ? text.slice(open.indent.length) : text);
      else {
        blocks.push(open);
        open = undefined;
      }
    } else if (ticks === undefined) {
      section = /^#+ (.*)$/.exec(text)?.[1]?.trim() ?? section;
    } else {
      if (aliases.has(language)) throw new Error(`line ${index + 1}: mark commands as sh, not ${language}`);
      open = { section, language, line: index + 2, lines: [], ticks, indent };
    }
  }
  if (open !== undefined) throw new Error("the last block does not end");
  return blocks;
}

function commandsOf({ section, line, lines }: Block): readonly DocCommand[] {
  const commands: DocCommand[] = [];
  let open: DocCommand | undefined;
  for (const [index, text] of lines.entries()) {
    if (open === undefined && /^\s*(?:#|$)/.test(text)) continue;
    open = { section, line: open?.line ?? line + index, text: open ? `${open.text}\n${text}` : text };
    if (!isComplete(open.text)) continue;
    commands.push(open);
    open = undefined;
  }
  if (open !== undefined) throw new Error(`line ${open.line}: the command does not end in its block`);
  return commands;
}

/** Whether a shell would not wait for another line: no continuation, and the here-document has its end. */
function isComplete(text: string): boolean {
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(text)) return false;
  const word = /<<-?\s*(['"]?)(\w+)\1/.exec(text)?.[2];
  return (
    word === undefined ||
    text
      .split("\n")
      .slice(1)
      .some((line) => line.trim() === word)
  );
}

/** A command that is run in another form on the machine at hand. */
export interface Substitution {
  readonly pattern: RegExp;
  /** What is run instead; undefined: nothing. */
  readonly replacement: (command: string) => string | undefined;
  readonly reason: string;
}

/** A command with what is really run for it. */
export interface PlannedCommand extends DocCommand {
  /** undefined: nothing. */
  readonly run: string | undefined;
  /** Why that is not what the page says; undefined: it is. */
  readonly reason?: string;
}

/** Applies to each command the first substitution that fits; most commands are run as they are. */
export function planCommands(
  commands: readonly DocCommand[],
  substitutions: readonly Substitution[],
): readonly PlannedCommand[] {
  return commands.map((command) => {
    const found = substitutions.find(({ pattern }) => pattern.test(command.text));
    if (found === undefined) return { ...command, run: command.text };
    return { ...command, run: found.replacement(command.text), reason: found.reason };
  });
}
