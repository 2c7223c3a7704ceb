/**
 * Names in registries of others: each platform's images as skopeo pulls them by the references that Pods have, and the
 * three tags of a name carried to another registry.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { makeKeyPair } from "../../src/nix/key-pair.ts";
import type { Pod } from "../../src/patch/pod.ts";
import { run as runCommand } from "../programs/command.ts";
import { makeCacheOfTwoSystems, otherPath } from "../push/other-system.ts";
import { hello, nginx } from "../service/demo-cache.ts";
import { run, scratchDirectory, suite } from "./fixture.ts";
import { OrdinaryRegistry, type OrdinaryRegistryName, ordinaryRegistryNames } from "./ordinary-registry.ts";
import { launcher } from "./push-machine.ts";

const directory = join(suite.directory, "names");
await mkdir(directory);
const { url, publicKeys } = makeCacheOfTwoSystems(join(directory, "cache"));
const key = makeKeyPair("shop-1");
const keyFile = join(directory, "shop-1.secret");
await writeFile(keyFile, key.secretKey);

/** ELF's numbers of the machines, in Go's words (EM_X86_64, EM_AARCH64). */
const machines = { amd64: 62, arm64: 183 } as const;
type Architecture = keyof typeof machines;
const architectures = Object.keys(machines) as Architecture[];

let files = 0;

async function configWith(sources: object): Promise<string> {
  const file = join(directory, `config-${files++}.yaml`);
  const [defaultSource] = Object.keys(sources);
  await writeFile(file, stringify({ sources, defaultSource }));
  return file;
}

async function closures(...args: readonly string[]): Promise<string> {
  return runCommand(process.execPath, [launcher, ...args], {
    env: { ...suite.env, XDG_CACHE_HOME: join(directory, "xdg") },
  });
}

interface Pushed {
  readonly name: {
    readonly unchanged: boolean;
    readonly store: { readonly tag: string };
    readonly profile: { readonly tag: string };
  };
  readonly sent: { readonly bytes: number };
  readonly manifests: number;
}

async function push(to: string, name: string, root: string): Promise<Pushed> {
  const config = await configWith({ demo: { caches: [url], publicKeys } });
  const systems = [`x86_64-linux=${root}`, `aarch64-linux=${otherPath(root)}`];
  const words = ["push", "--json", "--config", config, "--to", to, "--sign-key", keyFile, "--name", name];
  return JSON.parse(await closures(...words, ...systems.flatMap((word) => ["--system", word]))) as Pushed;
}

/** The references of a Pod with a name, by where they are mounted. */
async function referencesOf(repository: string, name: string): Promise<ReadonlyMap<string, string>> {
  const config = await configWith({ shop: { registry: repository, publicKeys: [key.publicKey] } });
  const file = join(directory, `pod-${files++}.yaml`);
  const metadata = { annotations: { "nix.closure": `shop:${name}` } };
  const spec = { containers: [{ name: "app", image: "debian:13" }] };
  await writeFile(file, stringify({ kind: "Pod", metadata, spec }));
  const { spec: injected } = parse(await closures("inject", "--config", config, "-f", file)) as Pod;
  const mounts = injected.containers[0]!.volumeMounts ?? [];
  return new Map(
    mounts.map(({ name: volume, mountPath }) => {
      const found = injected.volumes!.find((one) => one.name === volume);
      return [mountPath, found!.image!.reference!];
    }),
  );
}

/** Pulls an image as a node of an architecture does. @returns a directory with its content, and its architecture */
async function pull(
  reference: string,
  architecture: Architecture,
): Promise<{ readonly content: string; readonly architecture: string }> {
  const scratch = await scratchDirectory();
  const [image, content] = [join(scratch, "image"), join(scratch, "content")];
  await mkdir(content);
  const skopeo = [
    "--override-os",
    "linux",
    "--override-arch",
    architecture,
    "copy",
    "--src-tls-verify=false",
  ];
  await run("skopeo", ...skopeo, `docker://${reference}`, `dir:${image}`);
  const manifest = JSON.parse(await readFile(join(image, "manifest.json"), "utf8")) as {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string }[];
  };
  const blob = async (digest: string): Promise<Buffer> =>
    readFile(join(image, digest.replace("sha256:", "")));
  for (const { digest } of manifest.layers) {
    const tar = join(scratch, "layer.tar");
    await writeFile(tar, zstdDecompressSync(await blob(digest)));
    await run("tar", "--extract", "--no-same-owner", "--file", tar, "--directory", content);
  }
  const config = JSON.parse((await blob(manifest.config.digest)).toString()) as { architecture: string };
  return { content, architecture: config.architecture };
}

async function machineOf(file: string): Promise<number> {
  return (await readFile(file)).readUInt16LE(18);
}

/** A registry with the name `hello-1`, and what a Pod refers to then. */
async function withName(kind: OrdinaryRegistryName) {
  const registry = await OrdinaryRegistry.start(kind, join(directory, kind));
  afterAll(() => registry[Symbol.asyncDispose]());
  const repository = `${registry.host}/team/nix`;
  const pushed = await push(repository, "hello-1", hello);
  return { kind, registry, repository, pushed, references: await referencesOf(repository, "hello-1") };
}

const root = { amd64: hello, arm64: otherPath(hello) };
const registries = await Promise.all(ordinaryRegistryNames.map(withName));

describe.each(registries)("in $kind", ({ kind, registry, repository, pushed, references }) => {
  test("a Pod has two references with digests", () => {
    expect([...references.keys()]).toEqual(["/nix/store", "/nix/var/nix/profiles/default"]);
    for (const reference of references.values()) expect(reference).toContain(`${repository}@sha256:`);
  });

  test.for(architectures)("a node of %s pulls the store and the profile of its own system", async (node) => {
    const store = await pull(references.get("/nix/store")!, node);
    expect(store.architecture).toBe(node);
    const paths = await readdir(store.content);
    expect(paths).toContain(root[node].slice("/nix/store/".length));
    expect(paths).toHaveLength(5);
    const program = paths.find((path) => path.endsWith("-hello-2.10"))!;
    expect(await machineOf(join(store.content, program, "bin/hello"))).toBe(machines[node]);
    const profile = await pull(references.get("/nix/var/nix/profiles/default")!, node);
    expect(profile.architecture).toBe(node);
    expect(await readdir(join(profile.content, "bin"))).toEqual(
      await readdir(join(store.content, root[node].slice("/nix/store/".length), "bin")),
    );
  });

  test("a second push sends nothing", async () => {
    const again = await push(repository, "hello-1", hello);
    expect([again.name.unchanged, again.sent.bytes, again.manifests]).toEqual([true, 0, 0]);
  });

  test("skopeo carries a name with its two other tags, and Pods have the same digests from there", async () => {
    const layout = join(await scratchDirectory(), "layout");
    const { store, profile } = pushed.name;
    for (const tag of ["hello-1", store.tag, profile.tag]) {
      const from = `docker://${repository}:${tag}`;
      await run("skopeo", "copy", "--all", "--src-tls-verify=false", from, `oci:${layout}:${tag}`);
      const to = `docker://${registry.host}/carried:${tag}`;
      await run("skopeo", "copy", "--all", "--dest-tls-verify=false", `oci:${layout}:${tag}`, to);
    }
    const carried = await referencesOf(`${registry.host}/carried`, "hello-1");
    const digests = (of: ReadonlyMap<string, string>): readonly unknown[] =>
      [...of].map(([path, reference]) => [path, reference.split("@")[1]]);
    expect(digests(carried)).toEqual(digests(references));
    expect((await pull(carried.get("/nix/store")!, "arm64")).architecture).toBe("arm64");
  });

  test("garbage collection leaves what a name stood for before it was moved", async () => {
    await push(repository, "moving", nginx);
    const before = await referencesOf(repository, "moving");
    await push(repository, "moving", hello);
    // docker-registry loses the images of every index with it.
    await registry.collectGarbage(...(kind === "distribution" ? ["--delete-untagged"] : []));
    expect(await referencesOf(repository, "moving")).toEqual(references);
    for (const reference of before.values()) {
      for (const node of architectures) expect((await pull(reference, node)).architecture).toBe(node);
    }
  });
});
