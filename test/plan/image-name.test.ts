import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStoreHash, type StoreHash } from "../../src/nix/store-path.ts";
import { parseReference } from "../../src/oci/reference.ts";
import {
  formatImageName,
  imageReference,
  maxRoots,
  parseImageName,
  parseRepository,
  sourceNamePattern,
  type ImageName,
} from "../../src/plan/image-name.ts";
import { failureOf } from "../nix/failure.ts";

const a = "00000000000000000000000000000000";
const b = "4vlwxs24hwlvm23q063xvdmkzvlxjw1s";
const c = "q0ningk88png4ipb9hm8ja6av167wdzk";
const check = "0123456789abcdef";

describe("names", () => {
  test.for<[repository: string, tag: string, name: ImageName]>([
    ["base", "1", { kind: "base", version: 1 }],
    [`demo/path/${b}`, "1", { kind: "path", source: "demo", hash: parseStoreHash(b), version: 1 }],
    [
      `my-cache-2/path/${b}`,
      "17",
      { kind: "path", source: "my-cache-2", hash: parseStoreHash(b), version: 17 },
    ],
    [
      `base/closure/${b}`,
      `1-a-${check}`,
      { kind: "store", source: "base", roots: [parseStoreHash(b)], version: 1, decision: "a", check },
    ],
    [
      `demo/closure/${a}_${b}_${c}`,
      `999999999-o00zZ-${check}`,
      {
        kind: "store",
        source: "demo",
        roots: [a, b, c].map(parseStoreHash),
        version: 999_999_999,
        decision: "o00zZ",
        check,
      },
    ],
  ])("%s:%s", ([repository, tag, name]) => {
    expect(formatImageName(name)).toEqual({ repository, tag });
    expect(parseImageName(repository, tag)).toEqual(name);
    expect(parseRepository(repository)).toMatchObject({ kind: name.kind });
    const reference = parseReference(imageReference("localhost:5417", name));
    expect(reference).toEqual({ host: "localhost:5417", repository, tag });
  });

  test("are canonical: what parses is written the same way again", () => {
    const alphabet = "0123456789abcdfghijklmnpqrsvwxyz";
    const hash = fc
      .array(fc.constantFrom(...alphabet), { minLength: 32, maxLength: 32 })
      .map((characters) => parseStoreHash(characters.join("")));
    const source = fc.stringMatching(/^[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,2}$/);
    const version = fc.integer({ min: 1, max: 999_999_999 });
    const decision = fc.stringMatching(/^(a|n|[op]([0-9A-Za-z]{2}){1,48})$/);
    const name: fc.Arbitrary<ImageName> = fc.oneof(
      fc.record({ kind: fc.constant("base" as const), version }),
      fc.record({ kind: fc.constant("path" as const), source, hash, version }),
      fc.record({
        kind: fc.constant("store" as const),
        source,
        roots: fc.uniqueArray(hash, { minLength: 1, maxLength: 6 }).map((roots) => roots.toSorted()),
        version,
        decision,
        check: fc.stringMatching(/^[0-9a-f]{16}$/),
      }),
    );
    fc.assert(
      fc.property(name, (one) => {
        const { repository, tag } = formatImageName(one);
        expect(parseImageName(repository, tag)).toEqual(one);
        const reference = imageReference("localhost:5417", one);
        expect(parseReference(reference)).toEqual({ host: "localhost:5417", repository, tag });
      }),
    );
  });
});

describe("refused", () => {
  const hostile: readonly string[] = [
    "",
    "/",
    "Base",
    "base/",
    "base/base",
    "demo",
    "demo/path",
    "demo/path/",
    `demo/path/${b}/`,
    `demo/path/${b}/x`,
    `/demo/path/${b}`,
    `demo//${b}`,
    `demo/paths/${b}`,
    `demo/path/${b.toUpperCase()}`,
    `demo/path/${b.slice(1)}`,
    `demo/path/${b}0`,
    `demo/path/${b.replace("v", "e")}`,
    `demo/path/${b}-hello`,
    `demo/path/${b}\n`,
    `demo/path/../path/${b}`,
    `Demo/path/${b}`,
    `-demo/path/${b}`,
    `de--mo/path/${b}`,
    `de.mo/path/${b}`,
    `de_mo/path/${b}`,
    `${"x".repeat(31)}/path/${b}`,
    `demo%2fpath/path/${b}`,
    "demo/closure/",
    `demo/closure/${b}_`,
    `demo/closure/_${b}`,
    `demo/closure/${b}_${b}`,
    `demo/closure/${c}_${b}`,
    `demo/closure/${a}_${c}_${b}`,
    `demo/closure/${b}-${c}`,
    `demo/closure/${b},${c}`,
  ];
  test.for(hostile)("repository %j", (repository) => {
    expect(parseRepository(repository)).toBeUndefined();
    expect(failureOf(() => parseImageName(repository, "1")).code).toBe("IMAGE_NAME_INVALID");
    expect(failureOf(() => parseImageName(repository, `1-a-${check}`)).status).toBe(404);
  });

  test.for(["", "0", "01", "-1", "1.0", "latest", "v1", " 1", "1\n", "1000000000", `1-a-${check}`])(
    "tag %j of a path image and of the base image",
    (tag) => {
      expect(failureOf(() => parseImageName(`demo/path/${b}`, tag)).code).toBe("IMAGE_NAME_INVALID");
      expect(failureOf(() => parseImageName("base", tag)).code).toBe("IMAGE_NAME_INVALID");
    },
  );

  test.for([
    "1",
    "1-a",
    `1-${check}`,
    `0-a-${check}`,
    `01-a-${check}`,
    `1-A-${check}`,
    `1-b-${check}`,
    `1-aa-${check}`,
    `1-a00-${check}`,
    `1-n00-${check}`,
    `1-o-${check}`,
    `1-p-${check}`,
    `1-o0-${check}`,
    `1-o0_-${check}`,
    `1-o${"00".repeat(49)}-${check}`,
    `1-a-${check.toUpperCase()}`,
    `1-a-${check.slice(1)}`,
    `1-a-${check}0`,
    `1-a-${check}\n`,
    `1--${check}`,
  ])("tag %j of a store image", (tag) => {
    expect(failureOf(() => parseImageName(`demo/closure/${b}`, tag)).code).toBe("IMAGE_NAME_INVALID");
  });
});

describe("lengths", () => {
  const storeImage = (source: string, count: number): ImageName => ({
    kind: "store",
    source,
    roots: Array.from(
      { length: count },
      (_, i) => parseStoreHash(String(i).padStart(32, "0")) satisfies StoreHash,
    ),
    version: 999_999_999,
    decision: `p${"00".repeat(48)}`,
    check,
  });

  test.for([
    ["localhost:5417", "demo", 6],
    ["localhost:5417", "x".repeat(30), 6],
    ["registry.nix-closure.svc.example.com:5417", "demo", 6],
    [`${"x".repeat(39)}.org`, "x".repeat(5), 6],
    [`${"x".repeat(40)}.org`, "x".repeat(5), 5],
    [`${"x".repeat(200)}.org`, "x".repeat(5), 1],
    [`${"x".repeat(205)}.org`, "x".repeat(5), 0],
  ] as const)("%s, source %s: %i roots fit", ([host, source, count]) => {
    expect(maxRoots(host, source)).toBe(count);
    const nameLength = (roots: number): number => {
      const reference = imageReference(host, storeImage(source, roots));
      return reference.slice(0, reference.lastIndexOf(":")).length;
    };
    if (count > 0) expect(nameLength(count)).toBeLessThanOrEqual(255);
    if (count < 6) expect(nameLength(count + 1)).toBeGreaterThan(255);
  });

  test("the longest name with six roots is a legal reference", () => {
    const reference = imageReference("localhost:5417", storeImage("x".repeat(30), 6));
    expect(parseReference(reference)).toMatchObject({ host: "localhost:5417" });
  });
});

test.for([
  ["a", true],
  ["nixos", true],
  ["team-a-2", true],
  ["x".repeat(30), true],
  ["x".repeat(31), false],
  ["", false],
  ["-a", false],
  ["a-", false],
  ["a--b", false],
  ["A", false],
  ["a.b", false],
  ["a_b", false],
  ["a/b", false],
  ["a\n", false],
] as const)("source name %j is legal: %s", ([name, legal]) => {
  expect(sourceNamePattern.test(name)).toBe(legal);
});
