/** Blobs that somebody else changes while the service runs, as clients see it. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { open, rename, rm, truncate, writeFile } from "node:fs/promises";
import { Agent, get, type IncomingMessage } from "node:http";
import { join } from "node:path";

import { beforeAll, describe, expect, onTestFinished, test } from "vitest";

import "../compile-cache.ts";
import { makePair, type TestPair } from "../webhook/made-pair.ts";
import { pullImage } from "./pull-client.ts";
import { makeFiles, run } from "./running-service.ts";

let pair: TestPair;
beforeAll(async () => {
  pair = await makePair();
});

/** Python's; 20 MiB do not fit into the buffers of a connection. */
const image = { repository: "demo/path/xd7r0f8g909gdswjn0kri25sl3wchgy6", tag: "1" };

interface Served {
  readonly url: string;
  readonly digest: string;
  readonly size: number;
  /** The blob on the disk. */
  readonly file: string;
  pull(): Promise<void>;
}

async function serveLayer(): Promise<Served> {
  const files = await makeFiles(pair.pair);
  const { registry } = await run(files, "registry");
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const pull = async (): Promise<void> => void (await pullImage(registry, image, { agent, attempts: 1 }));
  await pull();
  const base = `${registry}/v2/${image.repository}`;
  const json = async (path: string) => (await (await fetch(base + path)).json()) as Record<string, unknown>;
  const { manifests } = (await json("/manifests/1")) as { manifests: [{ digest: string }] };
  const manifest = await json(`/manifests/${manifests[0].digest}`);
  const [{ digest, size }] = (manifest as { layers: [{ digest: string; size: number }] }).layers;
  const file = join(files.directory, "blobs", "blobs", "sha256", digest.slice("sha256:".length));
  return { url: `${base}/blobs/${digest}`, digest, size, file, pull };
}

/** An answer that has begun, and is read on when it is asked for: its bytes, and whether it broke off. */
async function begin(url: string, headers: Record<string, string> = {}) {
  const [response] = (await once(get(url, { agent: new Agent(), headers }), "response")) as [IncomingMessage];
  const rest = async (): Promise<{ readonly bytes: Buffer; readonly isWhole: boolean }> => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) chunks.push(chunk as Buffer);
    } catch {
      return { bytes: Buffer.concat(chunks), isWhole: false };
    }
    return { bytes: Buffer.concat(chunks), isWhole: true };
  };
  return { status: response.statusCode, length: Number(response.headers["content-length"]), rest };
}

async function flipAt(file: string, position: number): Promise<void> {
  await using handle = await open(file, "r+");
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, position);
  await handle.write(Buffer.of(byte[0]! ^ 1), 0, 1, position);
}

const damages: readonly (readonly [string, (served: Served) => Promise<void>])[] = [
  ["flipped in its last byte", ({ file, size }) => flipAt(file, size - 1)],
  ["flipped in its middle", ({ file, size }) => flipAt(file, size >> 1)],
  ["cut off", ({ file, size }) => truncate(file, size >> 1)],
  ["emptied", ({ file }) => truncate(file, 0)],
];

describe.each(damages)("a blob that is %s", (_, damage) => {
  test("in the middle of being sent, breaks off, and is made again", async () => {
    const served = await serveLayer();
    const whole = await begin(served.url);
    const part = await begin(served.url, { range: `bytes=1-${served.size - 1}` });
    expect([whole.status, whole.length, part.status]).toEqual([200, served.size, 206]);
    await damage(served);
    for (const { isWhole, bytes } of [await whole.rest(), await part.rest()]) {
      expect(isWhole).toBe(false);
      expect(bytes.length).toBeLessThan(served.size - 1);
    }
    await served.pull();
  });

  test("between two requests, is not there, and is made again", async () => {
    const served = await serveLayer();
    await damage(served);
    const answers = await Promise.all(
      [{}, { headers: { range: "bytes=0-9" } }, { method: "HEAD" }].map(async (init) =>
        fetch(served.url, init),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    await served.pull();
  });
});

test("a blob that is removed or replaced in the middle of being sent still arrives right", async () => {
  const served = await serveLayer();
  for (const change of [
    async () => rm(served.file),
    async () => {
      await writeFile(`${served.file}.new`, Buffer.alloc(served.size));
      await rename(`${served.file}.new`, served.file);
    },
  ]) {
    const answer = await begin(served.url);
    await change();
    const { bytes, isWhole } = await answer.rest();
    expect(isWhole).toBe(true);
    expect(`sha256:${createHash("sha256").update(bytes).digest("hex")}`).toBe(served.digest);
    await served.pull();
  }
});
