import { mkdtempSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, describe, expect, onTestFinished, test } from "vitest";

import { parseClosureName } from "../../src/closure-index/closure-name.ts";
import type { NamedImages } from "../../src/closure-index/named-images.ts";
import { makeKeyPair } from "../../src/nix/key-pair.ts";
import { resolverWith } from "../resolver/fixture.ts";
import { hello, mixed, mixedFile, nginx } from "../service/demo-cache.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { makeCacheOfTwoSystems, otherPath } from "./other-system.ts";
import { Pusher, type PushJson } from "./pusher.ts";

const web = parseClosureName("web-1.2");

interface NamedJson extends PushJson {
  readonly name: {
    readonly name: string;
    readonly reference: string;
    readonly digest?: string;
    readonly systems: Readonly<Record<string, string>>;
    readonly store: { readonly tag: string; readonly digest: string };
    readonly profile?: { readonly tag: string; readonly digest: string };
    readonly unchanged: boolean;
    readonly replaced?: string;
  };
}

interface Machine {
  readonly registry: MemoryRegistry;
  readonly pusher: Pusher;
  /** Runs the command with these arguments, and expects that it succeeds. */
  readonly push: (...args: readonly string[]) => Promise<NamedJson>;
  /** What the registry has under a name, as the webhook reads it. */
  readonly read: (name?: string) => Promise<NamedImages>;
}

const directory = mkdtempSync(join(tmpdir(), "nix-closure-names-"));
afterAll(() => rmSync(directory, { recursive: true }));
const { url, publicKeys } = makeCacheOfTwoSystems(join(directory, "cache"));

/** A machine with a cache that has closures of two systems. */
async function machine(registry?: MemoryRegistry): Promise<Machine> {
  const to = registry ?? (await MemoryRegistry.start());
  const pusher = await Pusher.make(to, { sources: { demo: { caches: [url], publicKeys } } });
  return {
    registry: to,
    pusher,
    push: async (...args) => (await pusher.push(...args)) as NamedJson,
    read: async (name = web) => {
      const source = { name: "shop", registry: `${to.host}/nix`, publicKeys: [pusher.publicKey.text] };
      const resolver = resolverWith([source]);
      return resolver.named("shop", parseClosureName(name));
    },
  };
}

const intel = (root: string): readonly string[] => ["--system", `x86_64-linux=${root}`];
const arm = (root: string): readonly string[] => ["--system", `aarch64-linux=${otherPath(root)}`];
const both = (root: string): readonly string[] => ["--name", web, ...intel(root), ...arm(root)];

interface Index {
  readonly artifactType?: string;
  readonly manifests: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly artifactType?: string;
    readonly platform?: { readonly architecture: string; readonly os: string };
  }[];
}

describe("a name for two systems", () => {
  test("is what the webhook reads: each system's closure, and platform indexes of plain manifests", async () => {
    const { registry, push, read } = await machine();
    const { closures, name } = await push(...both(nginx));
    expect(registry.broken("nix")).toEqual([]);
    expect(closures.map(({ system, roots }) => [system, roots])).toEqual([
      ["x86_64-linux", [nginx]],
      ["aarch64-linux", [otherPath(nginx)]],
    ]);
    const named = await read();
    expect(named.document.closures.map(({ system, root, paths }) => [system, root, paths])).toEqual([
      ["aarch64-linux", otherPath(nginx), 14],
      ["x86_64-linux", nginx, 14],
    ]);
    expect(name).toMatchObject({
      name: web,
      reference: `${registry.host}/nix:web-1.2`,
      systems: { "aarch64-linux": otherPath(nginx), "x86_64-linux": nginx },
      store: { digest: named.store },
      profile: { digest: named.profile },
      unchanged: false,
    });

    for (const [kind, { tag, digest }] of Object.entries({ store: name.store, profile: name.profile! })) {
      const { hashes, check } = /^(?<hashes>\w{32}_\w{32})\.(?<check>[0-9a-f]{16})\.(?:store|profile)$/.exec(
        tag,
      )!.groups!;
      expect(tag.endsWith(`.${kind}`)).toBe(true);
      expect(hashes).toBe([otherPath(nginx), nginx].map((path) => path.slice(11, 43)).join("_"));
      expect(digest).toContain(`sha256:${check}`);
      expect(registry.repository("nix").tags.get(tag)).toBe(digest);
      const { manifests } = registry.manifest("nix", digest) as unknown as Index;
      expect(manifests.map(({ platform }) => platform)).toEqual([
        { architecture: "arm64", os: "linux" },
        { architecture: "amd64", os: "linux" },
      ]);
      for (const { mediaType, digest: image, platform } of manifests) {
        expect(mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
        const { config } = registry.manifest("nix", image) as { config: { digest: string } };
        const { architecture } = JSON.parse(registry.blobs.get(config.digest)!.toString()) as {
          architecture: string;
        };
        expect(architecture).toBe(platform!.architecture);
      }
    }
    const index = registry.manifest("nix", web) as unknown as Index;
    expect(index.artifactType).toBe("application/vnd.nix-closure.name.v1");
    expect(index.manifests.map(({ platform }) => platform?.architecture)).toEqual([
      "arm64",
      "amd64",
      "arm64",
      "amd64",
      undefined,
    ]);
  });

  test("has all of each closure in its store image", async () => {
    const { registry, push, read } = await machine();
    await push(...both(hello), "--compression", "none");
    const { closures } = (await read()).document;
    for (const { store, root } of closures) {
      const { layers } = registry.manifest("nix", store.digest) as { layers: { digest: string }[] };
      expect(layers).toHaveLength(1);
      const tar = registry.blobs.get(layers[0]!.digest)!;
      const ofHello = ["hello-app", "hello-2.10", "bash-5.2.15", "glibc-2.36", "ncurses-lib-6.4"];
      for (const path of ofHello) expect(tar.includes(`-${path}/`)).toBe(true);
      expect(tar.includes(root.slice("/nix/store/".length))).toBe(true);
    }
  });

  test("sends nothing the second time, and only what is new the third time", async () => {
    const { registry, push } = await machine();
    const first = await push(...both(hello));
    registry.reset();
    const second = await push(...both(hello));
    expect(registry.writes).toEqual([]);
    expect(registry.received).toBe(0);
    expect([second.sent.blobs, second.manifests]).toEqual([0, 0]);
    expect(second.closures.map(({ unchanged }) => unchanged)).toEqual([true, true]);
    expect(second.name).toEqual({ ...first.name, unchanged: true });
    // Another name for the same: documents alone.
    registry.reset();
    const other = await push(...both(hello).with(1, "latest-web"));
    expect(other.name.store).toEqual(first.name.store);
    expect([other.sent.blobs, other.manifests]).toEqual([1, 2]);
    expect(registry.received).toBeLessThan(8_000);
  });

  test("is pushed again where something of it is missing", async () => {
    const { registry, push, read } = await machine();
    const { name } = await push(...both(hello));
    registry.repository("nix").tags.delete(name.store.tag);
    expect((await push(...both(hello))).name.unchanged).toBe(false);
    expect(registry.repository("nix").tags.get(name.store.tag)).toBe(name.store.digest);
    registry.repository("nix").tags.set(web, name.store.digest);
    expect((await push(...both(hello))).name.replaced).toBe(name.store.digest);
    expect((await push(...both(hello), "--force")).name).toMatchObject({
      unchanged: false,
      digest: name.digest,
    });
    await read();
  });

  test("can be moved, and what it stood for before stays under tags of its own", async () => {
    const { registry, pusher, push, read } = await machine();
    const first = await push(...both(hello));
    const outcome = await pusher.run(...both(nginx));
    expect(outcome.stderr).toContain(
      `nix:web-1.2 was ${first.name.digest} before; images that only it names`,
    );
    const { tags } = registry.repository("nix");
    expect(tags.get(web)).not.toBe(first.name.digest);
    expect(tags.get(first.name.store.tag)).toBe(first.name.store.digest);
    expect(tags.get(first.name.profile!.tag)).toBe(first.name.profile!.digest);
    expect((await read()).document.closures[1]!.root).toBe(nginx);
    expect(registry.broken("nix")).toEqual([]);
  });

  test("has the same digests from every machine, whatever the order of its systems", async () => {
    const all = async (...args: readonly string[]): Promise<readonly unknown[]> => {
      const { registry, push } = await machine();
      await push("--name", web, ...args);
      const tags = [...registry.repository("nix").tags];
      return tags.toSorted(([one], [other]) => (one < other ? -1 : 1));
    };
    const first = await all(...intel(mixed), ...arm(mixed));
    expect(await all(...arm(mixed), ...intel(mixed))).toEqual(first);
    expect(first).toHaveLength(5);
  });

  test("is signed: with another key it is another index over the same images", async () => {
    const { pusher, push } = await machine();
    const first = await push(...both(hello));
    const other = join(pusher.home, "other.secret");
    await writeFile(other, makeKeyPair("shop-2").secretKey);
    const second = await push(...both(hello), "--sign-key", other);
    expect(second.name).toMatchObject({ store: first.name.store, replaced: first.name.digest });
    expect(second.sent.blobs).toBe(0);
  });
});

describe("a name for one system", () => {
  test("is that of its root's programs, or the one that is named", async () => {
    const { push, read } = await machine();
    expect((await push("--name", web, hello)).name.systems).toEqual({ "x86_64-linux": hello });
    expect((await push("--name", "arm", otherPath(hello))).name.systems).toEqual({
      "aarch64-linux": otherPath(hello),
    });
    expect((await push("--name", "intel", ...intel(hello))).name.systems).toEqual({ "x86_64-linux": hello });
    expect((await read("intel")).document.closures).toHaveLength(1);
  });

  test("has no profile where the root is a file", async () => {
    const { push, read } = await machine();
    const { name } = await push("--name", web, ...intel(mixedFile), ...arm(mixedFile));
    expect(name.profile).toBeUndefined();
    expect((await read()).profile).toBeUndefined();
    const { name: half } = await push("--name", "half", ...intel(mixedFile), ...arm(hello));
    expect(half.profile).toBeUndefined();
  });
});

describe("what a dry run says of a name", () => {
  test("is what would be sent, without a key", async () => {
    const { registry, push } = await machine();
    const dry = await push(...both(hello), "--dry-run");
    expect(registry.writes).toEqual([]);
    expect(dry.name.digest).toBeUndefined();
    const wet = await push(...both(hello));
    expect(dry.name.store).toEqual(wet.name.store);
    expect([dry.manifests, dry.sent.blobs]).toEqual([wet.manifests, wet.sent.blobs]);
  });
});

describe("arguments that do not go together are refused", () => {
  test.for<[readonly string[], string]>([
    [[...both(hello), nginx], "write one root, or --system SYSTEM=ROOT for each system"],
    [["--name", web], "write one root, or --system SYSTEM=ROOT for each system"],
    [["--name", web, hello, nginx], "write one root, or --system SYSTEM=ROOT for each system"],
    [[...both(hello), "--together"], "each system has one root"],
    [["--name", "0".repeat(32), ...intel(hello)], "begins like the hash of a store path"],
    [[...intel(hello)], "add --name NAME"],
    [["--name", web, ...intel(hello), ...intel(nginx)], "this system has a root already"],
    [["--name", web, ...intel(hello), "--system", "aarch64-linux"], "its root is missing"],
    [
      ["--name", web, ...intel(hello), "--system", `aarch64-linux=${hello}`],
      "its systems have the same root",
    ],
    [["--name", web, "--system", "x86_64-linux="], "write x86_64-linux or aarch64-linux"],
    [["--name", web, "--system", `riscv64-linux=${hello}`], "write x86_64-linux or aarch64-linux"],
    [["--name", web, "--system", `x86_64-linux=${hello},${nginx}`], "a system has one root"],
    [["--system", "x86_64-linux", "--system", "aarch64-linux", hello], "it is given twice without a root"],
    [["demo:web"], "a name is given with --name"],
  ])("%j", async ([args, why]) => {
    const registry = await MemoryRegistry.start();
    const pusher = await Pusher.make(registry);
    const { code, stderr } = await pusher.run(...args);
    expect(stderr).toContain(why);
    expect(code).toBe(2);
    expect(registry.requests).toEqual([]);
  });
});

test("ended at any write, a push leaves no name that leads to what is missing", async () => {
  const registry = await MemoryRegistry.start();
  const { pusher, push } = await machine(registry);
  let left = 0;
  registry.interfere = (request, response) => {
    const isWrite = request.method !== "GET" && request.method !== "HEAD";
    if (!isWrite || left-- > 0) return false;
    response.writeHead(403).end();
    return true;
  };
  onTestFinished(() => {
    registry.interfere = () => false;
  });
  for (const writes of [0, 3, 9, 14, 2, 2, 1, 1, 1, 1, 1, 1]) {
    left = writes;
    const { code } = await pusher.run(...both(hello));
    expect(registry.broken("nix")).toEqual([]);
    // The name is the last write of all.
    if (registry.repository("nix").tags.has(web)) expect(code).toBe(0);
  }
  registry.interfere = () => false;
  expect((await push(...both(hello))).name.digest).toBeDefined();
});
