/** What only a real connection shows: clients that go away, bodies that break off, backpressure. */
import { once } from "node:events";
import { get as httpGet, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";

import { beforeEach, expect, test, vi } from "vitest";

import { name, useRegistry } from "./registry-fixture.ts";

const registry = useRegistry();
let port: number;

beforeEach(async () => {
  await registry.server.listen({ host: "127.0.0.1", port: 0 });
  port = (registry.server.server.address() as AddressInfo).port;
});

async function request(path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const [answer] = (await once(httpGet({ host: "127.0.0.1", port, path, headers }), "response")) as [
    IncomingMessage,
  ];
  return answer;
}

async function allClosed(): Promise<void> {
  await vi.waitFor(() => expect(registry.image.images).toMatchObject({ opened: 1, closed: 1 }));
}

/** Content that never ends, and what is known of how it is read. */
function endless() {
  const state = { made: 0, stream: undefined as Readable | undefined };
  const make = () =>
    (state.stream = new Readable({
      read(size) {
        state.made += size;
        this.push(Buffer.alloc(size));
      },
    }));
  return { state, make };
}

test("a blob arrives whole and the connection can be used again", async () => {
  const socket = connect(port, "127.0.0.1");
  for (let round = 0; round < 2; round++) {
    socket.write(`GET ${registry.blobUrl} HTTP/1.1\r\nHost: r\r\n\r\n`);
    const bytes = await readAnswer(socket, registry.image.layerBytes.length);
    expect(bytes.equals(registry.image.layerBytes)).toBe(true);
  }
  socket.destroy();
  expect(registry.image.images).toMatchObject({ opened: 2, closed: 2 });
});

/** The body of the next answer on a connection, when it is `length` bytes long. */
async function readAnswer(socket: Socket, length: number): Promise<Buffer> {
  let received = Buffer.alloc(0);
  for (;;) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf("\r\n\r\n");
    if (end !== -1 && received.length === end + 4 + length) return received.subarray(end + 4);
  }
}

test("a client that lost its connection goes on where it was", async () => {
  const first = await buffer(await request(registry.blobUrl, { range: "bytes=0-3999" }));
  const answer = await request(registry.blobUrl, {
    range: "bytes=4000-",
    "if-range": `"${registry.image.layer.digest}"`,
  });
  expect(answer.statusCode).toBe(206);
  expect(answer.headers["content-range"]).toBe("bytes 4000-9999/10000");
  expect(Buffer.concat([first, await buffer(answer)]).equals(registry.image.layerBytes)).toBe(true);
});

test("a blob is closed when its client goes away in the middle", async () => {
  const { state, make } = endless();
  registry.image.images.overrides.blob = async () => registry.image.images.open(2 ** 40, make);
  const answer = await request(registry.blobUrl);
  await once(answer, "readable");
  answer.destroy();
  await allClosed();
  expect(state.stream?.destroyed).toBe(true);
  await vi.waitFor(() => expect(registry.observed).toHaveLength(1));
  expect(registry.observed[0]).toMatchObject({ kind: "blob", status: 200 });
  expect(registry.observed[0]!.bytes).toBeLessThan(2 ** 40);
});

test("a blob is closed when its client goes away while nothing comes from the disk", async () => {
  const stalled = new Readable({ read() {} });
  registry.image.images.overrides.blob = async () => registry.image.images.open(10, () => stalled);
  const pending = httpGet({ host: "127.0.0.1", port, path: registry.blobUrl });
  pending.on("error", () => {});
  await vi.waitFor(() => expect(registry.image.images.read).toBe(1));
  pending.destroy();
  await allClosed();
  expect(stalled.destroyed).toBe(true);
  await vi.waitFor(() => expect(registry.observed).toHaveLength(1));
  expect(registry.observed[0]).toMatchObject({ kind: "blob", status: 499, bytes: 0 });
});

test("a blob is closed when its client goes away while it is being opened", async () => {
  const opening = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const { make } = endless();
  registry.image.images.overrides.blob = async () => {
    asked.resolve();
    await opening.promise;
    return registry.image.images.open(2 ** 40, make);
  };
  const pending = httpGet({ host: "127.0.0.1", port, path: registry.blobUrl });
  pending.on("error", () => {});
  await asked.promise;
  pending.destroy();
  await vi.waitFor(() => expect(registry.observed).toHaveLength(1));
  opening.resolve();
  await allClosed();
});

test("a client that does not read holds the disk back", async () => {
  const { state, make } = endless();
  registry.image.images.overrides.blob = async () => registry.image.images.open(2 ** 40, make);
  const socket = connect(port, "127.0.0.1");
  socket.pause();
  socket.write(`GET ${registry.blobUrl} HTTP/1.1\r\nHost: r\r\n\r\n`);
  // The kernel's buffers fill up; then nothing more is read from the disk.
  let before = -1;
  await vi.waitFor(
    () => {
      const made = state.made;
      const still = made > 0 && made === before;
      before = made;
      expect(still).toBe(true);
    },
    { interval: 200, timeout: 20_000 },
  );
  expect(state.made).toBeLessThan(64 * 1024 * 1024);
  socket.destroy();
  await allClosed();
});

test.each<[string, (source: Readable) => void]>([
  ["breaks off", (source) => source.destroy(new Error("broken"))],
  ["is closed", (source) => source.destroy()],
  ["is too short", (source) => source.push(null)],
  ["is too long", (source) => source.push(Buffer.alloc(6))],
])("the connection is torn down when a blob %s after its first bytes", async (_, end) => {
  const source = new Readable({ read() {} });
  source.push(Buffer.alloc(5));
  registry.image.images.overrides.blob = async () => registry.image.images.open(10, () => source);
  const answer = await request(registry.blobUrl);
  expect(answer.statusCode).toBe(200);
  expect(answer.headers["content-length"]).toBe("10");
  end(source);
  await expect(buffer(answer)).rejects.toThrow(/aborted/);
  expect(answer.complete).toBe(false);
  await allClosed();
  await vi.waitFor(() => expect(registry.observed).toHaveLength(1));
  expect(registry.observed[0]).toMatchObject({ kind: "blob", status: 200, bytes: 5 });
});

/** A client library would tidy these URLs up before they are sent. */
test.each([
  ["/v2/../manifests/1", 400, "NAME_INVALID"],
  ["/v2/a/../../../etc/manifests/1", 400, "NAME_INVALID"],
  ["/v2/%2e%2e/%2e%2e/manifests/1", 400, "NAME_INVALID"],
  ["/v2/a\\b/manifests/1", 400, "NAME_INVALID"],
  ["/v2/a/blobs/../../../../etc/passwd", 404, "UNSUPPORTED"],
  ["/v2/./", 404, "UNSUPPORTED"],
  [`/v2/${name}/manifests/..`, 404, "MANIFEST_UNKNOWN"],
  [`http://other.example/v2/${name}/tags/all`, 404, "UNSUPPORTED"],
])("GET %s, as it is, is %d %s", async (path, status, code) => {
  const answer = await request(path);
  expect(answer.statusCode).toBe(status);
  expect(JSON.parse(await text(answer))).toMatchObject({ errors: [{ code }] });
});

test("a conversion hears that the client has gone", async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  const finished = Promise.withResolvers<void>();
  registry.image.images.overrides.resolveTag = async (_repository, _tag, signal) => {
    asked.resolve(signal!);
    await finished.promise;
    return registry.image.index;
  };
  const pending = httpGet({ host: "127.0.0.1", port, path: `/v2/${name}/manifests/1` });
  pending.on("error", () => {});
  const signal = await asked.promise;
  expect(signal.aborted).toBe(false);
  pending.destroy();
  await vi.waitFor(() => expect(signal.aborted).toBe(true));
  finished.resolve();
  await vi.waitFor(() => expect(registry.observed).toHaveLength(1));
  expect(registry.observed[0]).toMatchObject({ kind: "manifest", status: 499 });
});

test("an upload is refused before its body has come", async () => {
  const socket = connect(port, "127.0.0.1");
  socket.write(
    `POST /v2/${name}/blobs/uploads/ HTTP/1.1\r\nHost: r\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n`,
  );
  const [chunk] = (await once(socket, "data")) as [Buffer];
  expect(chunk.toString("latin1")).toMatch(/^HTTP\/1\.1 405 /);
  socket.destroy();
});
