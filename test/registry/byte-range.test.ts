import * as fc from "fast-check";
import { expect, test } from "vitest";

import { parseRange } from "../../src/registry/byte-range.ts";

test.each([
  ["bytes=0-0", 10, { start: 0, end: 0 }],
  ["bytes=0-9", 10, { start: 0, end: 9 }],
  ["bytes=0-10", 10, { start: 0, end: 9 }],
  ["bytes=0-99999999999999999999999", 10, { start: 0, end: 9 }],
  ["bytes=9-9", 10, { start: 9, end: 9 }],
  ["bytes=4-", 10, { start: 4, end: 9 }],
  ["bytes=9-", 10, { start: 9, end: 9 }],
  ["bytes=-1", 10, { start: 9, end: 9 }],
  ["bytes=-10", 10, { start: 0, end: 9 }],
  ["bytes=-11", 10, { start: 0, end: 9 }],
  ["BYTES= 1-2 ", 10, { start: 1, end: 2 }],
  ["bytes=10-", 10, "unsatisfiable"],
  ["bytes=10-11", 10, "unsatisfiable"],
  ["bytes=99999999999999999999999-", 10, "unsatisfiable"],
  ["bytes=-0", 10, "unsatisfiable"],
  ["bytes=0-", 0, "unsatisfiable"],
  ["bytes=-1", 0, "unsatisfiable"],
  [undefined, 10, undefined],
  ["", 10, undefined],
  ["bytes", 10, undefined],
  ["bytes=", 10, undefined],
  ["bytes=-", 10, undefined],
  ["bytes=5-4", 10, undefined],
  ["bytes=a-b", 10, undefined],
  ["bytes=1", 10, undefined],
  ["bytes=+1-2", 10, undefined],
  ["bytes=0x1-2", 10, undefined],
  ["bytes=1-2-3", 10, undefined],
  ["bytes=0-1,3-4", 10, undefined],
  ["bytes=0-1, bytes=3-4", 10, undefined],
  ["items=0-1", 10, undefined],
])("%j of %d bytes", (field, size, range) => {
  expect(parseRange(field, size)).toStrictEqual(range);
});

test("a range never leaves the blob", () => {
  const position = fc.oneof(fc.nat(30), fc.constant(""), fc.bigInt({ min: 0n }));
  fc.assert(
    fc.property(position, position, fc.nat(20), (first, last, size) => {
      const range = parseRange(`bytes=${first}-${last}`, size);
      if (range === undefined || range === "unsatisfiable") return;
      expect(range.start).toBeGreaterThanOrEqual(0);
      expect(range.start).toBeLessThanOrEqual(range.end);
      expect(range.end).toBeLessThan(size);
    }),
  );
});
