import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { formatNarHash } from "../../src/nix/hash.ts";
import { encodeNix32 } from "../../src/nix/nix32.ts";
import { fingerprint, parseNarInfo } from "../../src/nix/narinfo.ts";
import { failureOf } from "./failure.ts";
import { formatNarInfo } from "./signer.ts";

const hex = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const nix32 = "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq";
const path = "/nix/store/268agsvglk9kqv0gxyyminx42gs2n9yp-attr-2.5.1-4";
const glibc = "4p9f6482za2nbxkilsbpdjshc2npmkvf-glibc-2.36-9+deb12u14";
const bash = "cigi1lmws9lvsv0pn0f8s00cn1l9b1j0-bash-5.2.15-2+b13";
const signature = `a-1:${Buffer.alloc(64, 7).toString("base64")}`;

/** A whole narinfo, by lines; a test changes one of them. */
const whole: Readonly<Record<string, string>> = {
  StorePath: path,
  URL: "nar/0ks0.nar.zst",
  Compression: "zstd",
  FileHash: `sha256:${nix32}`,
  FileSize: "8549",
  NarHash: `sha256:${nix32}`,
  NarSize: "31976",
  References: `${glibc} ${bash}`,
  Deriver: "8hysfcxv04nwidvdbp59vlf9fqkna7kr-attr-2.5.1-4.drv",
  Sig: signature,
};

/** The same with some lines changed, or left out (undefined). */
function lines(changes: Readonly<Record<string, string | undefined>> = {}): string {
  return Object.entries({ ...whole, ...changes })
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\n`]))
    .join("");
}

function parse(text: string): ReturnType<typeof parseNarInfo> {
  return parseNarInfo(Buffer.from(text, "utf8"));
}

describe("a whole narinfo", () => {
  it("is read", () => {
    expect(parse(lines({ CA: `fixed:r:sha256:${nix32}` }))).toEqual({
      storePath: path,
      url: "nar/0ks0.nar.zst",
      compression: "zstd",
      fileHash: `sha256:${nix32}`,
      fileSize: 8549,
      narHash: `sha256:${nix32}`,
      narSize: 31976,
      references: [`/nix/store/${glibc}`, `/nix/store/${bash}`],
      deriver: "8hysfcxv04nwidvdbp59vlf9fqkna7kr-attr-2.5.1-4.drv",
      signatures: [{ keyName: "a-1", bytes: new Uint8Array(64).fill(7) }],
      contentAddress: {
        method: "recursive",
        algorithm: "sha256",
        hash: Uint8Array.from(Buffer.from(hex, "hex")),
        text: `fixed:r:sha256:${nix32}`,
      },
    });
  });

  it("may come in any order of lines", () => {
    const reversed = lines().split("\n").filter(Boolean).toReversed().join("\n");
    expect(parse(`${reversed}\n`)).toEqual(parse(lines()));
  });

  it("needs no more than four lines", () => {
    expect(parse(`StorePath: ${path}\nURL: x\nNarHash: sha256:${hex}\nNarSize: 1\n`)).toEqual({
      storePath: path,
      url: "x",
      compression: "bzip2",
      narHash: `sha256:${nix32}`,
      narSize: 1,
      references: [],
      signatures: [],
    });
  });
});

describe("deviations of real caches that are read", () => {
  test.each([
    ["NarHash in hexadecimal", { NarHash: `sha256:${hex}` }, { narHash: `sha256:${nix32}` }],
    [
      "NarHash in base64",
      { NarHash: "sha256:WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=" },
      { narHash: `sha256:${nix32}` },
    ],
    [
      "NarHash in SRI",
      { NarHash: "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=" },
      { narHash: `sha256:${nix32}` },
    ],
    [
      "FileHash of another algorithm",
      { FileHash: `sha1:${"0".repeat(32)}` },
      { fileHash: `sha1:${"0".repeat(32)}` },
    ],
    ["no Compression", { Compression: undefined }, { compression: "bzip2" }],
    ["an empty Compression", { Compression: "" }, { compression: "bzip2" }],
    ["a Compression that nobody knows", { Compression: "new" }, { compression: "new" }],
    ["no References", { References: undefined }, { references: [] }],
    ["empty References", { References: "" }, { references: [] }],
    [
      "unsorted References",
      { References: `${bash} ${glibc}` },
      { references: [`/nix/store/${glibc}`, `/nix/store/${bash}`] },
    ],
    ["repeated References", { References: `${bash} ${bash}` }, { references: [`/nix/store/${bash}`] }],
    ["References with more spaces", { References: `  ${bash}  ` }, { references: [`/nix/store/${bash}`] }],
    ["a reference to itself", { References: path.slice(11) }, { references: [path] }],
    ["a field that nobody knows", { System: "x86_64-linux", "": "", Foo: "bar" }, { narSize: 31976 }],
    ["an empty CA", { CA: "" }, { narSize: 31976 }],
    ["a URL with a query", { URL: "nar/x.nar?hash=1#2" }, { url: "nar/x.nar?hash=1#2" }],
    ["an absolute URL", { URL: "https://cdn.example/x.nar" }, { url: "https://cdn.example/x.nar" }],
    ["a URL that is not ASCII", { URL: "nar/é.nar" }, { url: "nar/é.nar" }],
    ["the largest NarSize", { NarSize: "9007199254740991" }, { narSize: Number.MAX_SAFE_INTEGER }],
  ])("%s", (_, changes, expected) => {
    expect(parse(lines(changes))).toMatchObject(expected);
  });

  test.each([
    ["an unknown deriver", { Deriver: "unknown-deriver" }, "deriver"],
    ["no deriver", { Deriver: undefined }, "deriver"],
    ["no FileSize", { FileSize: undefined }, "fileSize"],
    ["a FileSize of zero", { FileSize: "0" }, "fileSize"],
    ["no FileHash", { FileHash: undefined }, "fileHash"],
    ["an empty CA", { CA: "" }, "contentAddress"],
  ])("%s leaves the field out", (_, changes, field) => {
    expect(parse(lines(changes))).not.toHaveProperty(field);
  });

  test("a key with nothing after its colon is empty, and does not take the next line", () => {
    const text = lines()
      .replace(/References: .*\n/, "References:\n")
      .replace(/Compression: .*\n/, "Compression:\n");
    expect(parse(text)).toMatchObject({ references: [], compression: "bzip2", narSize: 31976 });
  });

  test("one character after the colon is skipped, whatever it is; a second one belongs to the value", () => {
    expect(parse(lines().replace("URL: ", "URL:_")).url).toBe("nar/0ks0.nar.zst");
    expect(parse(lines().replace("URL: ", "URL:  ")).url).toBe(" nar/0ks0.nar.zst");
  });

  test("bytes that are no UTF-8 do no harm in a field that is not read", () => {
    const bytes = Buffer.concat([Buffer.from(lines()), Buffer.from("Note: \xff\xfe\0\n", "latin1")]);
    expect(parseNarInfo(bytes)).toEqual(parse(lines()));
  });

  test("a view into a larger buffer is read alone", () => {
    const text = lines();
    const around = Buffer.from(`garbage${text}garbage`);
    expect(parseNarInfo(new Uint8Array(around).subarray(7, 7 + text.length))).toEqual(parse(text));
  });
});

describe("signatures of a narinfo", () => {
  test.each([
    ["no colon", "a-1"],
    ["no name", `:${signature.slice(4)}`],
    ["no base64", "a-1:***"],
    ["too few bytes", "a-1:AAAA"],
    ["nothing", ""],
    ["a byte that is no UTF-8", "\xff"],
  ])("a malformed one (%s) is left out, the others stay", (_, malformed) => {
    const text = `${lines({ Sig: undefined })}Sig: ${malformed}\nSig: ${signature}\n`;
    expect(parseNarInfo(Buffer.from(text, "latin1")).signatures).toEqual([
      { keyName: "a-1", bytes: new Uint8Array(64).fill(7) },
    ]);
  });

  test("several are kept in their order", () => {
    const other = signature.replace("a-1", "b-1");
    const info = parse(`${lines()}Sig: ${other}\nSig: ${signature}\n`);
    expect(info.signatures.map(({ keyName }) => keyName)).toEqual(["a-1", "b-1", "a-1"]);
  });
});

test("a megabyte of malformed signatures is passed over in no time", () => {
  const started = process.cpuUsage();
  const info = parse(`${lines()}${"Sig:\n".repeat(200_000)}Sig: ${signature}\n`);
  expect(info.signatures).toHaveLength(2);
  const { user, system } = process.cpuUsage(started);
  // With an error for each it takes a second.
  expect((user + system) / 1000).toBeLessThan(500);
});

describe("malformed narinfos", () => {
  test.each([
    ["nothing at all", "", "NarSize is missing"],
    ["an HTML page", "<html>\n", 'line 1 has no ":"'],
    [
      "a last line without a newline",
      lines().slice(0, -1),
      "line 10 has no newline at its end; is it cut off?",
    ],
    ["an empty line", `${lines()}\n`, 'line 11 has no ":"'],
    ["a line without a colon", `${lines()}Foo\n`, 'line 11 has no ":"'],
    ["a byte order mark", `\ufeff${lines()}`, "StorePath is missing"],
    ["carriage returns", lines().replaceAll("\n", "\r\n"), "FileHash: "],
    ["no StorePath", lines({ StorePath: undefined }), "StorePath is missing"],
    ["a StorePath without its directory", lines({ StorePath: path.slice(11) }), "StorePath: "],
    ["a StorePath with a slash at its end", lines({ StorePath: `${path}/` }), "StorePath: "],
    ["a StorePath elsewhere", lines({ StorePath: path.replace("/nix", "/gnu") }), "/gnu/store"],
    ["no URL", lines({ URL: undefined }), "URL is missing"],
    ["an empty URL", lines({ URL: "" }), "URL is missing"],
    ["no NarHash", lines({ NarHash: undefined }), "NarHash is missing"],
    ["a malformed NarHash", lines({ NarHash: nix32 }), "NarHash: "],
    [
      "a NarHash of another algorithm",
      lines({ NarHash: `sha1:${"0".repeat(32)}` }),
      "it is sha1, wanted is sha256",
    ],
    ["no NarSize", lines({ NarSize: undefined }), "NarSize is missing"],
    ["a NarSize of zero", lines({ NarSize: "0" }), "NarSize is zero"],
    [
      "a negative NarSize",
      lines({ NarSize: "-1" }),
      'malformed narinfo: NarSize: "-1" is not a number of bytes',
    ],
    ["an empty NarSize", lines({ NarSize: "" }), '"" is not a number of bytes'],
    ["a NarSize in hexadecimal", lines({ NarSize: "0x10" }), '"0x10" is not a number of bytes'],
    ["a NarSize with an exponent", lines({ NarSize: "1e3" }), '"1e3" is not a number of bytes'],
    ["a NarSize above 2^53 - 1", lines({ NarSize: "9007199254740992" }), "is not a number of bytes"],
    ["a malformed FileSize", lines({ FileSize: "x" }), "FileSize: "],
    ["a malformed FileHash", lines({ FileHash: "x" }), "FileHash: "],
    ["a malformed reference", lines({ References: `${glibc} hello` }), "References: "],
    ["an absolute reference", lines({ References: `/nix/store/${glibc}` }), "References: "],
    ["references joined by commas", lines({ References: `${glibc},${bash}` }), "References: "],
    ["references joined by tabs", lines({ References: `${glibc}\t${bash}` }), "References: "],
    ["a malformed Deriver", lines({ Deriver: "x" }), "Deriver: "],
    ["an empty Deriver", lines({ Deriver: "" }), "Deriver: "],
    ["a malformed CA", lines({ CA: "fixed:x" }), "CA: "],
    ["a URL that is no UTF-8", lines({ URL: "\xff" }), "URL is not UTF-8"],
  ])("%s: refused", (_, text, reason) => {
    const failure = failureOf(() =>
      parseNarInfo(Buffer.from(text, text.includes("\xff") ? "latin1" : "utf8")),
    );
    expect(failure.code).toBe("NARINFO_INVALID");
    expect(failure.message).toContain(reason);
  });

  test.each([...Object.keys(whole).filter((name) => name !== "Sig"), "CA"])("%s twice: refused", (name) => {
    const text = lines({ CA: `text:sha256:${nix32}` });
    const line = text.split("\n").find((candidate) => candidate.startsWith(`${name}:`));
    expect(failureOf(() => parse(`${text}${line}\n`)).message).toContain(`${name} occurs again at line 12`);
  });

  test("an empty field that occurs again: refused", () => {
    expect(failureOf(() => parse(`References: \n${lines()}`)).message).toContain("References occurs again");
  });

  test("any cut of a narinfo is refused, or lacks whole lines", () => {
    const text = lines();
    for (let length = 0; length < text.length; length++) {
      const cutOff = text.slice(0, length);
      if (cutOff.endsWith("\n") && cutOff.includes("NarSize")) expect(parse(cutOff).narSize).toBe(31976);
      else expect(failureOf(() => parse(cutOff)).code).toBe("NARINFO_INVALID");
    }
  });
});

describe("fingerprint", () => {
  it("is what Nix signs", () => {
    expect(Buffer.from(fingerprint(parse(lines({ NarHash: `sha256:${hex}` })))).toString()).toBe(
      `1;${path};sha256:${nix32};31976;/nix/store/${glibc},/nix/store/${bash}`,
    );
    expect(Buffer.from(fingerprint(parse(lines({ References: undefined })))).toString()).toBe(
      `1;${path};sha256:${nix32};31976;`,
    );
  });

  it("has each reference once and in byte order, whatever it is given", () => {
    const info = parse(lines());
    const shuffled = [...info.references, ...info.references].toReversed();
    expect(fingerprint({ ...info, references: shuffled })).toEqual(fingerprint(info));
  });
});

describe("what is written can be read", () => {
  const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
    fc.uint8Array({ minLength: length, maxLength: length });
  const base = fc
    .tuple(bytes(20), fc.stringMatching(/^[a-zA-Z0-9+_?=][a-zA-Z0-9+._?=-]{0,20}$/))
    .map(([hash, name]) => `${encodeNix32(hash)}-${name}`);

  it("whatever the fields", () => {
    fc.assert(
      fc.property(
        base,
        fc.array(base, { maxLength: 8 }),
        bytes(32),
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
        (own, references, hash, narSize) => {
          const storePath = `/nix/store/${own}`;
          const narHash = formatNarHash(hash);
          const info = parse(
            formatNarInfo({ storePath, narHash, narSize, references: [...references, ...references] }),
          );
          const sorted = [...new Set(references.map((reference) => `/nix/store/${reference}`))].sort((a, b) =>
            Buffer.compare(Buffer.from(a), Buffer.from(b)),
          );
          expect(info).toMatchObject({ storePath, narHash, narSize, references: sorted });
        },
      ),
    );
  });

  it("and any bytes are read or refused with NARINFO_INVALID", () => {
    const line = fc.constantFrom(
      ...lines()
        .split("\n")
        .map((text) => `${text}\n`),
      "CA: text:sha256:\n",
      "Sig: \n",
    );
    const junk = fc.oneof(line, fc.string({ unit: "binary", maxLength: 10 }));
    fc.assert(
      fc.property(fc.array(junk, { maxLength: 12 }), (parts) => {
        const text = Buffer.from(parts.join(""), "utf8");
        try {
          expect(parseNarInfo(text).narSize).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toMatchObject({ code: "NARINFO_INVALID" });
        }
      }),
      { numRuns: 500 },
    );
  });
});
