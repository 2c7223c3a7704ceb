import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { version } from "../../src/cli/version.ts";
import { hello, mixedFile, unknown } from "../service/demo-cache.ts";
import { podWith } from "../webhook/https-client.ts";
import { Child, launcher, project, runChild } from "./child-process.ts";
import { cli, configFile, scratch } from "./fake-process.ts";

/** A Node.js of the machine that is too old for us; undefined if there is none. */
function findOldNode(): { readonly file: string; readonly version: string } | undefined {
  for (const file of ["/usr/bin/node", "/usr/local/bin/node"]) {
    try {
      const found = execFileSync(file, ["--version"], { encoding: "utf8" }).trim();
      if (Number(/^v(\d+)/.exec(found)?.[1] ?? 24) < 24) return { file, version: found };
    } catch {
      // Not there; the next one may be.
    }
  }
  return undefined;
}

const old = findOldNode();
const nodes: readonly [name: string, node: string | undefined][] = [
  [`the project's Node.js ${process.version}`, process.execPath],
  [
    old === undefined ? "an older Node.js (skipped: this machine has none)" : `Node.js ${old.version}`,
    old?.file,
  ],
];

describe.each(nodes)("under %s", (_, node = "") => {
  const run = (args: readonly string[], options = {}) => runChild(node, [launcher, ...args], options);
  const it = test.skipIf(node === "");

  it("output and exit codes are those of the command line", async () => {
    const config = await configFile();
    const stdin = JSON.stringify(podWith({ "nix.closure": mixedFile }));
    const calls: readonly (readonly [args: readonly string[], code: number])[] = [
      [["--version"], 0],
      [["resolve", "--config", config, "--json", hello], 0],
      [["inject", "--config", config, "-f", "-"], 0],
      [["resolve", "--config", config, "--bogus"], 2],
      [["plan", "--config", config, "--strategy", "packed", hello], 0],
      [["plan", "--config", config, unknown], 3],
    ];
    await Promise.all(
      calls.map(async ([args, code]) => {
        const wanted = await cli(args, { stdin });
        expect(wanted.code).toBe(code);
        expect(await run(args, { stdin })).toEqual({
          code,
          signal: null,
          stdout: wanted.stdout,
          stderr: wanted.stderr,
        });
      }),
    );
  });

  async function serve(): Promise<Child> {
    const config = await configFile({
      admin: { listen: "127.0.0.1:0" },
      registry: { listen: "127.0.0.1:0", blobs: { directory: await scratch() } },
    });
    const child = new Child(node, [launcher, "serve", "--role", "registry", "--config", config]);
    const { admin } = await child.serving();
    expect((await fetch(`http://127.0.0.1:${admin}/readyz`)).status).toBe(200);
    return child;
  }

  /** All lines of the log, each of which has to be JSON. */
  const lines = (stdout: string) =>
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly msg: string; readonly time: string });

  // By the clock on the wall, of which others on the machine can take their share.
  it.each(["SIGTERM", "SIGINT"] as const)(
    "serve ends quickly and well by %s",
    { retry: 2 },
    async (signal) => {
      const child = await serve();
      child.kill(signal);
      const { code, stdout, stderr } = await child.ended;
      expect([code, stderr]).toEqual([0, ""]);
      const [ending, ended] = lines(stdout).slice(-2);
      expect([ending?.msg, ended?.msg]).toEqual(["ending", "ended"]);
      // The webhook alone goes on for 5 s, until it is out of its Service.
      expect(Date.parse(ended!.time) - Date.parse(ending!.time)).toBeLessThan(5000);
    },
  );

  it("a terminal's Ctrl-C, which reaches launcher and child alike, is one signal", async () => {
    const child = await serve();
    // It holds the end up for a second, so that the child is there for the second signal.
    const { admin } = await child.serving();
    const silent = connect(admin, "127.0.0.1");
    onTestFinished(() => void silent.destroy());
    await once(silent, "connect");
    child.killGroup("SIGINT");
    const { code, stdout } = await child.ended;
    expect(code).toBe(0);
    expect(
      lines(stdout)
        .map(({ msg }) => msg)
        .slice(-2),
    ).toEqual(["ending", "ended"]);
  });
});

test("npx runs it in a checkout", async () => {
  const { code, stdout } = await runChild("npx", ["nix-closure", "--version"], { cwd: project });
  expect([code, stdout]).toEqual([0, `${version}\n`]);
});

test("reads nix-closure.yaml of the current directory", async () => {
  const cwd = await scratch();
  await copyFile(await configFile(), join(cwd, "nix-closure.yaml"));
  const { code, stdout } = await runChild(process.execPath, [launcher, "plan", hello], { cwd });
  expect([code, stdout]).toEqual([0, expect.stringContaining("per-path: 5 volumes")]);
});

test("a reader that has seen enough is no error", async () => {
  const config = await configFile();
  const script = `"$0" "$@" | head -c 10; echo; echo "\${PIPESTATUS[0]}"`;
  const args = ["-c", script, process.execPath, launcher, "inject", "--config", config, "-f", "-"];
  const items = Array.from({ length: 5000 }, (_, i) => ({
    kind: "ConfigMap",
    data: { [`key${i}`]: "value" },
  }));
  const stdin = JSON.stringify({ kind: "List", items });
  expect(await runChild("bash", args, { stdin })).toMatchObject({
    stdout: `${stdin.slice(0, 10)}\n0\n`,
    stderr: "",
  });
});
