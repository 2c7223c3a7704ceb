import { expect, test } from "vitest";
import { atPace, TooSlow } from "../../src/resolver/pace.ts";

/** Chunks of so many bytes, each after so many milliseconds. */
async function* every(milliseconds: number, bytes: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let chunk = 0; chunk < 20; chunk++) {
    await new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
    yield new Uint8Array(bytes);
  }
}

async function count(chunks: AsyncIterable<Uint8Array>, pause = 0): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (pause > 0) await new Promise<void>((resolve) => setTimeout(resolve, pause));
  }
  return bytes;
}

test("bytes that drip are given up after the window, in words", async () => {
  const failed = expect(count(atPace(every(10, 1), 100))).rejects;
  await failed.toThrow(TooSlow);
});

test("bytes that come fast enough pass", async () => {
  expect(await count(atPace(every(5, 4096), 20))).toBe(20 * 4096);
});

test("a reader that takes its time is not held against them", async () => {
  expect(await count(atPace(every(0, 100), 100), 20)).toBe(2000);
});
