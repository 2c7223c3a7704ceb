import fc from "fast-check";
import { expect, test } from "vitest";
import { parseClosureName } from "../../src/closure-index/closure-name.ts";
import { closureTag } from "../../src/closure-index/closure-tag.ts";
import { platformTag } from "../../src/closure-index/name-document.ts";
import { isTag } from "../../src/oci/reference.ts";
import { madePath } from "../patch/closures.ts";
import { makeNamedImages } from "../patch/named-closures.ts";

test.for([
  "web",
  "1.2",
  "_",
  "Web_1.2-rc.1",
  "latest",
  "e".repeat(128),
  "0".repeat(31),
  "sha256-x",
  "e".repeat(40),
])("%s is a name", (text) => {
  expect(parseClosureName(text)).toBe(text);
});

test.for(["", ".web", "-web", "web/1", "web:1", "web@1", "wéb", "a b", "a".repeat(129), "web\n"])(
  "%j is no tag, and no name",
  (text) => {
    expect(() => parseClosureName(text)).toThrow(
      expect.objectContaining({ code: "CLOSURE_NAME_INVALID" }) as Error,
    );
  },
);

test("no name is a tag that closures or what is beside names have", () => {
  const paths = fc.uniqueArray(fc.integer({ min: 0, max: 99 }), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(paths, fc.constantFrom("", "-x", ".x", "_x"), (numbers, end) => {
      const tag = closureTag(numbers.map((number) => madePath(number, "x"))) + end;
      expect(() => parseClosureName(tag)).toThrow("begins like the hash of a store path");
    }),
  );
  const { document } = makeNamedImages("registry.example.com/nix", "web", {
    systems: ["aarch64-linux", "x86_64-linux"],
    profile: true,
  });
  const tag = platformTag(document, "profile", { digest: `sha256:${"0".repeat(64)}` } as never);
  expect(() => parseClosureName(tag)).toThrow("begins like the hash of a store path");
  expect(() => parseClosureName(`sha256-${"0".repeat(64)}`)).toThrow("registries keep signatures");
});

test("every name is a tag", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        expect(isTag(parseClosureName(text))).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: "CLOSURE_NAME_INVALID" });
      }
    }),
  );
});
