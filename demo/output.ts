import { stripVTControlCharacters, styleText } from "node:util";
import { bar } from "../src/cli/progress.ts";

/** What the demo says, a line at a time: coloured and cut to the terminal's width if it is one. */
export interface Output {
  /** A line that belongs to no step. */
  title(text: string): void;
  /** Begins a step. */
  step(title: string): void;
  /** A line of a step. */
  line(text?: string): void;
  /** Shows how far something is, on a terminal alone, until the next call or line. */
  progress(what: string, done: number, total: number): void;
  /** Takes back what progress has shown. */
  clear(): void;
}

/** Writes to standard output. */
export function createOutput(stream: NodeJS.WriteStream): Output {
  let steps = 0;
  let pending = false;
  const write = (text: string): void => {
    if (pending) stream.write("\r\u001b[K");
    pending = false;
    stream.write(text);
  };
  const line = (text = ""): void =>
    write(`${cut(text === "" ? "" : `   ${text}`, stream.isTTY ? stream.columns : 0)}\n`);
  return {
    title: (text) => write(`${steps > 0 ? "\n" : ""}${styleText("bold", text)}\n`),
    step(title) {
      write(`\n${styleText("bold", `${++steps}  ${title}`)}\n`);
    },
    line,
    progress(what, done, total) {
      if (!stream.isTTY) return;
      write(`   ${bar(done, total)} ${what}`);
      pending = true;
    },
    clear: () => write(""),
  };
}

/** A line that does not wrap; 0 columns for a line of any length. */
export function cut(text: string, columns: number): string {
  const plain = stripVTControlCharacters(text);
  if (columns === 0 || plain.length <= columns) return text;
  const short = `${plain.slice(0, columns - 1)}…`;
  // Lines have one colour from their first visible character to their last one.
  const colour = text.indexOf("\u001b");
  return colour === -1
    ? short
    : `${text.slice(0, text.indexOf("m", colour) + 1)}${short.slice(colour)}\u001b[0m`;
}

/** A table: columns as wide as their longest cell, those of numbers to the right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** A time that has passed, for instance `840 ms` or `3.2 s`. */
export function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
