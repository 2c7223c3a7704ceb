import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { pullImage } from "../../demo/registry-client.ts";

const directory = mkdtempSync(join(tmpdir(), "nix-closure-client-test-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const layer = Buffer.from("the layer's bytes");
const upper = Buffer.from("another one's");
const types = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
};

/** What the documents of a registry's only image say; each test bends one. */
interface Image {
  readonly layerType: string;
  readonly layerSize: number;
  readonly diffIds: readonly string[];
  readonly configArchitecture: string;
  readonly platform: string;
  readonly indexType: string;
  readonly manifestSize: number;
  /** The bytes that are sent, whatever was announced. */
  readonly sentLayer: Buffer;
  /** Put at the end of the config's bytes that are sent. */
  readonly afterConfig: string;
  readonly announcedDigest: string | undefined;
}
const sound: Image = {
  layerType: types.layer,
  layerSize: layer.length,
  diffIds: [digest(layer), digest(upper)],
  configArchitecture: "amd64",
  platform: "amd64",
  indexType: types.index,
  manifestSize: 0,
  sentLayer: layer,
  afterConfig: "",
  announcedDigest: undefined,
};

describe("pullImage", () => {
  test("takes a sound image", async () => {
    const reference = await serve(sound);
    const image = await pull(reference);
    expect(image).toMatchObject({
      layers: [
        { digest: digest(layer), size: layer.length },
        { digest: digest(upper), size: upper.length },
      ],
      user: "7",
      env: ["A=b"],
    });
    expect(image.layers.map(({ file }) => readFileSync(file))).toEqual([layer, upper]);
  });

  test.each<[string, Partial<Image>, string]>([
    [
      "other bytes in the layer",
      { sentLayer: Buffer.from("THE LAYER'S BYTES") },
      "the layer's digest: sha256:",
    ],
    ["a shorter layer", { sentLayer: layer.subarray(1) }, "the layer's size: 16, not 17"],
    ["a longer layer", { sentLayer: Buffer.concat([layer, layer]) }, "the layer is longer than announced"],
    ["a layer of another media type", { layerType: `${types.layer}+gzip` }, "the layer's media type: "],
    ["another diffID", { diffIds: [digest(layer), digest(Buffer.from(""))] }, "diffIDs: sha256:"],
    ["diffIDs in another order", { diffIds: sound.diffIds.toReversed() }, "diffIDs: sha256:"],
    ["fewer diffIDs than layers", { diffIds: [digest(layer)] }, "diffIDs: sha256:"],
    [
      "a config of another architecture",
      { configArchitecture: "arm64" },
      "the config's platform: linux/arm64",
    ],
    ["an index without our architecture", { platform: "s390x" }, "no linux/amd64 among linux/s390x"],
    ["an index of another media type", { indexType: types.manifest }, "Content-Type: "],
    ["a manifest of another size", { manifestSize: 1 }, "size: "],
    ["other bytes in the config", { afterConfig: " " }, "size: "],
    ["another digest in the header", { announcedDigest: digest(layer) }, "digest: sha256:"],
  ])("refuses %s", async (_name, change, message) => {
    const reference = await serve({ ...sound, ...change });
    await expect(pull(reference)).rejects.toThrow(`pulling ${reference}: ${message}`);
  });

  test("says what the registry answered", async () => {
    const reference = (await serve(sound)).replace(/:1$/, ":2");
    await expect(pull(reference)).rejects.toThrow(
      `pulling ${reference}: GET /v2/demo/path/manifests/2 answered 404 no such thing`,
    );
  });
});

function pull(reference: string): ReturnType<typeof pullImage> {
  return pullImage(reference, { directory, architecture: "amd64", signal: new AbortController().signal });
}

/** Serves an image as `<host>/demo/path:1`. */
async function serve(image: Image): Promise<string> {
  const config = json({
    architecture: image.configArchitecture,
    os: "linux",
    config: { User: "7", Env: ["A=b"] },
    rootfs: { type: "layers", diff_ids: image.diffIds },
  });
  const manifest = json({
    mediaType: types.manifest,
    config: describeBytes(types.config, config),
    layers: [
      { mediaType: image.layerType, digest: digest(layer), size: image.layerSize },
      describeBytes(types.layer, upper),
    ],
  });
  const manifestDescriptor = describeBytes(types.manifest, manifest);
  const index = json({
    mediaType: types.index,
    manifests: [
      {
        ...manifestDescriptor,
        size: manifestDescriptor.size + image.manifestSize,
        platform: { architecture: image.platform, os: "linux" },
      },
    ],
  });
  const answers = new Map<string, readonly [string, Buffer]>([
    ["/v2/demo/path/manifests/1", [image.indexType, index]],
    [`/v2/demo/path/manifests/${digest(manifest)}`, [types.manifest, manifest]],
    [
      `/v2/demo/path/blobs/${digest(config)}`,
      ["application/octet-stream", Buffer.concat([config, Buffer.from(image.afterConfig)])],
    ],
    [`/v2/demo/path/blobs/${digest(layer)}`, ["application/octet-stream", image.sentLayer]],
    [`/v2/demo/path/blobs/${digest(upper)}`, ["application/octet-stream", upper]],
  ]);
  const listening = createServer((request, response) => {
    const [type, body] = answers.get(request.url ?? "") ?? [];
    if (type === undefined || body === undefined) {
      response.writeHead(404).end("no such thing");
      return;
    }
    const headers = {
      "Content-Type": type,
      "Content-Length": body.length,
      "Docker-Content-Digest": image.announcedDigest ?? digest(body),
    };
    response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : body);
  });
  server = listening;
  await new Promise<void>((resolve) => {
    listening.listen(0, "127.0.0.1", resolve);
  });
  return `127.0.0.1:${(listening.address() as AddressInfo).port}/demo/path:1`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function describeBytes(
  mediaType: string,
  bytes: Buffer,
): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: digest(bytes), size: bytes.length };
}

function digest(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
