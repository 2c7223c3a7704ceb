import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createReview, exampleIdentity, readDemoPod } from "../demo/review.ts";
import { runInShell, startScript } from "./demo/process.ts";

/** Whether this machine lets us make namespaces; asked without the demo's own code. */
const namespaces =
  process.arch === "x64" &&
  spawnSync("unshare", ["--mount", "--pid", "--fork", "--map-root-user", "true"]).status === 0;

const scratch = mkdtempSync(join(tmpdir(), "nix-closure-demo-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const roots = [
  {
    root: "hello-app",
    paths: 5,
    images: 6,
    tree: "└─ r0hhs9ipmcrcypldz9d9rqiya66f49fi-bash-5.2.15  6.5 MiB",
    mount: "mountPath: /nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app",
    program: /^ {3}\$ run\n {3}Hello, world!\n/m,
  },
  {
    root: "nginx",
    paths: 14,
    images: 15,
    tree: "   q0ningk88png4ipb9hm8ja6av167wdzk-nginx-app-1.0  1.9 KiB",
    mount: "mountPath: /nix/store/q0ningk88png4ipb9hm8ja6av167wdzk-nginx-app-1.0",
    program:
      /^ {3}\$ nginx-app\n {3}GET .*: nginx\/1\.22\.1, up in .*\n {3}hello from a nix closure\n {3}stopped\n/m,
  },
  {
    root: "2xm8zk49wy4fsqr9jhsi4wdxwdlc308i-python3-defaults-3.11.2-1+b1",
    paths: 20,
    images: 21,
    tree: "   2xm8zk49wy4fsqr9jhsi4wdxwdlc308i-python3-defaults-3.11.2-1+b1  86.3 KiB",
    mount: "mountPath: /nix/store/2xm8zk49wy4fsqr9jhsi4wdxwdlc308i-python3-defaults-3.11.2-1+b1",
    program: /^ {3}Python 3\.11\.2 .*\n {3}OpenSSL 3\.0\..*\n {3}SQLite 3\.40\.1\n/m,
  },
  {
    root: "/nix/store/qk79bwpv0lwx4gm27p3h754sl2n6rsh7-mixed-app-1.0",
    paths: 8,
    images: 7,
    tree: "abir7cbzpz5wahbx68yxzcxjskqg200x-mixed-greet  392 B",
    mount: "mountPath: /nix/store\n",
    program: /^ {3}\$ mixed-app\n {3}greeting: from a file store path\n {3}Hello, world!\n/m,
  },
];

describe("npm run demo", () => {
  test.each(roots)(
    "shows $root from annotation to program",
    async ({ root, paths, images, tree, mount, program }) => {
      const demo = await startScript("demo.ts", [root]).ended;
      expect(demo).toMatchObject({ code: 0, stderr: "", leftFiles: [], leftProcesses: false });
      expect(demo.stdout).toContain(tree);
      expect(demo.stdout).toContain(`${paths} paths, `);
      expect(demo.stdout).toContain(mount);
      expect(demo.stdout).toMatch(
        /^ {3}- {6}image: nix\.closure\/base\n {3}\+ {6}image: localhost:[0-9]+\/base:1\n/m,
      );
      expect(demo.stdout).toContain(`   ${images} images, `);
      expect(demo.stdout).toContain(`${paths} of ${paths} store paths have the NAR hash`);
      expect(demo.stdout).toMatch(namespaces ? program : /^6 {2}Not run\n/m);
      expect(demo.stdout).toMatch(/\nDone in [0-9.]+ m?s; nothing is left behind\.\n$/);
    },
  );

  test("writes no escape codes and no progress into a pipe", async () => {
    const { stdout } = await startScript("demo.ts").ended;
    expect(stdout).toContain("Done in");
    // oxlint-disable-next-line no-control-regex -- it is what is looked for
    expect(stdout).not.toMatch(/[\u001b\r]/);
  });

  test("says in a line that the cache has no such root", async () => {
    const demo = await startScript("demo.ts", ["nothing"]).ended;
    expect(demo).toMatchObject({ code: 1, stdout: "", leftFiles: [], leftProcesses: false });
    expect(demo.stderr).toMatch(/^demo: the demo's cache has no "nothing"; its apps are hello-app, .*\n$/);
  });

  test("says in a line that several store paths fit", async () => {
    const demo = await startScript("demo.ts", ["bash"]).ended;
    expect(demo).toMatchObject({ code: 1, stdout: "", leftFiles: [] });
    expect(demo.stderr).toMatch(
      /^demo: "bash" fits several store paths: cigi1.*-bash-5\.2\.15-2\+b13, r0hhs.*-bash-5\.2\.15\n$/,
    );
  });

  test("goes without running the program where nothing can be unshared", async () => {
    const tools = toolsWith("tar");
    const demo = await startScript("demo.ts", [], { PATH: tools }).ended;
    expect(demo).toMatchObject({ code: 0, stderr: "", leftFiles: [] });
    expect(demo.stdout).toContain("5 of 5 store paths have the NAR hash");
    expect(demo.stdout).toMatch(
      /6 {2}Not run\n {3}there is no unshare .*; the unpacked tree was checked above\n/,
    );
  });

  test("says in a line that tar is missing", async () => {
    const demo = await startScript("demo.ts", [], { PATH: toolsWith() }).ended;
    expect(demo).toMatchObject({ code: 1, leftFiles: [], leftProcesses: false });
    expect(demo.stderr).toBe("demo: there is no tar on this machine, which unpacks the images; install it\n");
  });

  test.each(["1  ", "4  ", "5  ", ...(namespaces ? ["$ nginx-app"] : [])])(
    "leaves nothing behind when it is interrupted at %j",
    async (text) => {
      const demo = startScript("demo.ts", ["nginx"]);
      await demo.shows(text);
      demo.interrupt();
      expect(await demo.ended).toMatchObject({
        code: 130,
        stderr: "demo: interrupted by SIGINT\n",
        leftFiles: [],
        leftProcesses: false,
      });
    },
  );
});

describe("npm start", () => {
  test("prints commands that work", async () => {
    const start = startScript("start.ts", [join(scratch, "certs")]);
    await start.shows("/metrics\n");
    const commands = [...start.stdout().matchAll(/^ {3}((?:curl|npx) (?:.*[\\|]\n)*.*)$/gm)].map(
      ([, command]) => command ?? "",
    );
    const answers = commands.map((command) => runInShell(command));
    start.interrupt();
    const ended = await start.ended;
    expect(answers.map(({ status }) => status)).toEqual(commands.map(() => 0));
    const [patch, closure, plan, injected, index, metrics] = answers.map(({ stdout }) => stdout);
    expect(JSON.parse(patch ?? "")).toContainEqual({
      op: "add",
      path: "/spec/containers/0/imagePullPolicy",
      value: "IfNotPresent",
    });
    expect(closure).toContain("5 paths, 20.0 MiB");
    expect(plan).toContain("per-path: 5 volumes, 5 paths, 20.0 MiB");
    expect(injected).toContain("mountPath: /nix/var/nix/profiles/default");
    expect(JSON.parse(index ?? "")).toMatchObject({ mediaType: "application/vnd.oci.image.index.v1+json" });
    expect(metrics).toContain("nix_closure_");
    expect(ended).toMatchObject({ code: 0, stderr: "", leftFiles: [], leftProcesses: false });
  });
});

test("demo/review.json is the review of demo/pod.yaml", async () => {
  const kept: unknown = JSON.parse(readFileSync(new URL("../demo/review.json", import.meta.url), "utf8"));
  expect(kept).toEqual(createReview(await readDemoPod(), exampleIdentity));
});

/** A directory for PATH with these programs alone. */
function toolsWith(...programs: readonly string[]): string {
  const directory = join(scratch, ["tools", ...programs].join("-"));
  mkdirSync(directory);
  for (const program of programs) {
    const found = spawnSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).stdout.trim();
    symlinkSync(found, join(directory, program));
  }
  return directory;
}
