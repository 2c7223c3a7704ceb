import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { parseRoot } from "../../src/nix/store-path.ts";
import { copyFromStore } from "../../src/push/local-store.ts";
import { failureOf, resolverOf, temporaryDirectory } from "../resolver/fixture.ts";
import { hello } from "../service/demo-cache.ts";
import { installFakeNix } from "./fake-nix.ts";

const root = parseRoot(hello);
const never = new AbortController().signal;

/** A scratch directory, and a directory with a program named nix. */
async function machine(program?: string): Promise<{ directory: string; env: { PATH: string } }> {
  const base = await temporaryDirectory();
  const [directory, bin] = [join(base, "scratch"), join(base, "bin")];
  await mkdir(directory);
  await mkdir(bin);
  await installFakeNix(bin, program);
  return { directory, env: { PATH: bin } };
}

test("what Nix has copied is trusted by a key of its own, and by no other", async () => {
  const { directory, env } = await machine();
  const { url, publicKey } = await copyFromStore([root], { directory, env, signal: never });
  const resolver = resolverOf(url, { publicKeys: [publicKey] });
  expect((await resolver.resolve("main", [root])).paths).toHaveLength(5);
  const stranger = resolverOf(url);
  expect((await failureOf(stranger.resolve("main", [root]))).code).toBe("PATH_UNTRUSTED");
  const [keyFile = ""] = (await readdir(directory)).filter((name) => name.endsWith(".key"));
  expect((await stat(join(directory, keyFile))).mode & 0o777).toBe(0o600);
});

test("Nix is asked for a closure without compression, and without a question about signatures", async () => {
  const { directory, env } = await machine(`#!/bin/sh\nprintf '%s\\n' "$@" > "$0.args"\n`);
  await copyFromStore([root, root], { directory, env, signal: never });
  const args = (await readFile(join(env.PATH, "nix.args"), "utf8")).trim().split("\n");
  expect(args).toEqual([
    "--extra-experimental-features",
    "nix-command",
    "copy",
    "--no-check-sigs",
    "--to",
    `file://${directory}/store?compression=none&write-nar-listing=true&secret-key=${directory}/store.key`,
    hello,
    hello,
  ]);
});

describe("it fails in words", () => {
  test("where there is no Nix", async () => {
    const { directory } = await machine();
    const error = await failureOf(
      copyFromStore([root], { directory, env: { PATH: directory }, signal: never }),
    );
    expect(error.code).toBe("NIX_FAILED");
    expect(error.message).toContain("there is no nix on the PATH; name a cache with --from");
  });

  test("with what Nix says of it, without its colours", async () => {
    const { directory, env } = await machine(
      `#!/bin/sh\necho 'warning: x' >&2\nprintf '\\033[31;1merror:\\033[0m path is\\n       not valid\\n' >&2\nexit 1\n`,
    );
    const error = await failureOf(copyFromStore([root], { directory, env, signal: never }));
    expect(error.message).toContain("which failed: error: path is not valid; name");
  });

  test("with how it ended where it says nothing", async () => {
    for (const [program, ended] of [
      ["exit 7", "7"],
      ["kill -9 $$", "SIGKILL"],
    ]) {
      const { directory, env } = await machine(`#!/bin/sh\n${program}\n`);
      const error = await failureOf(copyFromStore([root], { directory, env, signal: never }));
      expect(error.message).toContain(`it ended with ${ended}`);
    }
  });

  test("for a directory that cannot be a part of its URL", async () => {
    const { env } = await machine();
    const error = await failureOf(copyFromStore([root], { directory: "/tmp/a b", env, signal: never }));
    expect(error.code).toBe("SCRATCH_FAILED");
  });
});

test("it ends with the push", async () => {
  const { directory, env } = await machine(`#!/bin/sh\necho $$ > "$0.pid"\nexec sleep 60\n`);
  const stop = new AbortController();
  const copied = copyFromStore([root], {
    directory,
    env: { PATH: `${env.PATH}:/bin:/usr/bin` },
    signal: stop.signal,
  });
  const pid = await (async () => {
    for (;;) {
      const text = await readFile(join(env.PATH, "nix.pid"), "utf8").catch(() => "");
      if (text.endsWith("\n")) return Number(text);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  stop.abort(new Error("enough"));
  await expect(copied).rejects.toThrow("enough");
  expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
});
