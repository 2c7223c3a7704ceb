import { Buffer } from "node:buffer";

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { tarEnd, type TarEntry, tarHeader, tarPadding } from "../../src/oci/tar.ts";
import { readHeader, readRecords, readTar } from "./tar-reader.ts";

const typeFlag = { regular: "0", symlink: "2", directory: "5" };

function archive(entries: readonly { readonly entry: TarEntry; readonly content?: Uint8Array }[]): Buffer {
  const parts = entries.flatMap(({ entry, content = new Uint8Array() }) => [
    tarHeader(entry),
    content,
    tarPadding(content.length),
  ]);
  return Buffer.concat([...parts, tarEnd]);
}

function readOne(entry: TarEntry) {
  const read = readTar(archive([{ entry }]));
  expect(read).toHaveLength(1);
  return read[0]!;
}

const n = (length: number) => "n".repeat(length);
const p = (length: number) => "p".repeat(length);

describe("a path goes where it fits", () => {
  test.each<[string, TarEntry["type"], string | Buffer, "name" | "prefix" | "pax"]>([
    ["1 byte", "regular", "a", "name"],
    ["99 bytes", "regular", n(99), "name"],
    ["100 bytes", "regular", n(100), "name"],
    ["101 bytes without a slash", "regular", n(101), "pax"],
    ["100 bytes with slashes", "regular", `${p(50)}/${n(49)}`, "name"],
    ["101 bytes with a slash", "regular", `${p(50)}/${n(50)}`, "prefix"],
    ["1 + 1 + 100", "regular", `p/${n(100)}`, "prefix"],
    ["1 + 1 + 101", "regular", `p/${n(101)}`, "pax"],
    ["0 + 1 + 100: the prefix would be empty", "regular", `/${n(100)}`, "pax"],
    ["155 + 1 + 1", "regular", `${p(155)}/n`, "prefix"],
    ["155 + 1 + 100", "regular", `${p(155)}/${n(100)}`, "prefix"],
    ["155 + 1 + 101", "regular", `${p(155)}/${n(101)}`, "pax"],
    ["156 + 1 + 1", "regular", `${p(156)}/n`, "pax"],
    ["156 + 1 + 100", "regular", `${p(156)}/${n(100)}`, "pax"],
    ["256 bytes, with no slash at a possible place", "regular", `${p(154)}/${n(101)}`, "pax"],
    ["256 bytes without a slash", "regular", n(256), "pax"],
    ["a later slash leaves a shorter name", "regular", `${p(100)}/${p(54)}/${n(100)}`, "prefix"],
    ["a later slash is too late for the prefix", "regular", `${p(100)}/${p(55)}/${n(44)}`, "prefix"],
    ["99 bytes and the slash of a directory", "directory", n(99), "name"],
    ["100 bytes and the slash of a directory", "directory", n(100), "pax"],
    ["a directory of 155 + 1 + 99", "directory", `${p(155)}/${n(99)}`, "prefix"],
    ["a directory of 155 + 1 + 100", "directory", `${p(155)}/${n(100)}`, "pax"],
    ["a directory of 155: its slash is no place to split", "directory", n(155), "pax"],
    ["a directory of 154: its slash is no place to split", "directory", n(154), "pax"],
    ["a directory of 54 + 1 + 100", "directory", `${p(54)}/${n(100)}`, "pax"],
    ["100 bytes of 50 characters", "regular", "é".repeat(50), "name"],
    ["102 bytes of 51 characters", "regular", "é".repeat(51), "pax"],
    ["multibyte prefix of 154", "regular", `${"é".repeat(77)}/${"ü".repeat(50)}`, "prefix"],
    ["invalid UTF-8", "regular", Buffer.from([0xff, 0xfe, 0x2f, 0x80]), "name"],
    ["invalid UTF-8 of 101 bytes", "regular", Buffer.alloc(101, 0xff), "pax"],
    ["newlines", "regular", "a\nb", "name"],
    ["newlines and equals signs of 101 bytes", "regular", `\n=${n(97)}=\n`, "pax"],
    ["a backslash and a space", "regular", " a\\b ", "name"],
  ])("%s", (_, type, path, form) => {
    const bytes = Buffer.from(path);
    const read = readOne({
      path: bytes,
      type,
      mode: 0o555,
      size: 0,
      ...(type === "symlink" && { target: bytes }),
    });
    const written = type === "directory" ? Buffer.concat([bytes, Buffer.from("/")]) : bytes;
    expect(read.path.toString("latin1")).toBe(written.toString("latin1"));
    expect(read.form).toBe(form);
    expect(read.typeFlag).toBe(typeFlag[type]);
  });

  test("the name field of a file in PAX form never ends in a slash", () => {
    const header = tarHeader({
      path: Buffer.from(`${n(99)}/${n(200)}`),
      type: "regular",
      mode: 0o444,
      size: 0,
    });
    expect(readHeader(Buffer.from(header).subarray(-512)).path.toString()).toBe(n(99));
  });
});

describe("a target goes where it fits", () => {
  test.each<[string, string | Buffer, "name" | "pax"]>([
    ["1 byte", "/", "name"],
    ["99 bytes", n(99), "name"],
    ["100 bytes", n(100), "name"],
    ["101 bytes", n(101), "pax"],
    ["101 bytes with slashes", `/${p(49)}/${n(50)}`, "pax"],
    ["4095 bytes", "../".repeat(1365), "pax"],
    ["invalid UTF-8 of 101 bytes", Buffer.alloc(101, 0xc0), "pax"],
    ["a newline at the end", "a\n", "name"],
  ])("%s", (_, target, form) => {
    const bytes = Buffer.from(target);
    const read = readOne({ path: Buffer.from("link"), type: "symlink", mode: 0o777, size: 0, target: bytes });
    expect(read.target.toString("latin1")).toBe(bytes.toString("latin1"));
    expect(read.form).toBe(form);
    expect(read.size).toBe(0);
  });
});

describe("a size goes where it fits", () => {
  const gib = 1024 ** 3;
  test.each([
    [0, "name"],
    [1, "name"],
    [8 * gib - 1, "name"],
    [8 * gib, "pax"],
    [8 * gib + 1, "pax"],
    [Number.MAX_SAFE_INTEGER, "pax"],
  ])("%d bytes", (size, form) => {
    const blocks = Buffer.from(tarHeader({ path: Buffer.from("f"), type: "regular", mode: 0o444, size }));
    const extended = form === "pax" ? readRecords(recordsOf(blocks)) : undefined;
    const read = readHeader(blocks.subarray(-512), extended);
    expect(read).toMatchObject({ size, form });
  });

  test("8 GiB, a long path and a long target each have a record, by key", () => {
    const path = Buffer.from(n(101));
    const file = Buffer.from(tarHeader({ path, type: "regular", mode: 0o444, size: 8 * gib }));
    expect([...readRecords(recordsOf(file)).keys()]).toStrictEqual(["path", "size"]);
    const link = Buffer.from(tarHeader({ path, type: "symlink", mode: 0o777, size: 0, target: path }));
    expect([...readRecords(recordsOf(link)).keys()]).toStrictEqual(["linkpath", "path"]);
  });
});

/** Records of the extended header that the blocks of an entry begin with. */
function recordsOf(blocks: Buffer): Buffer {
  const header = readHeader(blocks.subarray(0, 512));
  expect(header.typeFlag).toBe("x");
  return blocks.subarray(512, 512 + header.size);
}

test.each([988, 989, 990, 991, 992])(
  "a record counts its own digits where their number changes: path of %d bytes",
  (length) => {
    const read = readOne({ path: Buffer.from(n(length)), type: "regular", mode: 0o444, size: 0 });
    expect(read.path.length).toBe(length);
  },
);

test("nothing of who, when or on what device gets in, in any header", () => {
  const fixed = { uid: 0, gid: 0, mtime: 1, owner: "", device: "0000000\u00000000000\u0000" };
  for (const length of [5, 101]) {
    const path = Buffer.from(n(length));
    const blocks = Buffer.from(tarHeader({ path, type: "regular", mode: 0o444, size: 0 }));
    expect(readHeader(blocks.subarray(0, 512))).toMatchObject(fixed);
    expect(readHeader(blocks.subarray(-512))).toMatchObject(fixed);
  }
  const pax = Buffer.from(tarHeader({ path: Buffer.from(n(101)), type: "regular", mode: 0o444, size: 0 }));
  expect(readHeader(pax.subarray(0, 512)).path.toString()).toBe("PaxHeaders/entry");
});

test("a directory and a symlink have no content, whatever size they come with", () => {
  const path = Buffer.from("a");
  expect(readOne({ path, type: "directory", mode: 0o555, size: 4096 }).size).toBe(0);
  expect(readOne({ path, type: "symlink", mode: 0o777, size: 9, target: path }).size).toBe(0);
});

describe("refuses what no file system holds", () => {
  const good = Buffer.from("a");
  test.each<[string, TarEntry, RegExp]>([
    ["an empty path", { path: Buffer.of(), type: "directory", mode: 0o555, size: 0 }, /its path is empty/],
    [
      "a zero byte",
      { path: Buffer.from("a\0b"), type: "regular", mode: 0o444, size: 0 },
      /its path has a zero byte/,
    ],
    [
      "an empty target",
      { path: good, type: "symlink", mode: 0o777, size: 0, target: Buffer.of() },
      /its target is empty/,
    ],
    [
      "a symlink without a target",
      { path: good, type: "symlink", mode: 0o777, size: 0 },
      /its target is empty/,
    ],
    [
      "a zero byte in a target",
      { path: good, type: "symlink", mode: 0o777, size: 0, target: Buffer.from("\0") },
      /its target has a zero byte/,
    ],
  ])("%s", (_, entry, reason) => {
    expect(() => tarHeader(entry)).toThrow(
      expect.objectContaining({ code: "TAR_ENTRY_INVALID", message: expect.stringMatching(reason) }),
    );
  });
});

test.each([
  [0, 0],
  [1, 511],
  [511, 1],
  [512, 0],
  [513, 511],
  [8 * 1024 ** 3 + 1, 511],
])("content of %d bytes is followed by %d zeros", (size, zeros) => {
  expect(tarPadding(size)).toStrictEqual(new Uint8Array(zeros));
});

const bytes = (maxLength: number) =>
  fc
    .uint8Array({ minLength: 1, maxLength })
    .map((values) => values.map((value) => (value === 0 ? 1 : value)));
const component = bytes(140).map((values) => values.map((value) => (value === 0x2f ? 0x2e : value)));
const path = fc
  .array(component, { minLength: 1, maxLength: 4 })
  .map((components) =>
    Buffer.concat(components.flatMap((each, at) => (at === 0 ? [each] : [Buffer.from("/"), each]))),
  );
const item = fc.oneof(
  fc.record({
    entry: fc.record({ path, type: fc.constant("directory" as const), mode: fc.constant(0o555) }),
  }),
  fc.record({
    entry: fc.record({ path, type: fc.constant("regular" as const), mode: fc.constantFrom(0o444, 0o555) }),
    content: fc.uint8Array({ maxLength: 1100 }),
  }),
  fc.record({
    entry: fc.record({
      path,
      type: fc.constant("symlink" as const),
      mode: fc.constant(0o777),
      target: bytes(300),
    }),
  }),
);

test("every list of entries is read back as it was", () => {
  fc.assert(
    fc.property(fc.array(item, { maxLength: 6 }), (items) => {
      const written = items.map((each) => {
        const content = "content" in each ? each.content : new Uint8Array();
        return { entry: { ...each.entry, size: content.length }, content };
      });
      const read = readTar(archive(written));
      expect(
        read.map(({ path: name, typeFlag: flag, mode, target, content }) => [
          hex(name),
          flag,
          mode,
          hex(target),
          hex(content),
        ]),
      ).toStrictEqual(
        written.map(({ entry, content }) => [
          hex(entry.path) + (entry.type === "directory" ? "2f" : ""),
          typeFlag[entry.type],
          entry.mode,
          hex("target" in entry ? entry.target : new Uint8Array()),
          hex(content),
        ]),
      );
    }),
  );
});

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}
