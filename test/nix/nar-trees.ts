import * as fc from "fast-check";
import type { NarNode } from "./nar-writer.ts";

const hostileNames: readonly Buffer[] = [
  Buffer.from([0xff, 0xfe, 0x80]),
  Buffer.from("a\nb"),
  Buffer.from("a\\b"),
  Buffer.from("-rf"),
  Buffer.from("..."),
  Buffer.from(" "),
  Buffer.from(".wh.a"),
  Buffer.from("\uff61"),
  Buffer.from("\u{10000}"),
  Buffer.alloc(255, "n"),
];

/** Any legal file name, hostile ones often. */
export const anyName: fc.Arbitrary<Buffer> = fc.oneof(
  fc.constantFrom(...hostileNames),
  fc
    .uint8Array({ minLength: 1, maxLength: 12 })
    .map((bytes) => Buffer.from(bytes))
    .filter((name) => !name.includes(0) && !name.includes("/") && !/^\.\.?$/.test(name.toString("latin1"))),
);

/** Any tree that can be a store path: names are bytes of any encoding. */
export const anyTree: fc.Arbitrary<NarNode> = fc.letrec<{ node: NarNode }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({
      type: fc.constant("regular" as const),
      executable: fc.boolean(),
      contents: fc.uint8Array({ maxLength: 40 }),
    }),
    fc.record({
      type: fc.constant("symlink" as const),
      target: fc.uint8Array({ minLength: 1, maxLength: 30 }).filter((target) => !target.includes(0)),
    }),
    fc.record({
      type: fc.constant("directory" as const),
      entries: fc.uniqueArray(fc.tuple(anyName, tie("node")), {
        maxLength: 5,
        selector: ([name]) => name.toString("latin1"),
      }),
    }),
  ),
})).node;
