/**
 * What Nix makes of NARs that no honest tool writes (`nix-store --restore` of 2.8.0 and 2.34.8, and src/libutil/archive.cc
 * of 2.36), and what we do, a row for each fact. The grammar's details are in nar-refused.test.ts.
 */
import { describe, expect, test } from "vitest";

import { failureOf } from "./failure.ts";
import { recordNar } from "./nar-recorder.ts";
import { directory, file, head, nested, withLength, withNames } from "./nar-samples.ts";
import { narString, narStrings, writeNar } from "./nar-writer.ts";

type Answer = "accepts" | "refuses" | "fails on the disk";

interface Row {
  readonly fact: string;
  readonly nix28: Answer;
  readonly nix234: Answer;
  readonly nars: readonly Buffer[];
  /** Why we refuse it; undefined: we read it. */
  readonly ours?: string;
}

const link = (target: string | Buffer): Buffer => writeNar({ type: "symlink", target: Buffer.from(target) });
const both = (nix: Answer) => ({ nix28: nix, nix234: nix });
const sorted = directory({ a: file, b: { type: "symlink", target: Buffer.from("a") } });
/** A file whose padding has a byte that is not zero. */
const badPadding = (): Buffer => {
  const nar = writeNar(file);
  nar[nar.indexOf("hello\n") + 7] = 1;
  return nar;
};

const rows: readonly Row[] = [
  { fact: "the root is a directory", ...both("accepts"), nars: [writeNar(sorted)] },
  { fact: "the root is a file (toFile, fetchurl, .drv)", ...both("accepts"), nars: [writeNar(file)] },
  { fact: "the root is a symlink (ln -s x $out)", ...both("accepts"), nars: [link("x")] },
  {
    fact: "names are bytes: no UTF-8, newline, backslash, -x, ...",
    ...both("accepts"),
    nars: [withNames("\n", "-x", "...", "a\\b", Buffer.from([0x80, 0xff]))],
  },
  {
    fact: "the case hack of macOS is a name like any other",
    ...both("accepts"),
    nars: [withNames("a~nix~case~hack~1")],
  },
  {
    fact: "a name with a slash, ., .., an empty one, one with a zero byte",
    ...both("refuses"),
    nars: [withNames("a/b"), withNames("."), withNames(".."), withNames(""), withNames("a\0b")],
    ours: "a file name ",
  },
  { fact: "padding that is not zero", ...both("refuses"), nars: [badPadding()], ours: "padding is not zero" },
  {
    fact: "a huge length",
    ...both("refuses"),
    nars: [Buffer.concat([head("regular", "contents"), withLength(2n ** 60n)])],
    ours: "found 1152921504606847000 bytes",
  },
  { fact: "truncated", ...both("refuses"), nars: [writeNar(sorted).subarray(0, -8)], ours: "it ends where" },
  {
    fact: "unsorted entries, also where UTF-16 has another order",
    nix28: "accepts",
    nix234: "refuses",
    nars: [withNames("b", "a"), withNames("\u{10000}", "\uff61")],
    ours: "strictly ascending",
  },
  {
    fact: "a name twice",
    nix28: "fails on the disk",
    nix234: "refuses",
    nars: [withNames("a", "a")],
    ours: "strictly ascending",
  },
  { fact: "63 directories around a file", ...both("accepts"), nars: [nested(63)] },
  {
    fact: "a depth of 70",
    nix28: "accepts",
    nix234: "refuses",
    nars: [nested(64), nested(70)],
    ours: "nested too deeply",
  },
  {
    fact: "a depth of 5000",
    nix28: "fails on the disk",
    nix234: "refuses",
    nars: [nested(5000)],
    ours: "nested too deeply",
  },
  { fact: "a name of 255 bytes", ...both("accepts"), nars: [withNames("n".repeat(255))] },
  {
    fact: "a name of 256 bytes",
    nix28: "fails on the disk",
    nix234: "refuses",
    nars: [withNames("n".repeat(256))],
    ours: "found 256 bytes where a file name",
  },
  { fact: "a target of 4095 bytes", ...both("accepts"), nars: [link("t".repeat(4095))] },
  {
    fact: "a target of 4096 bytes",
    nix28: "fails on the disk",
    nix234: "refuses",
    nars: [link("t".repeat(4096))],
    ours: "found 4096 bytes where the target",
  },
  {
    fact: "an empty target, a target with a zero byte",
    nix28: "fails on the disk",
    nix234: "refuses",
    nars: [link(""), link("a\0b")],
    ours: "the target of a symlink ",
  },
  {
    fact: "type is not the first field",
    ...both("refuses"),
    nars: [narStrings("nix-archive-1", "(", "contents", "x", "type", "regular", ")")],
    ours: 'found "contents" where "type"',
  },
  {
    fact: "a file without contents",
    nix28: "accepts",
    nix234: "refuses",
    nars: [head("regular", ")"), head("regular", "executable", "", ")")],
    ours: 'found ")" where "contents"',
  },
  {
    fact: "a word of more than 32 bytes",
    nix28: "accepts",
    nix234: "refuses",
    nars: [head("directory", "x".repeat(33))],
    ours: "at most 32 are legal",
  },
  {
    fact: "bytes after the root node",
    ...both("accepts"),
    nars: [
      Buffer.concat([writeNar(file), Buffer.alloc(8)]),
      Buffer.concat([writeNar(file), writeNar(file)]),
      Buffer.concat([writeNar(sorted), narString(")")]),
    ],
    ours: "bytes follow its end",
  },
];

describe("what Nix 2.8 / 2.34 do with a NAR, and we", () => {
  test.each(rows)("$fact: $nix28 / $nix234", ({ nars, ours, nix234 }) => {
    for (const nar of nars) {
      for (const sizes of [[nar.length], [1], [9, 1, 100]]) {
        if (ours === undefined) {
          expect(recordNar(nar, sizes).length).toBeGreaterThan(0);
          continue;
        }
        const failure = failureOf(() => recordNar(nar, sizes));
        expect(failure.code).toBe("NAR_INVALID");
        expect(failure.message).toContain(ours);
      }
    }
    // What a store of today takes is read, but for what is no part of the tree.
    if (nix234 === "accepts" && ours !== undefined) expect(ours).toBe("bytes follow its end");
    if (nix234 === "refuses") expect(ours).toBeDefined();
  });
});

describe("a length of 2^63 or 2^64 - 1, wherever a length can be", () => {
  const entry = ["directory", "entry", "(", "name"] as const;
  test.each<[string, Buffer]>([
    ["the magic word", Buffer.alloc(0)],
    ["the opening word", narString("nix-archive-1")],
    ["the word of the type", narStrings("nix-archive-1", "(")],
    ["the type", head()],
    ["the contents", head("regular", "contents")],
    ["the value of the executable mark", head("regular", "executable")],
    ["the word after the contents", head("regular", "contents", "x")],
    ["a target", head("symlink", "target")],
    ["an entry", head("directory")],
    ["a name", head(...entry)],
    ["a node in an entry", head(...entry, "a")],
    [
      "contents in an entry",
      Buffer.concat([head(...entry, "a", "node", "(", "type", "regular", "contents")]),
    ],
  ])("%s", (_, before) => {
    for (const length of [2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n]) {
      const nar = Buffer.concat([before, withLength(length, Buffer.alloc(4096, "x"))]);
      for (const sizes of [[nar.length], [1]]) {
        const failure = failureOf(() => recordNar(nar, sizes));
        expect(failure.code).toBe("NAR_INVALID");
        expect(failure.message).toMatch(/found \d{16,} bytes where|is it compressed/);
      }
    }
  });
});
