import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodeClosureDocument } from "../../src/closure-index/closure-document.ts";
import {
  checkClosureIndex,
  parseClosureIndex,
  parseClosureManifest,
} from "../../src/closure-index/closure-index.ts";
import { verifyClosure } from "../../src/closure-index/closure-signature.ts";
import { type Interference, MemoryRegistry } from "../push/memory-registry.ts";
import { installFakeNix } from "../push/fake-nix.ts";
import { Pusher } from "../push/pusher.ts";
import { demoKey, demoUrl, DemoCacheServer, hello, mixed, nginx, python } from "../service/demo-cache.ts";
import { cli, scratch } from "./fake-process.ts";

const tagOf = (root: string): string => root.slice("/nix/store/".length).slice(0, 32);

async function machine(configuration: object = {}) {
  const registry = await MemoryRegistry.start();
  return { registry, pusher: await Pusher.make(registry, configuration) };
}

/** The closure that a repository has under a tag, as the webhook reads it. */
function readClosure(registry: MemoryRegistry, { publicKey }: Pusher, tag: string, repository = "nix") {
  const { manifests, tags } = registry.repository(repository);
  const index = parseClosureIndex(manifests.get(tags.get(tag) ?? "")!.bytes);
  const { document, signatures } = parseClosureManifest(manifests.get(index.closureManifest.digest)!.bytes);
  const closure = decodeClosureDocument(registry.blobs.get(document.digest)!);
  const statement = { tag, system: closure.system, document: document.digest };
  expect(verifyClosure(signatures, statement, [publicKey])).toBe(publicKey);
  checkClosureIndex(index, closure);
  return closure;
}

/** Answers once with other bytes than a digest stands for. */
function wrongOnce(digest: string): Interference {
  let done = false;
  return (request, response) => {
    if (done || request.method !== "GET" || !request.url?.endsWith(digest)) return false;
    done = true;
    response.end("damaged");
    return true;
  };
}

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly mediaType: string; readonly digest: string; readonly size: number }[];
}

const decompress: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  "application/vnd.oci.image.layer.v1.tar": (bytes) => bytes,
  "application/vnd.oci.image.layer.v1.tar+gzip": gunzipSync,
  "application/vnd.oci.image.layer.v1.tar+zstd": zstdDecompressSync,
};

describe("a pushed closure", () => {
  test.for(["zstd", "gzip", "none"])(
    "is what the webhook reads, and its layers are what they say: %s",
    async (compression) => {
      const { registry, pusher } = await machine();
      const { closures } = await pusher.push(mixed, "--compression", compression);
      expect(closures).toMatchObject([
        { tag: tagOf(mixed), system: "x86_64-linux", paths: 8, unchanged: false },
      ]);
      expect(registry.broken("nix")).toEqual([]);
      const closure = readClosure(registry, pusher, tagOf(mixed));
      expect(closure.roots).toEqual([mixed]);
      expect(closure.paths.filter(({ type }) => type === "directory")).toHaveLength(5);
      expect(closure.storeImages.map(({ own }) => own.length)).toEqual([5]);
      for (const { manifest } of [...closure.paths, ...closure.storeImages]) {
        if (manifest === undefined) continue;
        const { config, layers } = registry.manifest("nix", manifest.digest) as unknown as Manifest;
        const { architecture, rootfs } = JSON.parse(registry.blobs.get(config.digest)!.toString()) as {
          readonly architecture: string;
          readonly rootfs: { readonly diff_ids: readonly string[] };
        };
        expect(architecture).toBe("amd64");
        const tars = layers.map(({ mediaType, digest }) =>
          decompress[mediaType]!(registry.blobs.get(digest)!),
        );
        const diffIds = tars.map((tar) => `sha256:${createHash("sha256").update(tar).digest("hex")}`);
        expect(rootfs.diff_ids).toEqual(diffIds);
      }
    },
  );

  test("says what was done, to a person and as JSON", async () => {
    const { registry, pusher } = await machine();
    const { code, stdout, stderr } = await pusher.run(hello, "--compression", "none");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        [
          "^4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app",
          `  reference  ${registry.host}/nix:4vlwxs24hwlvm23q063xvdmkzvlxjw1s`,
          "  digest     sha256:[0-9a-f]{64}",
          "  closure    x86_64-linux, 5 paths, 20\\.0 MiB, 5 images",
          "sent 12 blobs \\(20\\.\\d MiB\\) and 7 manifests, already there 0 blobs \\(0 B\\), [0-9.]+ s\n$",
        ].join("\n"),
      ),
    );
    expect(stderr).toBe("4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app: 5 paths, 20.0 MiB, 0 store images\n");
    const json = await pusher.push(hello, "--compression", "none");
    expect(json).toEqual({
      repository: `${registry.host}/nix`,
      dryRun: false,
      closures: [
        {
          reference: `${registry.host}/nix:${tagOf(hello)}`,
          tag: tagOf(hello),
          digest: registry.repository("nix").tags.get(tagOf(hello)),
          roots: [hello],
          system: "x86_64-linux",
          paths: 5,
          narSize: 21004592,
          images: 5,
          unchanged: true,
        },
      ],
      sent: { blobs: 0, bytes: 0 },
      present: { blobs: 0, bytes: 0 },
      mounted: { blobs: 0, bytes: 0 },
      manifests: 0,
      seconds: expect.any(Number) as number,
    });
  });
});

describe("a second push", () => {
  test("sends nothing, with four requests; nor does one from another machine", async () => {
    const { registry, pusher } = await machine();
    const first = await pusher.push(python);
    for (const again of [pusher, await Pusher.make(registry)]) {
      registry.reset();
      const { closures, sent } = await again.push(python);
      expect(closures).toEqual([{ ...first.closures[0], unchanged: true }]);
      expect(sent.blobs).toBe(0);
      expect(registry.writes).toEqual([]);
      expect(registry.requests.length).toBeLessThanOrEqual(4);
    }
  });

  test("of a closure that shares paths sends only what is new", async () => {
    const { registry, pusher } = await machine();
    await pusher.push(python);
    const before = new Set(registry.blobs.keys());
    registry.reset();
    const { sent, present } = await pusher.push(nginx);
    const added = [...registry.blobs].filter(([digest]) => !before.has(digest));
    const bytes = added.reduce((sum, [, blob]) => sum + blob.length, 0);
    expect(sent).toEqual({ blobs: added.length, bytes });
    const puts = registry.requests.filter(({ method, path }) => method === "PUT" && path.includes("/blobs/"));
    expect(puts.reduce((sum, put) => sum + put.bytes, 0)).toBe(bytes);
    // glibc and others: path images are the same in both.
    expect(present.blobs).toBeGreaterThan(3);
    const alone = await (await Pusher.make(await MemoryRegistry.start())).push(nginx);
    expect(alone.sent.bytes - sent.bytes).toBe(present.bytes);
  });

  test("with other plans, another compression or another key writes a new index, and says so", async () => {
    const { registry, pusher } = await machine();
    const { closures } = await pusher.push(nginx);
    const old = closures[0]?.digest;
    const other = await scratch();
    await cli(["generate-key", "shop-2", "--out", join(other, "key")]);
    for (const args of [
      ["--plan", "bundle"],
      ["--compression", "gzip"],
      ["--sign-key", join(other, "key")],
    ]) {
      await pusher.push(nginx);
      const { stderr, code } = await pusher.run(nginx, ...args);
      expect(code).toBe(0);
      expect(stderr).toContain(`/nix:${tagOf(nginx)} was ${old} before; images that only it names are`);
      expect(registry.repository("nix").tags.get(tagOf(nginx))).not.toBe(old);
    }
  });

  test("goes on from what is there where the index is lost, damaged or somebody else's", async () => {
    const { registry, pusher } = await machine();
    const { closures } = await pusher.push(hello);
    const { tags, manifests } = registry.repository("nix");
    const digest = tags.get(tagOf(hello))!;
    const whole = manifests.get(digest)!;
    const other = Buffer.from('{"schemaVersion":2}');
    const otherDigest = `sha256:${createHash("sha256").update(other).digest("hex")}`;
    manifests.set(otherDigest, { ...whole, bytes: other });
    for (const damage of [
      () => tags.delete(tagOf(hello)),
      () => tags.set(tagOf(hello), otherDigest),
      () => manifests.delete(parseClosureIndex(whole.bytes).closureManifest.digest),
      () => (registry.interfere = wrongOnce(parseClosureIndex(whole.bytes).closureManifest.digest)),
    ]) {
      damage();
      const again = await pusher.push(hello);
      expect(again.closures[0]).toMatchObject({ digest: closures[0]?.digest, unchanged: false });
      expect(again.sent.blobs).toBe(0);
      expect(registry.broken("nix")).toEqual([]);
    }
  });

  test("makes what the registry has lost, though it is remembered", async () => {
    const { registry, pusher } = await machine();
    const first = await pusher.push(hello);
    registry.repositories.clear();
    registry.blobs.clear();
    const again = await pusher.push(hello);
    expect(again.sent).toEqual(first.sent);
    expect(again.closures).toEqual(first.closures);
    expect(registry.broken("nix")).toEqual([]);
  });

  test("with --force makes everything anew, asks for each blob, and sends only the index", async () => {
    const { registry, pusher } = await machine();
    const first = await pusher.push(hello);
    await using cache = await DemoCacheServer.start();
    const from = ["--from", cache.url, "--public-key", demoKey];
    registry.reset();
    const again = await pusher.push(hello, "--force", ...from);
    expect(new Set(cache.requests.filter((name) => name.startsWith("nar/"))).size).toBe(5);
    expect(again.closures[0]).toEqual(first.closures[0]);
    expect(again.present).toEqual(first.sent);
    expect(registry.writes).toHaveLength(1);
  });
});

describe("a dry run", () => {
  test("sends nothing, needs no key, and says what a push then sends", async () => {
    const { registry, pusher } = await machine();
    const dry = await pusher.push(nginx, "--dry-run");
    expect(registry.writes).toEqual([]);
    expect(dry).toMatchObject({ dryRun: true, closures: [{ tag: tagOf(nginx), paths: 14 }] });
    const wet = await pusher.push(nginx);
    expect(dry.sent.blobs).toBe(wet.sent.blobs);
    // The signature is in the closure manifest, not in a blob.
    expect(dry.sent.bytes).toBe(wet.sent.bytes);
    expect(dry.manifests).toBe(wet.manifests);
    const after = await pusher.push(nginx, "--dry-run", "--sign-key", pusher.keyFile);
    expect(after).toMatchObject({ sent: { blobs: 0 }, closures: [{ unchanged: true }] });
    const { stdout } = await pusher.run(python, "--dry-run");
    expect(stdout).toMatch(/\nwould send \d+ blobs \([0-9.]+ MiB\) and \d+ manifests, already there /);
  });

  test("with the key tells the digest that the push has then", async () => {
    const { pusher } = await machine();
    const dry = await pusher.push(hello, "--dry-run", "--sign-key", pusher.keyFile);
    const wet = await pusher.push(hello);
    expect(dry.closures[0]?.digest).toBe(wet.closures[0]?.digest);
  });
});

describe("blobs of another repository of the registry", () => {
  test("are taken over, not sent: of one that was pushed to before, or that is named", async () => {
    const { registry, pusher } = await machine();
    const first = await pusher.push(nginx);
    const known = await pusher.pushTo("shop", nginx);
    expect(known.sent.bytes + known.mounted.bytes).toBe(first.sent.bytes);
    // Small documents are not remembered.
    expect(known.sent.bytes).toBeLessThan(100_000);
    const stranger = await Pusher.make(registry);
    const named = await stranger.pushTo(
      "third",
      nginx,
      "--mount-from",
      "none",
      "--mount-from",
      `${registry.host}/nix`,
    );
    expect(named.mounted).toEqual(first.sent);
    expect(named.sent.blobs).toBe(0);
    for (const name of ["shop", "third"]) expect(registry.broken(name)).toEqual([]);
  });

  test("are sent where the registry does not do that, and it is not asked for each", async () => {
    const { registry, pusher } = await machine();
    registry.mounts = false;
    const first = await pusher.push(nginx);
    registry.reset();
    const second = await pusher.pushTo("shop", nginx);
    expect(second.sent).toEqual(first.sent);
    expect(registry.requests.filter(({ path }) => path.includes("mount=")).length).toBeLessThan(25);
    expect(registry.broken("shop")).toEqual([]);
  });
});

describe("several roots", () => {
  test("are closures of their own, whose layers are made once", async () => {
    const { registry, pusher } = await machine();
    const { closures } = await pusher.push(hello, nginx);
    expect(closures.map(({ tag }) => tag)).toEqual([tagOf(hello), tagOf(nginx)]);
    expect([...registry.repository("nix").tags.keys()]).toEqual([tagOf(hello), tagOf(nginx)]);
    expect(registry.broken("nix")).toEqual([]);
  });

  test("are one closure together, under a tag of them all", async () => {
    const { registry, pusher } = await machine();
    const { closures } = await pusher.push(nginx, hello, "--together");
    const tag = [hello, nginx].map(tagOf).toSorted().join("_");
    expect(closures).toMatchObject([{ tag, roots: [nginx, hello] }]);
    expect(readClosure(registry, pusher, tag).roots).toEqual([hello, nginx].toSorted());
  });

  test("are at most three together", async () => {
    const { registry, pusher } = await machine();
    const { code, stderr } = await pusher.run(hello, nginx, python, mixed, "--together");
    expect([code, stderr]).toEqual([3, expect.stringContaining("TOO_MANY_TOGETHER")]);
    expect(registry.writes).toEqual([]);
  });
});

describe("closures come from", () => {
  test("the configured source that --from or a prefix names", async () => {
    const sources = {
      demo: { caches: [demoUrl], publicKeys: [demoKey] },
      empty: { caches: [`file://${await scratch()}`] },
    };
    const { pusher } = await machine({ sources, defaultSource: "empty" });
    expect((await pusher.run(hello)).stderr).toContain("PATH_UNKNOWN");
    await pusher.push(hello, "--from", "demo");
    await pusher.push(`demo:${hello}`);
    const { code, stderr } = await pusher.run(`empty:${hello}`, "--from", "demo");
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining("the roots are of source empty; name one of them"),
    ]);
  });

  test("a cache by its URL, whose paths are signed by the keys that are named", async () => {
    const { pusher } = await machine();
    await pusher.push(hello, "--from", demoUrl, "--public-key", demoKey);
    const { code, stderr } = await pusher.run(nginx, "--from", demoUrl);
    expect([code, stderr]).toEqual([3, expect.stringContaining("PATH_UNTRUSTED")]);
  });

  test("the local store, by a link or a path; the same as from the cache that it came from", async () => {
    const { registry, pusher } = await machine();
    const bin = await scratch();
    await installFakeNix(bin);
    const env = { ...pusher.env, PATH: bin };
    const link = join(pusher.home, "result");
    await symlink(hello, link);
    const run = async (...args: string[]) => cli(pusher.words(["--json", ...args]), { env });
    const linked = await run(link);
    expect(linked.code, linked.stderr).toBe(0);
    const closure = readClosure(registry, pusher, tagOf(hello));
    expect(
      closure.paths.flatMap(({ signatures }) => signatures),
      "the scratch key is nobody's business",
    ).toEqual([]);
    for (const args of [
      ["--from", link],
      ["--from", "/nix/store", hello],
    ]) {
      const { code, stdout } = await run(...args);
      expect([code, JSON.parse(stdout)]).toMatchObject([
        0,
        { closures: [{ roots: [hello], unchanged: true }] },
      ]);
    }
    // Provenance differs, and nothing else.
    const { closures } = await pusher.push(hello);
    expect(closures[0]?.unchanged).toBe(true);
    expect(await readdir(join(pusher.cache, "nix-closure/scratch"))).toEqual([]);
  });
});

describe("what is refused", () => {
  test.for<[string, readonly string[], number, RegExp]>([
    ["no key", [hello, "--sign-key", "/no/such/file"], 2, /FILE_UNREADABLE/],
    ["a repository without a host", [hello, "--to", "nix"], 2, /--to "nix": .*write <host>\/<repository>/],
    ["a tag", [hello, "--to", "localhost:1/nix:x"], 2, /its tag follows from the roots/],
    ["a plan that is none", [hello, "--plan", "auto"], 2, /--plan "auto": it is no plan; write stock,/],
    [
      "a repository to mount from that is none",
      [hello, "--mount-from", "NIX"],
      2,
      /--mount-from "NIX": it is no repository of/,
    ],
    ["no root", [], 2, /ROOTS_MISSING/],
    ["a root that is none", ["/nix/store/x"], 2, /STORE_PATH_INVALID/],
    ["a link that is none", ["./no-such-link"], 2, /LOCAL_PATH_INVALID/],
    ["an unknown source", [hello, "--from", "shop"], 2, /SOURCE_UNKNOWN/],
    ["a link and another source", ["./no-such-link", "--from", "demo"], 2, /LOCAL_PATH_INVALID/],
    ["a wrong cache", [hello, "--from", "s3://bucket"], 2, /CACHE_URL_INVALID/],
    ["a wrong public key", [hello, "--from", demoUrl, "--public-key", "x"], 2, /PUBLIC_KEY_INVALID/],
    [
      "a public key without a cache",
      [hello, "--public-key", demoKey],
      2,
      /--public-key .*only beside the URL of a cache/,
    ],
    ["an unknown path", ["/nix/store/00000000000000000000000000000000-nothing"], 3, /PATH_UNKNOWN/],
    ["an unknown compression", [hello, "--compression", "lzma"], 2, /lzma/],
    ["an unknown system", [hello, "--system", "riscv64-linux"], 2, /riscv64-linux/],
  ])("%s", async ([, args, wanted, message]) => {
    const { registry, pusher } = await machine();
    const { code, stdout, stderr } = await cli(pusher.words(args).filter(isLast("--to")), {
      env: pusher.env,
    });
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([wanted, ""]);
    expect(registry.requests).toEqual([]);
  });

  test("a push without a key", async () => {
    const { registry, pusher } = await machine();
    const words = pusher.words([hello]).filter((word) => word !== "--sign-key" && word !== pusher.keyFile);
    const { code, stderr } = await cli(words, { env: pusher.env });
    expect([code, stderr]).toEqual([2, expect.stringContaining("SIGN_KEY_MISSING")]);
    await writeFile(pusher.keyFile, "shop-1:AAAA");
    expect(await pusher.run(hello)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("SECRET_KEY_INVALID") as string,
    });
    expect(registry.requests).toEqual([]);
  });

  test("a closure without programs, unless its system is named", async () => {
    const { registry, pusher } = await machine();
    const ncurses = "/nix/store/k1fjl9ril0jiqp50z7msaivbrzn2ihip-mixed-app.conf";
    const { code, stderr } = await pusher.run(ncurses);
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(
        /has no program, so .* --system x86_64-linux or --system aarch64-linux or|SYSTEM_UNCLEAR/,
      ),
    ]);
    expect(registry.repository("nix").tags.size).toBe(0);
    const { closures } = await pusher.push(ncurses, "--system", "aarch64-linux");
    expect(closures).toMatchObject([{ system: "aarch64-linux", images: 1 }]);
  });

  test("a system that the programs are not for is warned of", async () => {
    const { pusher } = await machine();
    const { code, stderr } = await pusher.run(hello, "--system", "aarch64-linux");
    expect(code).toBe(0);
    expect(stderr).toContain(
      "warning: the programs of " + hello + " are for x86_64-linux, not for aarch64-linux",
    );
  });

  test("a scratch directory that is none", async () => {
    const { pusher } = await machine();
    const { code, stderr } = await pusher.run(hello, "--scratch", pusher.keyFile);
    expect([code, stderr]).toEqual([1, expect.stringContaining("SCRATCH_FAILED")]);
  });
});

test("where nothing can be remembered the push succeeds, and warns", async () => {
  const { pusher } = await machine();
  const scratchDirectory = join(pusher.home, "scratch");
  await rm(pusher.cache, { recursive: true });
  await writeFile(pusher.cache, "a file");
  const { code, stderr } = await pusher.run(hello, "--scratch", scratchDirectory);
  expect(code).toBe(0);
  expect(stderr).toMatch(/warning: what was made cannot be remembered: .*ENOTDIR/);
});

describe("a registry that fails", () => {
  test.for<[string, RegExp]>([
    ["blobs", /\/blobs\/uploads\//],
    ["manifests", /\/manifests\/sha256/],
  ])("at %s gets no index, and its push can be repeated", async ([, path]) => {
    const { registry, pusher } = await machine();
    registry.interfere = (request, response) => {
      if (!path.test(request.url ?? "") || request.method === "GET" || request.method === "HEAD")
        return false;
      response.writeHead(403, { "content-type": "application/json" }).end('{"errors":[{"code":"DENIED"}]}');
      return true;
    };
    const { code, stderr } = await pusher.run(hello);
    expect([code, stderr]).toEqual([3, expect.stringContaining("REGISTRY_ACCESS_DENIED")]);
    expect(registry.repository("nix").tags.size).toBe(0);
    expect(await readdir(join(pusher.cache, "nix-closure/scratch"))).toEqual([]);
    registry.interfere = () => false;
    await pusher.push(hello);
    expect(registry.broken("nix")).toEqual([]);
  });
});

test("Ctrl-C ends a push in words, and leaves no files", async () => {
  const { registry, pusher } = await machine();
  const { promise: stalled, resolve: stall } = Promise.withResolvers<void>();
  registry.interfere = (request) => {
    const isBlob = request.method === "PUT" && request.url?.includes("/blobs/") === true;
    if (isBlob) stall();
    return isBlob;
  };
  const ended = stalled.then(() => "SIGINT" as const);
  const { code, stderr } = await cli(pusher.words([nginx]), { env: pusher.env, ended: async () => ended });
  expect([code, stderr]).toEqual([
    4,
    expect.stringContaining("SIGINT ended the push; what was sent stays there"),
  ]);
  expect(await readdir(join(pusher.cache, "nix-closure/scratch"))).toEqual([]);
  expect(registry.repository("nix").tags.size).toBe(0);
  registry.interfere = () => false;
  await pusher.push(nginx);
});

test("on a terminal a line says how far it is, and is gone in the end", async () => {
  const { registry, pusher } = await machine();
  let isSlow = true;
  const held: (() => void)[] = [];
  registry.interfere = (request, response) => {
    if (!isSlow || request.method !== "POST") return false;
    held.push(() => response.writeHead(503, { "retry-after": "0" }).end());
    return true;
  };
  const { code, shown } = await cli(pusher.words([nginx]), {
    env: pusher.env,
    terminal: true,
    onShown: (text) => {
      if (!/\d+ % of \d+\.\d MiB/.test(text)) return;
      isSlow = false;
      for (const answer of held.splice(0)) answer();
    },
  });
  expect(code).toBe(0);
  const progress = shown.filter(({ on }) => on === "progress");
  expect(progress.map(({ text }) => text).join("")).toMatch(
    /\[[# ]{24}\] \d+ % of \d+\.\d MiB, \d+\.?\d* [KM]?i?B sent/,
  );
  expect(progress.at(-1)?.text).toBe("\r\u001b[K");
});

test("generate-key writes a key that only its owner can read, never over another one", async () => {
  const directory = await scratch();
  const file = join(directory, "key");
  const { code, stdout } = await cli(["generate-key", "shop-1", "--out", file]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^shop-1:[A-Za-z0-9+/]{43}=\n$/)]);
  expect(existsSync(file)).toBe(true);
  expect(await cli(["generate-key", "shop-1", "--out", file])).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("KEY_EXISTS") as string,
  });
  expect(await cli(["generate-key", "a:b"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("KEY_NAME_INVALID") as string,
  });
  expect(await cli(["generate-key", "a", "--out", join(file, "x")])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("FILE_UNWRITABLE") as string,
  });
});

/** Keeps of a flag that is given twice the last one, with its value. */
function isLast(flag: string): (word: string, at: number, words: readonly string[]) => boolean {
  return (word, at, words) => {
    const last = words.lastIndexOf(flag);
    return !(word === flag && at !== last) && !(words[at - 1] === flag && at - 1 !== last);
  };
}
