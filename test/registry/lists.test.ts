/** Lists of tags and of referrers. */
import { describe, expect, test } from "vitest";

import { mediaTypes } from "../../src/oci/documents.ts";
import { absent, base, name, useRegistry } from "./registry-fixture.ts";

const registry = useRegistry();

describe("tags", () => {
  const list = `${base}/tags/list`;

  test.each([
    ["", ["1", "a", "b"], undefined],
    ["?n=", ["1", "a", "b"], undefined],
    ["?n=0", [], undefined],
    ["?n=1", ["1"], `<${list}?n=1&last=1>; rel="next"`],
    ["?n=2", ["1", "a"], `<${list}?n=2&last=a>; rel="next"`],
    ["?n=3", ["1", "a", "b"], undefined],
    ["?n=99999999999999999999999", ["1", "a", "b"], undefined],
    ["?last=1", ["a", "b"], undefined],
    ["?n=1&last=1", ["a"], `<${list}?n=1&last=a>; rel="next"`],
    ["?n=1&last=a", ["b"], undefined],
    ["?n=1&last=aa", ["b"], undefined],
    ["?last=b", [], undefined],
    ["?n=0&last=1", [], undefined],
    ["?n=1&n=2", ["1"], `<${list}?n=1&last=1>; rel="next"`],
  ])("%s", async (query, tags, link) => {
    const answer = await registry.get(list + query);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(answer.json()).toStrictEqual({ name, tags });
    expect(answer.headers.link).toBe(link);
  });

  test("a client that follows Link sees every tag once", async () => {
    const seen: string[] = [];
    for (let next: string | undefined = `${list}?n=1`; next !== undefined;) {
      const answer = await registry.get(next);
      seen.push(...answer.json<{ tags: string[] }>().tags);
      next = /^<(.*)>; rel="next"$/.exec(String(answer.headers.link))?.[1];
    }
    expect(seen).toStrictEqual(["1", "a", "b"]);
  });
});

describe("referrers", () => {
  test.each([
    ["", undefined],
    ["?artifactType=", undefined],
    ["?artifactType=application/vnd.example.sbom.v1", "artifactType"],
  ])("are none, with the query %j", async (query, applied) => {
    for (const digest of [registry.image.manifest.digest, absent, `sha512:${"0".repeat(128)}`]) {
      const answer = await registry.get(`${base}/referrers/${digest}${query}`);
      expect(answer.statusCode).toBe(200);
      expect(answer.headers["content-type"]).toBe(mediaTypes.index);
      expect(answer.headers["oci-filters-applied"]).toBe(applied);
      expect(answer.json()).toStrictEqual({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] });
    }
  });
});
