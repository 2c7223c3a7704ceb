import { describe, expect, test } from "vitest";
import { storePathName } from "../../src/nix/store-path.ts";
import { findNamedPath } from "../../src/plan/named-path.ts";
import { failureOf } from "../nix/failure.ts";
import { madeClosure } from "../patch/closures.ts";

const names = [
  "glibc-2.36",
  "openssl-3.0.1",
  "openssl-3.0.1-man",
  "openssl-3.0.2",
  "zlib-1.3",
  "python3-minimal-3.11",
  "zlib",
];
const { closure } = madeClosure(
  ["glibc-2.36"],
  names.map((name) => ({ name })),
);
const path = (position: number): string => closure.paths[position]!.storePath;
const hash = (position: number): string => String(position).padStart(32, "0");

test.for<[text: string, name: string]>([
  [path(0), "glibc-2.36"],
  [`${path(0)}/lib/libc.so.6`, "glibc-2.36"],
  [`${path(0)}/`, "glibc-2.36"],
  [`${hash(0)}-glibc-2.36`, "glibc-2.36"],
  [hash(3), "openssl-3.0.2"],
  ["openssl-3.0.2", "openssl-3.0.2"],
  ["openssl-3.0.1", "openssl-3.0.1"],
  ["glibc", "glibc-2.36"],
  ["python3-minimal", "python3-minimal-3.11"],
  // The whole name counts before the name without a version.
  ["zlib", "zlib"],
])("%s is %s", ([text, name]) => {
  expect(storePathName(findNamedPath(closure, text))).toBe(name);
});

test("a name that several have is refused with all of them", () => {
  const error = failureOf(() => findNamedPath(closure, "openssl"));
  expect([error.code, error.status]).toEqual(["PATH_AMBIGUOUS", 400]);
  expect(error.message).toBe(
    `"openssl" can be each of 3 paths of the closure: ${path(1)}, ${path(2)}, ${path(3)}; write one of them`,
  );
});

describe("what is not in the closure is refused, with the nearest names", () => {
  test.for<[text: string, near: readonly number[]]>([
    ["glib", [0, 4, 6]],
    ["libc-2.36", [0, 4, 6]],
    ["GLIBC", [0, 4, 6]],
    ["glibc-2.37", [0, 4, 6]],
    [`/nix/store/${hash(9)}-openssl-3.0.3`, [1, 2, 3]],
    [`${hash(9)}-openssl-3.0.3`, [1, 2, 3]],
    ["minimal", [5, 0, 1]],
  ])("%s", ([text, near]) => {
    const error = failureOf(() => findNamedPath(closure, text));
    expect([error.code, error.status]).toEqual(["PATH_NOT_IN_CLOSURE", 404]);
    const words = near.map((position) => path(position).replace("/nix/store/", "")).join(" or ");
    expect(error.message).toBe(
      `"${text}" is not in the closure of ${hash(0)}-glibc-2.36, so it has no volume; did you mean ${words}?`,
    );
  });

  test("an empty word and a very long one too", () => {
    for (const text of ["", "x".repeat(100_000)]) {
      const error = failureOf(() => findNamedPath(closure, text));
      expect(error.code).toBe("PATH_NOT_IN_CLOSURE");
      expect(error.message.length).toBeLessThan(500);
    }
  });
});
