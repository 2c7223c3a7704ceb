import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { baseLayer } from "../../src/image/base-image.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import { cli } from "../cli/fake-process.ts";
import { MemoryRegistry } from "./memory-registry.ts";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface PushBaseJson {
  readonly reference: string;
  readonly tag: string;
  readonly digest: string;
  readonly sent: { readonly blobs: number; readonly bytes: number };
  readonly manifests: number;
}

async function pushBase(registry: MemoryRegistry): Promise<PushBaseJson> {
  const { code, stdout, stderr } = await cli(["push-base", "--json", "--to", `${registry.host}/nix`]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as PushBaseJson;
}

test("push-base puts an image for both architectures under a tag, whose layer every client reads", async () => {
  const registry = await MemoryRegistry.start();
  const { reference, tag, digest, sent, manifests } = await pushBase(registry);
  expect(reference).toBe(`${registry.host}/nix:${tag}@${digest}`);
  const page = await readFile(new URL("../../docs/cli.md", import.meta.url), "utf8");
  for (const words of [`"digest": "${digest}"`, `"sent": { "blobs": 3, "bytes": ${sent.bytes} }`])
    expect(page).toContain(words);
  expect([tag, sent.blobs, manifests]).toEqual(["base-1", 3, 3]);
  const repository = registry.repositories.get("nix")!;
  expect(repository.tags.get("base-1")).toBe(digest);
  const read = (name: string): unknown => JSON.parse(repository.manifests.get(name)!.bytes.toString());
  const index = read(digest) as {
    readonly manifests: readonly (Descriptor & { readonly platform: { readonly architecture: string } })[];
  };
  expect(index.manifests.map(({ platform }) => platform.architecture)).toEqual(["amd64", "arm64"]);
  for (const entry of index.manifests) {
    const manifest = read(entry.digest) as {
      readonly config: Descriptor;
      readonly layers: readonly Descriptor[];
    };
    expect(manifest.layers.map(({ mediaType }) => mediaType)).toEqual([
      "application/vnd.oci.image.layer.v1.tar+gzip",
    ]);
    const tar = gunzipSync(registry.blobs.get(manifest.layers[0]!.digest)!);
    expect(tar.equals(baseLayer())).toBe(true);
    const config = JSON.parse(registry.blobs.get(manifest.config.digest)!.toString()) as object;
    expect(config).toMatchObject({
      architecture: entry.platform.architecture,
      config: { User: "65532" },
      rootfs: { diff_ids: [sha256Digest(tar)] },
    });
  }
});

test("a second push-base sends nothing, and one elsewhere the same", async () => {
  const registry = await MemoryRegistry.start();
  const { digest } = await pushBase(registry);
  const received = registry.received;
  expect(await pushBase(registry)).toMatchObject({ digest, sent: { blobs: 0, bytes: 0 }, manifests: 0 });
  expect(registry.received).toBe(received);
  expect((await pushBase(await MemoryRegistry.start())).digest).toBe(digest);
});

test("it prints what baseImage is to be, and refuses a repository that is none", async () => {
  const registry = await MemoryRegistry.start();
  const { stdout } = await cli(["push-base", "--to", `${registry.host}/nix`]);
  expect(stdout).toMatch(/^127\.0\.0\.1:\d+\/nix:base-1@sha256:[0-9a-f]{64}\n$/);
  expect(await cli(["push-base", "--to", "registry.example.com/nix:1"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--to .*\[PUSH_OPTION_INVALID/) as string,
  });
  const { host } = registry;
  await registry.stop();
  expect(await cli(["push-base", "--to", `${host}/nix`])).toMatchObject({
    code: 4,
    stderr: expect.stringMatching(/\[REGISTRY_UNAVAILABLE/) as string,
  });
});
