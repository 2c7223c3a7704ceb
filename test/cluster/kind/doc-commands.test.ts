import { describe, expect, test } from "vitest";
import { docCommands, docTranscripts, matchesTranscript, planCommands } from "./doc-commands.ts";

const texts = (page: string): readonly string[] => docCommands(page).map(({ text }) => text);

describe("the commands of a page", () => {
  test("are the lines of its sh blocks, with section and line", () => {
    const page = [
      "# Page",
      "Run `not this`:",
      "## Make",
      "```sh",
      "one --flag",
      "",
      "# a comment",
      "two # and its comment",
      "```",
      "```yaml",
      "not: this",
      "```",
      "## Use",
      "1. in a list",
      "   ```sh",
      "   three",
      "   ```",
    ].join("\n");
    expect(docCommands(page)).toEqual([
      { section: "Make", line: 5, text: "one --flag" },
      { section: "Make", line: 8, text: "two # and its comment" },
      { section: "Use", line: 16, text: "three" },
    ]);
  });

  test("a continued line and a here-document are one command", () => {
    const page = ["```sh", "one \\", "  --more", "cat > f <<'END'", "# no comment", "x", "END", "two", "```"];
    expect(texts(page.join("\n"))).toEqual([
      "one \\\n  --more",
      "cat > f <<'END'\n# no comment\nx\nEND",
      "two",
    ]);
  });

  test("headings in blocks are none", () => {
    expect(docCommands("## A\n```text\n## B\n```\n```sh\none\n```")).toMatchObject([{ section: "A" }]);
  });

  test("a block may hold fences of fewer ticks", () => {
    expect(texts("````text\n```sh\nnot this\n```\n````\n```sh\none\n```")).toEqual(["one"]);
  });

  test.each(["bash", "zsh", "shell"])("a block marked %s is an error, so that none is overlooked", (word) => {
    expect(() => docCommands(`x\n\`\`\`${word}\none\n\`\`\``)).toThrow(
      `line 2: mark commands as sh, not ${word}`,
    );
  });

  test("what does not end is an error", () => {
    expect(() => docCommands("```sh\none")).toThrow("the last block does not end");
    expect(() => docCommands("```sh\none \\\n```")).toThrow("line 2: the command does not end");
    expect(() => docCommands("```sh\ncat <<END\none\n```")).toThrow("line 2: the command does not end");
  });
});

test("a plan has every command, the substituted ones with the reason", () => {
  const commands = docCommands("## S\n```sh\nmake it\nload it\nuse it\n```");
  const plan = planCommands(commands, [
    { pattern: /^make/, replacement: (text) => `${text} --here`, reason: "forced" },
    { pattern: /^load/, replacement: () => undefined, reason: "there already" },
    { pattern: /^make/, replacement: () => "never", reason: "comes second" },
  ]);
  expect(plan.map(({ text, run, reason }) => [text, run, reason])).toEqual([
    ["make it", "make it --here", "forced"],
    ["load it", undefined, "there already"],
    ["use it", "use it", undefined],
  ]);
});

describe("what a page shows with its output", () => {
  const page = "## S\n```console\n$ one\nout: … end\nmore\n$ two\n```\n```sh\nthree\n```";

  test("is a command and what comes below it", () => {
    expect(docTranscripts(page)).toEqual([
      { section: "S", line: 3, text: "one", output: "out: … end\nmore\n" },
      { section: "S", line: 6, text: "two", output: "" },
    ]);
    expect(docCommands(page)).toHaveLength(1);
    expect(() => docTranscripts("```console\nout\n```")).toThrow("line 2: no command above");
  });

  test.each([
    ["out: … end", "out: (1.5) and\nmore end\n", true],
    ["out: … end", "out: ends", false],
    ["a.b", "a.b\n", true],
    ["a.b", "axb", false],
    ["a", "a and more", false],
  ])("%j is what %j shows: %s", (shown, written, expected) => {
    expect(matchesTranscript(shown, written)).toBe(expected);
  });
});
