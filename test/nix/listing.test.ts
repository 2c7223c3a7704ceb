import { describe, expect, it, test } from "vitest";
import { parseListing } from "../../src/nix/listing.ts";
import { parseBaseName } from "../../src/nix/store-path.ts";
import { demoFiles, demoNarInfos, readDemoFile, readDemoNar } from "./demo-cache.ts";
import { failureOf } from "./failure.ts";
import { recordNar } from "./nar-recorder.ts";

describe("parseListing", () => {
  test.each([
    ['{"version":1,"root":{"type":"directory","entries":{}}}', "directory"],
    [
      '{"root":{"entries":{"a":{"type":"regular","size":1,"narOffset":96}},"type":"directory"},"version":1}',
      "directory",
    ],
    ['{"version":1,"root":{"type":"regular","size":5,"executable":true,"narOffset":400}}', "regular"],
    ['{"version":1,"root":{"type":"regular"}}', "regular"],
    ['{"version":1,"root":{"type":"symlink","target":"x"}}', "symlink"],
    ['\n{"version":1,"root":{"type":"symlink","target":"x","later":[]},"later":null}\n', "symlink"],
  ])("reads %s", (text, type) => {
    expect(parseListing(Buffer.from(text))).toEqual({ type });
  });

  it("reads one with names that are no UTF-8, as old versions of Nix write them", () => {
    const text =
      '{"version":1,"root":{"type":"directory","entries":{"\xff\x80":{"type":"symlink","target":"\xfe"}}}}';
    expect(parseListing(Buffer.from(text, "latin1"))).toEqual({ type: "directory" });
  });

  it("reads one that is nested deeply", () => {
    const text = `{"version":1,"root":{"type":"directory","entries":${"[".repeat(5e4)}${"]".repeat(5e4)}}}`;
    expect(failureOf(() => parseListing(Buffer.from(text))).message).toContain("has no entries");
    const inner = `${'{"a":'.repeat(5e4)}1${"}".repeat(5e4)}`;
    expect(
      parseListing(Buffer.from(`{"version":1,"root":{"type":"directory","entries":${inner}}}`)).type,
    ).toBe("directory");
  });

  it("refuses a type or version that is nested deeply", () => {
    const deep = "[".repeat(5e4) + "]".repeat(5e4);
    for (const text of [`{"version":${deep}}`, `{"version":1,"root":{"type":${deep}}}`]) {
      expect(failureOf(() => parseListing(Buffer.from(text))).code).toBe("LISTING_INVALID");
    }
  });

  test.each([
    ["", "it is not JSON"],
    ["404", "it is not a JSON object"],
    ["null", "it is not a JSON object"],
    ["[]", "it is not a JSON object"],
    ["<html>", "it is not JSON"],
    ['{"version":1,"root":{"type":"directory","entries":{}}', "it is not JSON"],
    ['{"root":{"type":"directory","entries":{}}}', "version undefined is not 1"],
    ['{"version":2,"root":{"type":"directory","entries":{}}}', "version 2 is not 1"],
    ['{"version":"1","root":{"type":"directory","entries":{}}}', 'version "1" is not 1'],
    ['{"version":1}', "root is not an object"],
    ['{"version":1,"root":null}', "root is not an object"],
    ['{"version":1,"root":[]}', "root is not an object"],
    ['{"version":1,"root":"directory"}', "root is not an object"],
    ['{"version":1,"root":{}}', "type undefined is not known"],
    ['{"version":1,"root":{"type":"Directory"}}', 'type "Directory" is not known'],
    ['{"version":1,"root":{"type":"directory"}}', "the root, a directory, has no entries"],
    ['{"version":1,"root":{"type":"directory","entries":[]}}', "the root, a directory, has no entries"],
    ['{"version":1,"root":{"type":"symlink"}}', "the root, a symlink, has no target"],
    ['{"version":1,"root":{"type":["regular"]}}', "type object is not known"],
  ])("refuses %j", (text, reason) => {
    const failure = failureOf(() => parseListing(Buffer.from(text)));
    expect(failure.code).toBe("LISTING_INVALID");
    expect(failure.message).toContain(reason);
  });
});

test("the listings of the demo's cache agree with its NARs", () => {
  const names = demoFiles(".ls");
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    const info = demoNarInfos().find(({ storePath }) => storePath.includes(`/${name.replace(/\.ls$/, "")}-`));
    expect(info?.storePath).toBe(parseBaseName(info?.storePath.slice(11) ?? ""));
    if (info !== undefined)
      expect(parseListing(readDemoFile(name)).type).toBe(recordNar(readDemoNar(info))[0]?.type);
  }
});
