import { describe, expect, it, test } from "vitest";
import {
  contentAddressedPath,
  isContentAddressed,
  parseContentAddress,
} from "../../src/nix/content-address.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { parseBaseName, storePathName, type StorePath } from "../../src/nix/store-path.ts";
import { failureOf } from "./failure.ts";
import { formatNarInfo } from "./signer.ts";

interface Known {
  readonly how: string;
  readonly base: string;
  readonly ca: string;
  readonly references: readonly string[];
}

/**
 * Store paths that Nix 2.8 made, with what "nix path-info --json" says of them: of the file "hello\n" and of a
 * directory of two entries with "nix-store --add" and "--add-fixed", of builtins.toFile, and with
 * "nix store make-content-addressed".
 */
const known: readonly Known[] = [
  [
    "--add of a file",
    "i9pmrzmpshapij2kin22pff6fc2adavx-hello.txt",
    "fixed:r:sha256:04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw",
  ],
  [
    "--add of a directory",
    "km4sc1792357r29hgb7hlh5f5x3n8s0n-tree",
    "fixed:r:sha256:15qik5vhpqlj38i8a669a71b5whcxqh4597rv823zap2wfbz18sp",
  ],
  [
    "--add-fixed sha256",
    "gy454w1cxaq731grqwylhzf4pp9r5izh-hello.txt",
    "fixed:sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
  ],
  ["--add-fixed md5", "dra1cz5vbrhclpv4y1q0psnbkxz581bk-hello.txt", "fixed:md5:4425hx5d1mc9y39llj4k4nm55i"],
  [
    "--add-fixed --recursive md5",
    "rnzid198ih5pxk0f7cs21236wrpvfl7p-tree",
    "fixed:r:md5:4k2a259b6s12ldnpj6p7cs0vcd",
  ],
  [
    "--add-fixed sha1",
    "svdva85yi507g9vncgsaxvnd1r808h4w-hello.txt",
    "fixed:sha1:iwjz551fyw0cxcjgf4l6c879zabd6wpm",
  ],
  [
    "--add-fixed --recursive sha1",
    "bs1r9hjmamrl8w40vhd41dd4r364w068-tree",
    "fixed:r:sha1:57r6nr15j8jp0indrq54mckx0ba7652a",
  ],
  [
    "--add-fixed sha512",
    "9a8mxachqmcv8x2cfijdps9dyxgyyrzm-hello.txt",
    "fixed:sha512:0lrc0dwnvipqviibf7qfm1y492qvjwb1zhkcyi05cndmva1mr5gjcgrnz1x36djmk0sfg8djd2n0qv68vib2jg590mwznar9jcjphp7",
  ],
  [
    "--add-fixed --recursive sha512",
    "94irndzm88dc2191zicp73cn8blbi4wd-tree",
    "fixed:r:sha512:1g4vf5x14vlbq0nn5pdhrla1xbvpqbqsqcikk59r05vrc02g9d6qrjiihwk03xs4q2lnywxrfwrhbmz0v4z1s812m0410scnqfvw0wl",
  ],
  [
    "toFile",
    "yrljpcqq0i1pa6pzl42wk4aswnsjar74-a.txt",
    "text:sha256:1fs8xspqaxw0p5r4wz0lz3pqd9sdvhirmcriqbxcmg8vr89835ya",
  ],
  [
    "toFile with a reference",
    "48rsj9pq8sxiv2nq836yscd4ca7c6hqp-b.txt",
    "text:sha256:0ajrfcfdhg8ghk0al7yxmva8c56lc8rdsdjc20x1g6i9w3m3yf0m",
    "yrljpcqq0i1pa6pzl42wk4aswnsjar74-a.txt",
  ],
  [
    "toFile with two references",
    "wx9pv5bgwhmzp01xaz0vgbzwqxxq0qwv-c",
    "text:sha256:0j7sx6500lbpkdj5vc9ahysinqsmnh5k2i8zvh0q3cx877733z34",
    "48rsj9pq8sxiv2nq836yscd4ca7c6hqp-b.txt",
    "yrljpcqq0i1pa6pzl42wk4aswnsjar74-a.txt",
  ],
  [
    "make-content-addressed, self",
    "svj6sqqk4k34rwv3vavha0g27i9xp7sc-glibc-2.36",
    "fixed:r:sha256:11w5hbw0rwclv6915v6na5232vnwfmdi7mj29rg021n3d45hlflf",
    "svj6sqqk4k34rwv3vavha0g27i9xp7sc-glibc-2.36",
  ],
  [
    "make-content-addressed, references",
    "2ibynxi8z59vvy1jadnqbif7hdhz5raa-mixed-app-1.0",
    "fixed:r:sha256:0hvlcm06iw2r6ry6fq9i2c8j203s85paqndnqnlnsi4ym5rbg33n",
    "53yp2a9nvy2nm92xd26f4v8ir19m8fdg-mixed-link",
    "89j0knav8l9by0bkbva72qp8nn5pfpca-bash-5.2.15",
    "hskbbzb3v75z2c908q32f93f197n3v77-mixed-app.conf",
  ],
].map(([how = "", base = "", ca = "", ...references]) => ({ how, base, ca, references }));

describe("store paths that Nix made", () => {
  test.each(known)("$how: $base follows from its content address", ({ base, ca, references }) => {
    const path = parseBaseName(base);
    const others = references.filter((reference) => reference !== base).map(parseBaseName);
    const self = references.includes(base);
    const address = parseContentAddress(ca);
    expect(contentAddressedPath(storePathName(path), address, others, self)).toBe(path);
    expect(
      contentAddressedPath(storePathName(path), address, [...others, ...others].toReversed(), self),
    ).toBe(path);
    expect(isContentAddressed(narInfo(path, ca, references))).toBe(true);
  });

  test.each(known)(
    "$how: another name, content, set of references is not content-addressed",
    ({ base, ca, references }) => {
      const path = parseBaseName(base);
      const stranger = "4p9f6482za2nbxkilsbpdjshc2npmkvf-glibc";
      const toggled = references.includes(base)
        ? references.filter((one) => one !== base)
        : [...references, base];
      expect(isContentAddressed(narInfo(parseBaseName(`${base}x`), ca, references))).toBe(false);
      expect(
        isContentAddressed(narInfo(path, `${ca.slice(0, -1)}${ca.endsWith("0") ? "1" : "0"}`, references)),
      ).toBe(false);
      expect(isContentAddressed(narInfo(path, ca, [...references, stranger]))).toBe(false);
      expect(isContentAddressed(narInfo(path, ca, toggled))).toBe(false);
      expect(isContentAddressed(narInfo(path, undefined, references))).toBe(false);
    },
  );
});

describe("contentAddressedPath knows no path", () => {
  const sha256 = "sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq";
  const reference = parseBaseName("4p9f6482za2nbxkilsbpdjshc2npmkvf-glibc");
  test.each<[string, string, readonly StorePath[], boolean]>([
    ["a text that refers to itself", `text:${sha256}`, [], true],
    ["a text of another algorithm", `text:sha1:${"0".repeat(32)}`, [], false],
    ["a flat file with references", `fixed:${sha256}`, [reference], false],
    ["a flat file that refers to itself", `fixed:${sha256}`, [], true],
    ["a recursive sha1 with references", `fixed:r:sha1:${"0".repeat(32)}`, [reference], false],
    ["git", `fixed:git:sha1:${"0".repeat(32)}`, [], false],
    ["blake3", `fixed:r:blake3:${"0".repeat(52)}`, [], false],
  ])("for %s", (_, ca, references, self) => {
    expect(contentAddressedPath("hello", parseContentAddress(ca), references, self)).toBeUndefined();
  });
});

describe("parseContentAddress", () => {
  const hex = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
  test.each([
    [`text:sha256:${hex}`, "text", "sha256"],
    [`fixed:sha256:${hex}`, "flat", "sha256"],
    [`fixed:r:sha256:${hex}`, "recursive", "sha256"],
    [`fixed:git:sha1:${"0".repeat(40)}`, "git", "sha1"],
    ["fixed:r:sha256:WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=", "recursive", "sha256"],
  ])("reads %s", (text, method, algorithm) => {
    const address = parseContentAddress(text);
    expect(address).toMatchObject({ method, algorithm, text });
    expect(Buffer.from(address.hash).toString("hex")).toBe(algorithm === "sha1" ? "0".repeat(40) : hex);
  });

  test.each([
    "",
    "text",
    "fixed:",
    `sha256:${hex}`,
    `source:sha256:${hex}`,
    `text:r:sha256:${hex}`,
    `fixed:x:sha256:${hex}`,
    `fixed:r:r:sha256:${hex}`,
    `fixed:sha256-${hex}`,
    `fixed:toString:${hex}`,
    `fixed:sha256:${hex.slice(1)}`,
    `fixed:sha256:${hex} `,
    `fixed:r:sha1:${hex}`,
  ])("refuses %j", (text) => {
    expect(failureOf(() => parseContentAddress(text)).code).toBe("CONTENT_ADDRESS_INVALID");
  });
});

it("a text that claims to refer to itself is not content-addressed", () => {
  const { base = "", ca = "" } = known.find(({ how }) => how === "toFile") ?? {};
  expect(isContentAddressed(narInfo(parseBaseName(base), ca, [base]))).toBe(false);
});

function narInfo(
  storePath: StorePath,
  contentAddress: string | undefined,
  references: readonly string[],
): ReturnType<typeof parseNarInfo> {
  const narHash = `sha256:${"0".repeat(52)}`;
  const fields = { storePath, narHash, narSize: 1, references };
  return parseNarInfo(
    Buffer.from(formatNarInfo(contentAddress === undefined ? fields : { ...fields, contentAddress })),
  );
}
