import * as fc from "fast-check";
import { expect, it, test } from "vitest";
import { sniffPathType } from "../../src/nix/nar-reader.ts";
import { recordNar, treeOf, type NarRecord } from "./nar-recorder.ts";
import { anyTree } from "./nar-trees.ts";
import { narString, writeNar, type NarNode } from "./nar-writer.ts";

/** What a reader must tell of a tree. */
function flatten(node: NarNode, path: readonly Buffer[] = []): readonly NarRecord[] {
  const where = { path: path.map((name) => name.toString("latin1")).join("/") };
  switch (node.type) {
    case "regular": {
      const contents = Buffer.from(node.contents).toString("latin1");
      return [{ type: "regular", ...where, executable: node.executable === true, contents }];
    }
    case "symlink":
      return [{ type: "symlink", ...where, target: Buffer.from(node.target).toString("latin1") }];
    case "directory": {
      const entries = [...node.entries].toSorted(([a], [b]) => Buffer.compare(a, b));
      const below = entries.flatMap(([name, child]) => flatten(child, [...path, Buffer.from(name)]));
      return [{ type: "directory", ...where }, ...below];
    }
  }
}

const chunkSizes = fc
  .array(fc.oneof(fc.nat({ max: 9 }), fc.nat({ max: 300 })), { minLength: 1, maxLength: 20 })
  .filter((sizes) => sizes.some((size) => size > 0));

it("gives back any tree, however its NAR is cut into chunks", () => {
  fc.assert(
    fc.property(anyTree, chunkSizes, (tree, sizes) => {
      const nar = writeNar(tree);
      const expected = flatten(tree);
      expect(recordNar(nar)).toEqual(expected);
      expect(recordNar(nar, sizes)).toEqual(expected);
      expect(recordNar(nar, [1])).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

/** Ways to damage a NAR: change, remove, repeat some bytes; put a string of the format somewhere. */
const damage = fc.oneof(
  fc.record({ kind: fc.constant("change" as const), at: fc.nat(), xor: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant("remove" as const), at: fc.nat(), length: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant("repeat" as const), at: fc.nat(), length: fc.integer({ min: 1, max: 12 }) }),
  fc.record({
    kind: fc.constant("insert" as const),
    at: fc.nat(),
    word: fc.constantFrom(
      "(",
      ")",
      "type",
      "regular",
      "executable",
      "",
      "contents",
      "entry",
      "name",
      "node",
      "a",
    ),
  }),
);

function spoil(nar: Buffer, how: typeof damage extends fc.Arbitrary<infer Damage> ? Damage : never): Buffer {
  // Lengths, strings and padding are in words of 8 bytes: damage to whole words gets deepest into the grammar.
  const word = (how.at % (nar.length / 8)) * 8;
  switch (how.kind) {
    case "change": {
      const changed = Buffer.from(nar);
      changed[how.at % nar.length]! ^= how.xor;
      return changed;
    }
    case "remove":
      return Buffer.concat([nar.subarray(0, word), nar.subarray(word + how.length * 8)]);
    case "repeat":
      return Buffer.concat([nar.subarray(0, word + how.length * 8), nar.subarray(word)]);
    case "insert":
      return Buffer.concat([nar.subarray(0, word), narString(how.word), nar.subarray(word)]);
  }
}

it("accepts nothing but what a writer of its tree would write, and fails only with NAR_INVALID", () => {
  let refused = 0;
  fc.assert(
    fc.property(anyTree, damage, chunkSizes, (tree, how, sizes) => {
      const nar = spoil(writeNar(tree), how);
      let records: readonly NarRecord[];
      try {
        records = recordNar(nar, sizes);
      } catch (error) {
        refused++;
        expect(error).toMatchObject({ code: "NAR_INVALID" });
        return;
      }
      expect(writeNar(treeOf(records)).equals(nar)).toBe(true);
    }),
    { numRuns: 1500 },
  );
  expect(refused).toBeGreaterThan(500);
});

it("refuses random bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => recordNar(bytes)).toThrow(expect.objectContaining({ name: "NixClosureError" }) as Error);
    }),
  );
});

test("sniffPathType agrees with the reader, from 80 bytes at the latest", () => {
  fc.assert(
    fc.property(anyTree, (tree) => {
      const nar = writeNar(tree);
      const wanted = { directory: 80, regular: 72, symlink: 72 }[tree.type];
      expect(sniffPathType(nar)).toBe(tree.type);
      expect(sniffPathType(nar.subarray(0, wanted))).toBe(tree.type);
      for (let length = 0; length < wanted; length++)
        expect(sniffPathType(nar.subarray(0, length))).toBeUndefined();
    }),
    { numRuns: 30 },
  );
});
