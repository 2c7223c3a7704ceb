import { expect, test } from "vitest";
import { sniffPathType } from "../../src/nix/nar-reader.ts";
import { failureOf } from "./failure.ts";
import { narStrings, writeNar } from "./nar-writer.ts";

const directory = writeNar({ type: "directory", entries: [] });

test.each([
  ["zstd data", Buffer.from("28b52ffd04586502", "hex"), 0],
  ["one wrong byte", Buffer.from("n"), 0],
  ["another magic word", narStrings("nix-archive-2"), 20],
  ["an unknown type", narStrings("nix-archive-1", "(", "type", "fifo"), 56],
  ["type not first", narStrings("nix-archive-1", "(", "contents"), 40],
  ["padding that is not zero", Buffer.from(directory).fill(1, 23, 24), 23],
  ["a type that is wrong at its end", narStrings("nix-archive-1", "(", "type", "directorx"), 72],
  ["a difference after a common start", narStrings("nix-archive-1", "(", "type", "symbols"), 67],
])("a NAR does not start with %s", (_, prefix, offset) => {
  const failure = failureOf(() => sniffPathType(prefix));
  expect(failure.code).toBe("NAR_INVALID");
  expect(failure.message).toContain(`at byte ${offset}:`);
});

test("what follows the type is not looked at", () => {
  expect(sniffPathType(Buffer.concat([directory.subarray(0, 80), Buffer.alloc(100, 1)]))).toBe("directory");
});
