import { expect, test } from "vitest";
import { chunkSize, reuseBuffer, takeBuffer } from "../../src/image/read-buffers.ts";

test("a chunk that is given back is the next one's memory, once", () => {
  const first = takeBuffer(chunkSize);
  reuseBuffer(first.subarray(0, 10));
  const second = takeBuffer(100);
  expect(second.buffer).toBe(first.buffer);
  expect(second.length).toBeGreaterThanOrEqual(100);
  expect(takeBuffer(100).buffer).not.toBe(first.buffer);
});

test("memory that is too small for any chunk is not kept", () => {
  const small = takeBuffer(100);
  reuseBuffer(small);
  expect(takeBuffer(chunkSize).buffer).not.toBe(small.buffer);
});

test("what is kept is bounded", () => {
  const many = Array.from({ length: 1000 }, () => takeBuffer(chunkSize));
  for (const chunk of many) reuseBuffer(chunk);
  const kept = new Set(many.map(({ buffer }) => buffer));
  const again = Array.from({ length: 1000 }, () => takeBuffer(chunkSize)).filter(({ buffer }) =>
    kept.has(buffer),
  );
  expect(again.length).toBeGreaterThan(0);
  expect(again.length * chunkSize).toBeLessThanOrEqual(16 * 1024 * 1024);
});
