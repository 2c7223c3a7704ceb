import { describe, expect, test } from "vitest";
import { NarReader } from "../../src/nix/nar-reader.ts";
import { failureOf } from "./failure.ts";
import { NarRecorder, recordNar } from "./nar-recorder.ts";
import { directory, file, head, nested, withLength, withNames } from "./nar-samples.ts";
import { narString, narStrings, writeNar } from "./nar-writer.ts";

describe("NARs that are refused", () => {
  const link = narStrings("nix-archive-1", "(", "type", "symlink", "target");
  const text = narStrings("nix-archive-1", "(", "type", "regular", "contents");
  test.each<[string, Buffer, string]>([
    [
      "another magic word",
      narStrings("nix-archive-2", "(", "type"),
      'found "nix-archive-2" where "nix-archive-1"',
    ],
    ["a shorter magic word", narStrings("nix-archive", "("), 'found "nix-archive" where "nix-archive-1"'],
    ["zstd data", Buffer.from("28b52ffd0458650200", "hex"), "is it compressed?"],
    ["xz data", Buffer.from("fd377a585a000004e6", "hex"), "is it compressed?"],
    ["an HTML page", Buffer.from("<!DOCTYPE html>"), "is it compressed?"],
    ["no node", narStrings("nix-archive-1", ")"), 'found ")" where "(" should be'],
    [
      "type not first",
      narStrings("nix-archive-1", "(", "contents", "x", "type", "regular", ")"),
      'found "contents" where "type"',
    ],
    ["an unknown type", head("fifo"), 'found "fifo" where "regular" or "directory" or "symlink"'],
    ["an empty type", head(""), 'found "" where "regular"'],
    ["type twice", head("regular", "type", "regular"), 'found "type" where "contents" or "executable"'],
    ["a file without contents", head("regular", ")"), 'found ")" where "contents" or "executable"'],
    ["an executable without contents", head("regular", "executable", "", ")"), 'found ")" where "contents"'],
    [
      "executable twice",
      head("regular", "executable", "", "executable", ""),
      'found "executable" where "contents"',
    ],
    [
      "executable after the contents",
      head("regular", "contents", "x", "executable", ""),
      'found "executable" where ")"',
    ],
    [
      "an executable mark with a value",
      head("regular", "executable", "1"),
      'found 1 bytes where "" should be, at most 0',
    ],
    ["contents twice", head("regular", "contents", "x", "contents", "y"), 'found "contents" where ")"'],
    ["a target for a file", head("regular", "target", "x"), 'found "target" where "contents"'],
    ["contents for a symlink", head("symlink", "contents", "x"), 'found "contents" where "target"'],
    ["a symlink without target", head("symlink", ")"), 'found ")" where "target"'],
    ["an empty target", head("symlink", "target", ""), "the target of a symlink is empty"],
    [
      "a target with a zero byte",
      head("symlink", "target", "a\0b"),
      "the target of a symlink has a zero byte",
    ],
    [
      "a target of 4096 bytes",
      head("symlink", "target", "t".repeat(4096)),
      "found 4096 bytes where the target of a symlink",
    ],
    ["an entry without name", head("directory", "entry", "(", "node"), 'found "node" where "name"'],
    ["an entry without node", head("directory", "entry", "(", "name", "a", ")"), 'found ")" where "node"'],
    ["an entry that is not opened", head("directory", "entry", "name"), 'found "name" where "("'],
    ["an empty name", withNames(""), "a file name is empty"],
    ["the name .", withNames("."), 'a file name is "." or ".."'],
    ["the name ..", withNames(".."), 'a file name is "." or ".."'],
    ["a name with a slash", withNames("a/b"), 'a file name has a "/"'],
    ["a name that is a slash", withNames("/"), 'a file name has a "/"'],
    ["a name that climbs", withNames("../x"), 'a file name has a "/"'],
    ["a name with a zero byte", withNames("a\0"), "a file name has a zero byte"],
    [
      "a name of 256 bytes",
      withNames("n".repeat(256)),
      "found 256 bytes where a file name should be, at most 255",
    ],
    ["unsorted names", withNames("b", "a"), "not in strictly ascending byte order"],
    ["a name twice", withNames("a", "a"), "not in strictly ascending byte order"],
    ["a name after a longer one", withNames("aa", "a"), "not in strictly ascending byte order"],
    ["the order of UTF-16", withNames("\u{10000}", "\uff61"), "not in strictly ascending byte order"],
    [
      "the order of signed bytes",
      withNames(Buffer.from([0x80]), "a"),
      "not in strictly ascending byte order",
    ],
    ["64 directories", nested(64), "directories are nested too deeply"],
    ["5000 directories", nested(5000), "directories are nested too deeply"],
    [
      "a word of 33 bytes",
      head("directory", "x".repeat(33)),
      'found 33 bytes where "entry" or ")" should be, at most 32',
    ],
    [
      "a word of 32 bytes",
      head("directory", "x".repeat(32)),
      `found "${"x".repeat(32)}" where "entry" or ")"`,
    ],
    [
      "a length of 2^53 for contents",
      Buffer.concat([text, withLength(2n ** 53n)]),
      "found 9007199254740992 bytes where the contents of a file",
    ],
    [
      "a length of 2^64 - 1 for contents",
      Buffer.concat([text, withLength(2n ** 64n - 1n)]),
      "found 18446744073709552000 bytes where the contents of a file",
    ],
    [
      "the longest length for contents",
      Buffer.concat([text, withLength(2n ** 53n - 1n)]),
      "it is longer than the 9007199254740991 bytes",
    ],
    [
      "a length of 2^32 for a target",
      Buffer.concat([link, withLength(2n ** 32n)]),
      "found 4294967296 bytes where",
    ],
    [
      "a length of 2^32 + 1 for a word",
      Buffer.concat([head(), withLength(2n ** 32n + 7n, Buffer.from("regular\0"))]),
      "found 4294967303 bytes",
    ],
    ["bytes after the root", Buffer.concat([writeNar(file), Buffer.from([0])]), "bytes follow its end"],
    ["two NARs", Buffer.concat([writeNar(file), writeNar(file)]), "bytes follow its end"],
    [
      "a closing word too many",
      Buffer.concat([writeNar(directory({})), narString(")")]),
      "bytes follow its end",
    ],
  ])("%s", (_, nar, reason) => {
    for (const sizes of [[nar.length], [1], [7, 1, 64]]) {
      const failure = failureOf(() => recordNar(nar, sizes));
      expect(failure.code).toBe("NAR_INVALID");
      expect(failure.message).toContain(reason);
    }
  });

  test("padding that is not zero, wherever it is", () => {
    const nar = writeNar(directory({ a: file, b: { type: "symlink", target: Buffer.from("x") } }));
    const legal = recordNar(nar);
    let paddings = 0;
    for (let at = 0; at < nar.length; at += 8) {
      const length = Number(nar.readBigUInt64LE(at));
      for (let pad = at + 8 + length; pad % 8 !== 0; pad++, paddings++) {
        const changed = Buffer.from(nar);
        changed[pad] = 1;
        expect(failureOf(() => recordNar(changed)).message).toContain("padding is not zero");
        expect(failureOf(() => recordNar(changed, [1])).message).toContain("padding is not zero");
      }
      at += Math.ceil(length / 8) * 8;
    }
    const spoilt = Buffer.from(nar);
    spoilt[nar.indexOf("hello\n") + 7] = 1;
    const where = `at byte ${nar.indexOf("hello\n") + 7}:`;
    for (const sizes of [[nar.length], [1], [5]])
      expect(failureOf(() => recordNar(spoilt, sizes)).message).toContain(where);
    expect(paddings).toBeGreaterThan(100);
    expect(legal).toHaveLength(3);
  });

  test("one that is cut off anywhere", () => {
    const nar = writeNar(
      directory({ a: file, b: directory({}), c: { type: "symlink", target: Buffer.from("x") } }),
    );
    for (let length = 0; length < nar.length; length++) {
      const reader = new NarReader(new NarRecorder());
      reader.write(nar.subarray(0, length));
      expect(failureOf(() => reader.end()).message).toContain("it ends where ");
    }
    expect(recordNar(nar)).toHaveLength(4);
  });

  test("the message says where", () => {
    const nar = withNames("b", "a");
    const offset = nar.lastIndexOf(narString("a"));
    expect(failureOf(() => recordNar(nar)).message).toContain(`malformed NAR at byte ${offset}: `);
    expect(failureOf(() => recordNar(nar, [5])).message).toContain(`malformed NAR at byte ${offset}: `);
    const trailing = writeNar(file);
    expect(failureOf(() => recordNar(Buffer.concat([trailing, trailing]))).message).toContain(
      `byte ${trailing.length}:`,
    );
  });
});
