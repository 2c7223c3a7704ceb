import * as fc from "fast-check";
import { expect, test } from "vitest";

import { parseRoute } from "../../src/registry/route.ts";

test.each([
  ["/v2", "ping", "", ""],
  ["/v2/", "ping", "", ""],
  ["/v2/?ns=docker.io", "ping", "", ""],
  ["/v2/a/manifests/1", "manifest", "a", "1"],
  ["/v2/a/b/c/manifests/1?ns=r.io/x", "manifest", "a/b/c", "1"],
  ["http://r.io:5417/v2/a/manifests/1", "manifest", "a", "1"],
  ["/v2/manifests/blobs/manifests/tags", "manifest", "manifests/blobs", "tags"],
  ["/v2/a/manifests/sha256%3Aff", "manifest", "a", "sha256:ff"],
  ["/v2/a%2Fb/manifests/1", "manifest", "a%2Fb", "1"],
  ["/v2/a%2fb/manifests/..%2f..%2f", "manifest", "a%2fb", "..%2f..%2f"],
  ["/v2/%ff/manifests/%zz", "manifest", "%ff", "%zz"],
  ["/v2/../etc/blobs/passwd", "blob", "../etc", "passwd"],
  ["/v2//manifests/1", "manifest", "", "1"],
  ["/v2/a/manifests/", "manifest", "a", ""],
  ["/v2/a/blobs/x", "blob", "a", "x"],
  ["/v2/a/tags/list?n=1", "tags", "a", "list"],
  ["/v2/a/tags/lists", "other", "a", "lists"],
  ["/v2/a/referrers/x", "referrers", "a", "x"],
  ["/v2/manifests/1", "other", "", "1"],
  ["/v2/a/blobs/uploads/", "other", "a/blobs", ""],
  ["/v2/_catalog", "other", "", ""],
  ["/v2/a", "other", "", ""],
])("%s", (url, kind, name, last) => {
  const route = parseRoute(url);
  expect(route.kind).toBe(kind);
  if (kind !== "other") expect(route).toMatchObject({ name, last });
});

test("no URL is too strange to be taken apart", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(parseRoute(`/v2/${text}`).query).toBeInstanceOf(URLSearchParams);
    }),
  );
});
