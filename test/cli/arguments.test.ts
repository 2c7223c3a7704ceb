import { writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { version } from "../../src/cli/version.ts";
import { demoSource, demoUrl, DemoCacheServer, hello, mixed, unknown } from "../service/demo-cache.ts";
import { cli, configFile, fileWith, scratch } from "./fake-process.ts";

const commands = ["serve", "inject", "resolve", "plan", "certs"];

describe("help", () => {
  test.each([[["--help"]], [["-h"]], [[]]])("of %o names every command", async (args) => {
    const { code, stdout, stderr } = await cli(args);
    expect([code, stderr]).toEqual([0, ""]);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command}  `, "m"));
  });

  test.each([
    ["serve", ["--config", "--role", "--log-level"]],
    ["inject", ["--config", "--file", "-f"]],
    ["resolve", ["--config", "--json", "ROOT..."]],
    [
      "plan",
      ["--config", "--json", "--strategy", "--with", "--why", "ROOT...", "auto|per-path|packed|bundle"],
    ],
    ["certs", ["--out", "--days", "--name", "--service", "--namespace", "--keep-ca-key", "--force"]],
  ])("of %s names every flag", async (command, flags) => {
    const { code, stdout, stderr } = await cli([command, "--help"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(new RegExp(`^USAGE\n  nix-closure ${command} `));
    for (const flag of flags) expect(stdout).toContain(flag);
  });

  test("is not needed for the version", async () => {
    expect(await cli(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});

describe("exit code 2: something that the caller wrote is wrong", () => {
  test.each<[readonly string[], RegExp]>([
    [["resolv", hello], /No command .*`resolv`, did you mean `resolve`\?/],
    [["bogus"], /No command registered for `bogus`/],
    [["resolve", "--jso", hello], /No flag registered for --jso, did you mean --json\?/],
    [["resolve"], /at least 1 argument\(s\) for ROOT/],
    [["plan"], /at least 1 argument\(s\) for ROOT/],
    [["plan", "--strategy", "fast", hello], /"fast" to be one of \(auto\|per-path\|packed\|bundle\)/],
    [["plan", hello, "--with"], /input for flag --with/],
    [["plan", hello, "--why", "a", "--why", "b"], /Too many .*--why/],
    [["inject"], /input for flag --file/],
    [["inject", "--file", "a", "b"], /Too many arguments/],
    [["serve", "--role", "x"], /one of \(webhook\|registry\|all\)/],
    [["serve", "--log-level", "loud"], /one of \(trace\|/],
    [["certs", "--days", "many"], /many/],
    [["certs", "--days", "0"], /0 days.*\[CERTIFICATE_INVALID/],
    [["certs", "--name", "not a name"], /"not a name": is not a DNS name.*\[CERTIFICATE_INVALID/],
    [["resolve", "--config", "/none.yaml", hello], /cannot read \/none\.yaml: .*\[FILE_UNREADABLE/],
    [["inject", "-f", "/none.yaml"], /cannot read \/none\.yaml: .*\[FILE_UNREADABLE/],
    [["inject", "-f", "/"], /cannot read \/: .*\[FILE_UNREADABLE/],
  ])("%o", async (args, words) => {
    const { code, stdout, stderr } = await cli(args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(words);
    expect(stderr.trimEnd()).not.toContain("\n");
  });

  test.each<[string, readonly string[], RegExp]>([
    ["no store path", ["hello"], /"hello" is not a store path.*\[STORE_PATH_INVALID/],
    ["a file below one", [`${hello}/bin/hello`], /\[STORE_PATH_INVALID/],
    ["a derivation", [`${hello}.drv`], /write its output path.*\[STORE_PATH_INVALID/],
    ["a source that is not there", [`nixos:${hello}`], /"nixos"; .*sources are: demo \[SOURCE_UNKNOWN/],
    ["a source without a path", ["demo:"], /names no store path.*\[ROOTS_MISSING/],
    ["two of these", ["x", `y:${hello}`], /"x" is not.*\[STORE_PATH_INVALID\]; .*\[ANNOTATIONS_INVALID/],
  ])("a root that is %s", async (_, roots, words) => {
    const config = await configFile();
    for (const command of ["resolve", "plan"]) {
      const { code, stdout, stderr } = await cli([command, "--config", config, ...roots]);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(words);
    }
  });

  test.each<[string, string, RegExp]>([
    ["no YAML", "sources: [", /not YAML.*\[CONFIG_INVALID/],
    ["a key that is unknown", "plans: {}", /unknown key plans; did you mean plan\?.*\[CONFIG_INVALID/],
    [
      "a cache that cannot be used",
      "sources: {a: {caches: ['https://a?b=c']}}",
      /"https:\/\/a\?…" is not a cache.*\[CACHE_URL_INVALID/,
    ],
  ])("a configuration with %s", async (_, text, words) => {
    const { code, stdout, stderr } = await cli(["resolve", "--config", await fileWith(text), hello]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(words);
  });

  test.each<[string, string]>([
    ["no YAML", "a: [1"],
    ["an alias without an anchor", "a: *b"],
  ])("a manifest that is %s", async (_, text) => {
    const { code, stdout, stderr } = await cli([
      "inject",
      "-f",
      await fileWith(text),
      "--config",
      await configFile(),
    ]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/manifest\.yaml is not a Kubernetes manifest: .*\[MANIFEST_INVALID/);
    expect(stderr.trimEnd()).not.toContain("\n");
  });

  test("a directory that lies below a file", async () => {
    const { code, stderr } = await cli(["certs", "--out", join(await fileWith(""), "below")]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/cannot read .*ca\.pem: ENOTDIR.*\[FILE_UNREADABLE/),
    ]);
  });

  test.each(["registry", "all"])("the role %s without a registry", async (role) => {
    const config = await configFile({ registry: { enabled: false } });
    const { code, stderr } = await cli(["serve", "--role", role, "--config", config]);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      new RegExp(`registry\\.enabled: false .* the role ${role}; .*--role webhook".*\\[CONFIG_INVALID`),
    );
  });

  test("a certificate that is not there, with the fix", async () => {
    const config = await configFile({
      webhook: { certFile: "/none/tls.pem" },
      admin: { listen: "127.0.0.1:0" },
    });
    const { code, stderr } = await cli([
      "serve",
      "--role",
      "webhook",
      "--log-level",
      "silent",
      "--config",
      config,
    ]);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /certificate \/none\/tls\.pem: there is no such file; make one with "nix-closure certs"/,
    );
  });
});

describe("exit code 3: understood and refused", () => {
  test.each<[string, object, string, RegExp]>([
    ["an unknown path", {}, unknown, /is not in file:.*\[PATH_UNKNOWN/],
    ["no trusted signature", { sources: { demo: { caches: [demoUrl] } } }, hello, /\[PATH_UNTRUSTED/],
    ["too many paths", { plan: { maxPaths: 2 } }, mixed, /more than 2 paths.*\[CLOSURE_TOO_MANY_PATHS/],
    ["too many bytes", { plan: { maxBytes: "1Mi" } }, mixed, /1\.0 MiB.*\[CLOSURE_TOO_LARGE/],
  ])("%s", async (_, changes, root, words) => {
    const config = await configFile(changes);
    for (const command of ["resolve", "plan"]) {
      const { code, stdout, stderr } = await cli([command, "--config", config, root]);
      expect([code, stdout]).toEqual([3, ""]);
      expect(stderr).toMatch(words);
      expect(stderr).toMatch(/^nix-closure: [^\n]*, see docs\/errors\.md#[a-z_]+\]\n$/);
    }
  });

  test("a file in the way of a certificate", async () => {
    const directory = await scratch();
    await writeFile(join(directory, "tls.pem"), "mine");
    const { code, stderr } = await cli(["certs", "--out", directory]);
    expect([code, stderr]).toEqual([3, expect.stringMatching(/tls\.pem exists.*--force.*\[FILE_EXISTS/)]);
  });
});

test("exit code 4: a cache that is down", async () => {
  const cache = await DemoCacheServer.start();
  const config = await configFile({ sources: { demo: demoSource(cache.url) } });
  await cache[Symbol.asyncDispose]();
  const { code, stdout, stderr } = await cli(["resolve", "--config", config, hello]);
  expect([code, stdout]).toEqual([4, ""]);
  expect(stderr).toMatch(/could not be asked.*try again \[CACHE_UNAVAILABLE/);
});

describe("exit code 1: the machine failed us", () => {
  let port: number;
  let close: () => void;
  beforeAll(async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ({ port } = server.address() as AddressInfo);
    close = () => server.close();
    return close;
  });

  test("a port is taken", async () => {
    const config = await configFile({
      admin: { listen: `127.0.0.1:${port}` },
      registry: { listen: "127.0.0.1:0", blobs: { directory: await scratch() } },
    });
    const { code, stderr } = await cli([
      "serve",
      "--role",
      "registry",
      "--log-level",
      "silent",
      "--config",
      config,
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /cannot listen on 127\.0\.0\.1:\d+: another process .*admin\.listen.*\[PORT_UNAVAILABLE/,
    );
  });
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "exit code 0: a registry that was told to end by %s",
  async (signal) => {
    const config = await configFile({
      admin: { listen: "127.0.0.1:0" },
      registry: { listen: "127.0.0.1:0", blobs: { directory: await scratch() } },
    });
    const args = ["serve", "--role", "registry", "--log-level", "silent", "--config", config];
    let asked = 0;
    onTestFinished(() => expect(asked).toBe(1));
    const ended = async () => {
      asked++;
      return signal;
    };
    expect(await cli(args, { ended })).toMatchObject({ code: 0, stdout: "", stderr: "" });
  },
);
