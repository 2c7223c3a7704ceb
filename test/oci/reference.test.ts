import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { parseDigest } from "../../src/oci/digest.ts";
import {
  formatReference,
  isRepository,
  isTag,
  parseReference,
  type Reference,
} from "../../src/oci/reference.ts";

const digest = parseDigest(`sha256:${"0123456789abcdef".repeat(4)}`);

describe("reads", () => {
  test.each<[string, Reference]>([
    ["localhost/base", { host: "localhost", repository: "base" }],
    ["localhost:5417/base:1", { host: "localhost:5417", repository: "base", tag: "1" }],
    ["127.0.0.1:5417/a/b:t", { host: "127.0.0.1:5417", repository: "a/b", tag: "t" }],
    ["[::1]:5417/a", { host: "[::1]:5417", repository: "a" }],
    ["[2001:db8::1]/a:t", { host: "[2001:db8::1]", repository: "a", tag: "t" }],
    ["registry.example.com/nix/app", { host: "registry.example.com", repository: "nix/app" }],
    ["REGISTRY/app", { host: "REGISTRY", repository: "app" }],
    ["Xn--Caf-dma.Example:443/a", { host: "Xn--Caf-dma.Example:443", repository: "a" }],
    [
      `r.io/a/b__c/d--e/f.g:1-o0123-00ff@${digest}`,
      { host: "r.io", repository: "a/b__c/d--e/f.g", tag: "1-o0123-00ff", digest },
    ],
    [`r.io/a@${digest}`, { host: "r.io", repository: "a", digest }],
    ["r.io/a:_T.-9", { host: "r.io", repository: "a", tag: "_T.-9" }],
  ])("%s", (text, reference) => {
    expect(parseReference(text)).toStrictEqual(reference);
    expect(formatReference(reference)).toBe(text);
  });
});

describe("refuses", () => {
  test.each([
    ["", /no registry host/],
    ["nginx", /no registry host/],
    ["nginx:1.25", /no registry host/],
    ["library/nginx", /no registry host/],
    ["/a", /no registry host/],
    ["localhost:5417", /no registry host/],
    ["-a.b/c", /host is not/],
    ["a-.b/c", /host is not/],
    ["a..b/c", /host is not/],
    ["r.io:/c", /host is not/],
    ["r.io:80a/c", /host is not/],
    ["::1/c", /host is not/],
    ["[::1/c", /host is not/],
    ["[::g]/c", /host is not/],
    ["us_er.io/c", /host is not/],
    ["https://r.io/a", /host is not/],
    ["r.io/", /repository is not/],
    ["r.io//a", /repository is not/],
    ["r.io/a/", /repository is not/],
    ["r.io/a//b", /repository is not/],
    ["r.io/-a", /repository is not/],
    ["r.io/a-", /repository is not/],
    ["r.io/a___b", /repository is not/],
    ["r.io/a..b", /repository is not/],
    ["r.io/a/../b", /repository is not/],
    ["r.io/a b", /repository is not/],
    ["r.io/é", /repository is not/],
    ["r.io/A", /upper-case/],
    ["r.io/a:", /tag is not/],
    ["r.io/a:.b", /tag is not/],
    ["r.io/a:-b", /tag is not/],
    ["r.io/a:b+c", /tag is not/],
    ["r.io/a:b\n", /tag is not/],
    [`r.io/a:${"t".repeat(129)}`, /tag is not/],
    ["r.io/a@", /not a digest/],
    ["r.io/a@sha256:short", /not a digest/],
    [`r.io/a@${digest}@${digest}`, /not a digest/],
    [`r.io/${"a/".repeat(5000)}`, /characters/],
  ])("%j", (text, reason) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ code: "REFERENCE_INVALID", message: expect.stringMatching(reason) }),
    );
  });
});

test("host and repository together may have 255 characters and not 256", () => {
  const longest = { host: "r.io", repository: "a".repeat(250) };
  expect(parseReference(formatReference(longest))).toStrictEqual(longest);
  const longer = { host: "r.io", repository: "a".repeat(251) };
  expect(() => formatReference(longer)).toThrow(/have 256 characters, at most 255/);
  expect(() => parseReference(`r.io/${"a".repeat(251)}`)).toThrow(/have 256 characters, at most 255/);
});

test("the longest reference there can be is read", () => {
  const longest = { host: "r.io", repository: "a".repeat(250), tag: "t".repeat(128), digest };
  expect(parseReference(formatReference(longest))).toStrictEqual(longest);
});

test("what cannot be read back is not written", () => {
  expect(() => formatReference({ host: "registry", repository: "a" })).toThrow(/no registry host/);
  expect(() => formatReference({ host: "r.io/x", repository: "A" })).toThrow(/upper-case/);
  expect(() => formatReference({ host: "r.io", repository: "a", tag: "" })).toThrow(/tag is not/);
});

test("a repository by itself may have 255 characters and not 256", () => {
  expect(isRepository("a".repeat(255))).toBe(true);
  expect(isRepository("a".repeat(256))).toBe(false);
  expect(isRepository("")).toBe(false);
});

test("a tag may have 128 characters and not 129", () => {
  expect(isTag("t".repeat(128))).toBe(true);
  expect(isTag("t".repeat(129))).toBe(false);
  expect(isTag("")).toBe(false);
  expect(isTag("sha256:0")).toBe(false);
});

test("hostile text of the greatest length is refused without backtracking for long", { retry: 2 }, () => {
  const hosts = `${"a".repeat(250)}!.b/c`;
  const components = `r.io/${"a-".repeat(125)}`;
  const start = performance.now();
  for (const text of [hosts, components]) expect(() => parseReference(text)).toThrow(/is not/);
  expect(performance.now() - start).toBeLessThan(1000);
});

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,8}[a-z0-9])?$/);
const host = fc.oneof(
  fc.tuple(label, label).map(([a, b]) => `${a}.${b}`),
  fc.ipV4(),
  fc
    .ipV6()
    .filter((text) => /^[0-9a-f:]+$/i.test(text))
    .map((text) => `[${text}]`),
  fc.constant("localhost"),
);
const reference = fc.record(
  {
    host: fc
      .tuple(host, fc.option(fc.nat(65535)))
      .map(([name, port]) => (port === null ? name : `${name}:${port}`)),
    repository: fc
      .array(fc.stringMatching(/^[a-z0-9]{1,5}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}$/), {
        minLength: 1,
        maxLength: 4,
      })
      .map((components) => components.join("/")),
    tag: fc.stringMatching(/^\w[\w.-]{0,127}$/),
    digest: fc.constant(digest),
  },
  { requiredKeys: ["host", "repository"] },
);

test("every reference survives being written and read", () => {
  fc.assert(
    fc.property(reference, (value) => {
      expect(parseReference(formatReference(value))).toEqual(value);
    }),
  );
});
