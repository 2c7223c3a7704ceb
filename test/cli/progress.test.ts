import { describe, expect, test } from "vitest";
import { demoSource, DemoCacheServer, hello, mixedFile, unknown, until } from "../service/demo-cache.ts";
import { podWith } from "../webhook/https-client.ts";
import { cli, configFile, type Outcome } from "./fake-process.ts";

/** Commands that have a lot to ask of a cache. */
const commands: readonly [name: string, args: readonly string[], stdin?: string][] = [
  ["resolve", ["resolve", hello]],
  ["resolve --json", ["resolve", "--json", hello]],
  ["plan", ["plan", hello]],
  ["inject", ["inject", "-f", "-"], JSON.stringify(podWith({ "nix.closure": mixedFile }))],
];

/** Back to the line's begin, and remove it (ECMA-48, EL). */
const removeLine = "\r\u001b[K";

/** What is on a terminal's screen in the end. */
function screen({ shown }: Outcome): string {
  const [first = "", ...rest] = shown
    .map(({ text }) => text)
    .join("")
    .split(removeLine);
  return rest.reduce((before, text) => before.slice(0, before.lastIndexOf("\n") + 1) + text, first);
}

describe("what takes longer than a second", () => {
  test("shows on a terminal that it goes on, and leaves no trace; piped it is silent", async () => {
    await using cache = await DemoCacheServer.start();
    const config = await configFile({ sources: { demo: demoSource(cache.url) } });
    const quick = await Promise.all(
      commands.map(([, [command = "", ...args], stdin = ""]) =>
        cli([command, "--config", config, ...args], { stdin, terminal: true }),
      ),
    );
    for (const { shown } of quick) expect(shown.filter(({ on }) => on === "progress")).toEqual([]);

    cache.stall();
    const waiting = new Set<string>();
    const runs = commands.flatMap(([name, [command = "", ...args], stdin = ""]) =>
      [true, false].map(async (terminal) => {
        const onShown = (text: string): void => void (text.includes("resolving:") && waiting.add(name));
        return {
          terminal,
          outcome: await cli([command, "--config", config, ...args], { stdin, terminal, onShown }),
        };
      }),
    );
    await until(() => waiting.size === commands.length);
    cache.wake();
    for (const [i, { terminal, outcome }] of (await Promise.all(runs)).entries()) {
      const wanted = quick[Math.floor(i / 2)]!;
      expect(outcome).toMatchObject({ code: 0, stdout: wanted.stdout, stderr: wanted.stderr });
      const progress = outcome.shown.filter(({ on }) => on === "progress").map(({ text }) => text);
      if (!terminal) {
        expect(progress).toEqual([]);
        continue;
      }
      expect(progress[0]?.replace(/[1-9] s/, "1 s")).toBe(`${removeLine}resolving: 0 answers (1 s)`);
      expect(screen(outcome)).toBe(wanted.stderr + wanted.stdout);
    }
  });

  test("that fails leaves no trace of its progress before the message", async () => {
    await using cache = await DemoCacheServer.start();
    const config = await configFile({ sources: { demo: demoSource(cache.url) } });
    cache.stall();
    let seen = false;
    const onShown = (text: string): void => void (seen ||= text.includes("resolving: 0 answers"));
    const run = cli(["resolve", "--config", config, unknown], { terminal: true, onShown });
    await until(() => seen);
    cache.wake();
    const outcome = await run;
    expect(outcome.code).toBe(3);
    expect(screen(outcome)).toBe(outcome.stderr);
    expect(outcome.stderr).toMatch(/^nix-closure: .*PATH_UNKNOWN/);
  });
});
