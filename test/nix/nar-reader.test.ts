import { describe, expect, it, test } from "vitest";
import type { NarVisitor } from "../../src/nix/nar-reader.ts";
import { NarReader } from "../../src/nix/nar-reader.ts";
import { failureOf } from "./failure.ts";
import { NarRecorder, recordNar } from "./nar-recorder.ts";
import { directory, file, head, nested, withLength, withNames } from "./nar-samples.ts";
import { narString, narStrings, writeNar, type NarNode } from "./nar-writer.ts";

const empty = Buffer.alloc(0);

describe("legal NARs", () => {
  test("a directory", () => {
    const nar = writeNar(
      directory({
        bin: directory({
          hello: { type: "regular", executable: true, contents: Buffer.from("#!/bin/sh\n") },
        }),
        empty: directory({}),
        "empty.txt": { type: "regular", contents: empty },
        link: { type: "symlink", target: Buffer.from("../x") },
        text: file,
      }),
    );
    expect(recordNar(nar)).toEqual([
      { type: "directory", path: "" },
      { type: "directory", path: "bin" },
      { type: "regular", path: "bin/hello", executable: true, contents: "#!/bin/sh\n" },
      { type: "directory", path: "empty" },
      { type: "regular", path: "empty.txt", executable: false, contents: "" },
      { type: "symlink", path: "link", target: "../x" },
      { type: "regular", path: "text", executable: false, contents: "hello\n" },
    ]);
  });

  test.each<[string, NarNode, object]>([
    ["a file", file, { type: "regular", path: "", executable: false, contents: "hello\n" }],
    [
      "a file of 8 bytes, without padding",
      { type: "regular", contents: Buffer.from("12345678") },
      { contents: "12345678" },
    ],
    [
      "an empty executable",
      { type: "regular", executable: true, contents: empty },
      { executable: true, contents: "" },
    ],
    [
      "a symlink",
      { type: "symlink", target: Buffer.from("/x") },
      { type: "symlink", path: "", target: "/x" },
    ],
    ["an empty directory", directory({}), { type: "directory", path: "" }],
  ])("a root that is %s", (_, root, expected) => {
    const records = recordNar(writeNar(root));
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject(expected);
  });

  test.each<[string, readonly (string | Uint8Array)[]]>([
    ["invalid UTF-8", [Buffer.from([0x80]), Buffer.from([0xff, 0xfe])]],
    ["newlines, backslashes, spaces, leading dashes", ["\n", " ", "-rf", "a\nb", "a\\b"]],
    ["dots that are not . and ..", ["...", "..a", ".a", "a.."]],
    ["the case hack of macOS", ["a~nix~case~hack~1"]],
    ["letters of both cases", ["A", "a"]],
    ["prefixes of each other", ["a", "a-b", "a.b", "aa", "b"]],
    ["an order that UTF-16 has not", ["\uff61", "\u{10000}"]],
    ["255 bytes", ["n".repeat(255)]],
  ])("names with %s", (_, names) => {
    const expected = names.map((name) => Buffer.from(name as string).toString("latin1"));
    expect(recordNar(withNames(...names)).map(({ path }) => path)).toEqual(["", ...expected]);
  });

  test("the same name again in other directories", () => {
    const nar = writeNar(
      directory({ a: directory({ a: file, z: file }), b: directory({ a: file }), c: file }),
    );
    expect(recordNar(nar).map(({ path }) => path)).toEqual(["", "a", "a/a", "a/z", "b", "b/a", "c"]);
  });

  test("63 directories around a file, all with the longest names", () => {
    expect(recordNar(nested(63))).toHaveLength(64);
    const name = "n".repeat(255);
    let node: NarNode = file;
    for (let depth = 0; depth < 63; depth++) node = directory({ [name]: node });
    expect(recordNar(writeNar(node)).at(-1)?.path).toBe(Array(63).fill(name).join("/"));
  });

  test("a symlink's target of 4095 bytes", () => {
    const target = Buffer.alloc(4095, "t");
    expect(recordNar(writeNar({ type: "symlink", target }), [1])[0]).toMatchObject({
      target: target.toString(),
    });
  });

  test("chunks of no bytes", () => {
    expect(recordNar(writeNar(file), [0, 7, 0])).toEqual(recordNar(writeNar(file)));
  });
});

describe("a NarReader", () => {
  it("counts the bytes that it was given", () => {
    const nar = writeNar(file);
    const reader = new NarReader(new NarRecorder());
    reader.write(nar.subarray(0, 31));
    expect(reader.bytesRead).toBe(31);
    reader.write(nar.subarray(31));
    reader.end();
    expect(reader.bytesRead).toBe(nar.length);
  });

  it("throws the same again after it has thrown", () => {
    const reader = new NarReader(new NarRecorder());
    const first = failureOf(() => reader.write(narString("nix-archive-2")));
    expect(failureOf(() => reader.write(narString("nix-archive-1")))).toBe(first);
    expect(failureOf(() => reader.end())).toBe(first);
    const unfinished = new NarReader(new NarRecorder());
    const truncated = failureOf(() => unfinished.end());
    expect(failureOf(() => unfinished.write(writeNar(file)))).toBe(truncated);
  });

  it("throws an error of its visitor, and the same again", () => {
    const full = new Error("disk full");
    const recorder = new NarRecorder();
    recorder.contents = () => {
      throw full;
    };
    const reader = new NarReader(recorder);
    expect(() => reader.write(writeNar(file))).toThrow(full);
    expect(() => reader.write(new Uint8Array(1))).toThrow(full);
    expect(() => reader.end()).toThrow(full);
  });

  it("accepts nothing after the end", () => {
    const reader = new NarReader(new NarRecorder());
    reader.write(writeNar(file));
    reader.end();
    reader.end();
    expect(failureOf(() => reader.write(new Uint8Array(1))).message).toContain("bytes follow its end");
  });

  it("reads as many bytes as it may, and tells nothing of a chunk that goes beyond", () => {
    const nar = writeNar(directory({ a: file }));
    const exact = new NarReader(new NarRecorder(), nar.length);
    exact.write(nar);
    exact.end();

    const recorder = new NarRecorder();
    const short = new NarReader(recorder, nar.length - 1);
    expect(failureOf(() => short.write(nar)).message).toContain(`longer than the ${nar.length - 1} bytes`);
    expect(recorder.records).toEqual([]);
  });

  it("refuses contents that cannot fit before it is told of them", () => {
    const nar = writeNar({ type: "regular", contents: Buffer.alloc(1001) });
    const upToSize = nar.subarray(0, 24 + 16 + 16 + 16 + 16 + 8);
    for (const [spare, fits] of [
      [1008, true],
      [1007, false],
    ] as const) {
      const recorder = new NarRecorder();
      const reader = new NarReader(recorder, upToSize.length + spare);
      if (fits) reader.write(upToSize);
      else expect(failureOf(() => reader.write(upToSize)).message).toContain("it is longer than");
    }
  });

  it("passes contents on without copying them", () => {
    const nar = writeNar({ type: "regular", contents: Buffer.alloc(100_000, 1) });
    const buffers = new Set<ArrayBufferLike>();
    const recorder = new NarRecorder();
    recorder.contents = (chunk) => buffers.add(chunk.buffer);
    recorder.endRegular = () => undefined;
    new NarReader(recorder).write(nar);
    expect([...buffers]).toEqual([nar.buffer]);
  });

  it("gives away path and target buffers: later bytes do not change them, and they may be changed", () => {
    const nar = writeNar(
      directory({ a: directory({ x: file, y: file }), b: { type: "symlink", target: Buffer.from("t") } }),
    );
    const paths: string[] = [];
    const spoil = (path: Uint8Array): void => {
      paths.push(Buffer.from(path).toString());
      path.fill(0x7a);
    };
    const visitor: NarVisitor = {
      directory: spoil,
      regular: spoil,
      contents: () => undefined,
      endRegular: () => undefined,
      symlink: (path, target) => {
        spoil(path);
        spoil(target);
      },
    };
    const before = Buffer.from(nar);
    const reader = new NarReader(visitor);
    reader.write(nar);
    reader.end();
    expect(paths).toEqual(["", "a", "a/x", "a/y", "b", "t"]);
    expect(nar).toEqual(before);
  });
});

describe("cost", () => {
  const visitor: NarVisitor = {
    directory: () => undefined,
    regular: () => undefined,
    contents: () => undefined,
    endRegular: () => undefined,
    symlink: () => undefined,
  };

  it(
    "of a directory of 300,000 entries is linear (quadratic would take minutes)",
    { timeout: 20_000 },
    () => {
      const reader = new NarReader(visitor);
      reader.write(head("directory"));
      const node = narStrings("(", "type", "symlink", "target", "x", ")", ")");
      for (let index = 0; index < 300_000; index++) {
        const name = String(index).padStart(6, "0");
        reader.write(Buffer.concat([narStrings("entry", "(", "name", name, "node"), node]));
      }
      reader.write(narStrings(")", ")").subarray(16));
      reader.end();
      expect(reader.bytesRead).toBeGreaterThan(300_000 * 190);
    },
  );

  it("of a file of 4 GiB is no memory", () => {
    const chunk = new Uint8Array(1 << 20);
    const reader = new NarReader(visitor);
    reader.write(Buffer.concat([head("regular", "contents"), withLength(2n ** 32n)]));
    const before = process.memoryUsage().arrayBuffers;
    for (let written = 0; written < 2 ** 32; written += chunk.length) reader.write(chunk);
    reader.write(narString(")"));
    reader.end();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 << 20);
  });
});
