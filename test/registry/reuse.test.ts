/** Memory of a blob's chunks is used again: not before its bytes are on their way. */
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { beforeEach, expect, test, vi } from "vitest";
import { reuseBuffer, takeBuffer } from "../../src/image/read-buffers.ts";
import { useRegistry } from "./registry-fixture.ts";

const registry = useRegistry();
const chunkCount = 200;
const chunkBytes = 64 * 1024;
const size = chunkCount * chunkBytes;
let port: number;
let reused: number;

beforeEach(async () => {
  await registry.server.listen({ host: "127.0.0.1", port: 0 });
  port = (registry.server.server.address() as AddressInfo).port;
  reused = 0;
  let next = 0;
  registry.image.images.overrides.blob = async () => {
    const value = next++;
    // As many bytes of one value as a blob has, in memory that is used again.
    function* chunks(): Generator<Buffer> {
      for (let at = 0; at < chunkCount; at++)
        yield takeBuffer(chunkBytes).subarray(0, chunkBytes).fill(value);
    }
    const content = () => Readable.from(chunks(), { objectMode: false });
    return {
      ...registry.image.images.open(size, content),
      reuse(chunk) {
        reused++;
        reuseBuffer(chunk);
      },
    };
  };
});

function ask(): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(`GET ${registry.blobUrl} HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n`);
  return socket;
}

/** The bytes of an answer's body, by value. */
async function bodyOf(socket: Socket): Promise<ReadonlyMap<number, number>> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "end");
  const answer = Buffer.concat(chunks);
  const counts = new Map<number, number>();
  for (const byte of answer.subarray(answer.indexOf("\r\n\r\n") + 4)) {
    counts.set(byte, (counts.get(byte) ?? 0) + 1);
  }
  return counts;
}

test("many at once, some of which go away, get their own bytes", async () => {
  const sockets = Array.from({ length: 12 }, ask);
  const [gone, ...others] = sockets;
  gone!.once("data", () => gone!.destroy());
  const bodies = await Promise.all(others.map(bodyOf));
  for (const body of bodies) expect([...body.values()]).toEqual([size]);
  expect(new Set(bodies.flatMap((body) => [...body.keys()])).size).toBe(others.length);
  await vi.waitFor(() => expect(registry.image.images).toMatchObject({ opened: 12, closed: 12 }));
  expect(reused).toBeGreaterThanOrEqual(others.length * chunkCount);
});

test("a client that does not read keeps its chunks", async () => {
  const socket = ask().pause();
  let before = -1;
  await vi.waitFor(
    () => {
      const still = reused > 0 && reused === before;
      before = reused;
      expect(still).toBe(true);
    },
    { interval: 100, timeout: 10_000 },
  );
  expect(reused).toBeLessThan(chunkCount);
  const body = await bodyOf(socket.resume());
  expect([...body.values()]).toEqual([size]);
  await vi.waitFor(() => expect(reused).toBe(chunkCount));
});
