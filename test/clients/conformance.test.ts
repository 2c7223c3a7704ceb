/** The conformance suite of OCI distribution-spec 1.1, told that it cannot push. */
import { describe, expect, test } from "vitest";
import { type ConformanceTable, runConformance } from "./conformance.ts";
import { fetchDocuments, repositoryOf, tagOf } from "./documents.ts";
import { chosenImages, scratchDirectory, suite } from "./fixture.ts";

/** Tests that a registry which nobody can push to is given. */
const expectedTests = [
  "ping",
  "empty/tag list",
  "empty/referrers",
  "read-only/tag-list",
  "read-only/head/manifest-head-by-tag",
  "read-only/head/manifest-head-by-digest",
  "read-only/head/blob-head",
  "read-only/pull/manifest-by-tag",
  "read-only/pull/manifest-by-digest",
  "read-only/pull/blob-get",
  "read-only/referrers",
  "missing-manifest/by-digest",
  "missing-manifest/by-tag",
  "invalid-digest-format/manifest-get",
];

/** Parts of the API that there are; the others are for writing. */
const supportedApis = [
  "Tag listing",
  "Blob get",
  "Blob head",
  "Manifest get by digest",
  "Manifest get by tag",
  "Manifest head by digest",
  "Manifest head by tag",
  "Referrers",
  "Ping",
];
/** Tested with a blob that the suite has pushed, thus not here; the same ranges are in http.test.ts. */
const notTried = ["Blob get range"];

/** Runs the suite with an image, and the image's layers with which blobs are got. */
async function conformance(reference: string): Promise<ConformanceTable> {
  const { indexDigest, manifest, manifestDigest } = await fetchDocuments(reference);
  const settings = {
    REGISTRY: suite.host,
    TLS: "disabled",
    REPO1: repositoryOf(reference).slice(suite.host.length + 1),
    REPO2: "base",
    VERSION: "1.1",
    RESULTS_DIR: await scratchDirectory(),
    API_PUSH: "false",
    API_BLOBS_DELETE: "false",
    API_MANIFESTS_DELETE: "false",
    API_TAGS_DELETE: "false",
    // Demanded by the next version of the specification. Of manifests that it has not made, this suite never sees it.
    API_BLOBS_DIGEST_HEADER: "true",
    RO_DATA_TAGS: tagOf(reference),
    RO_DATA_MANIFESTS: `${indexDigest} ${manifestDigest}`,
    RO_DATA_BLOBS: [manifest.config, ...manifest.layers].map(({ digest }) => digest).join(" "),
    RO_DATA_REFERRERS: manifestDigest,
  };
  return runConformance(suite.programs.conformance, settings, suite.env);
}

describe.each(chosenImages)("$reference", ({ reference }) => {
  test("every test passes that needs no pushes", async () => {
    const { tests, counts } = await conformance(reference);
    const statuses = new Set(tests.map(({ status }) => status));
    expect([...statuses].toSorted()).toEqual(["Disabled", "Pass"]);
    const passed = tests.filter(({ status }) => status === "Pass").map(({ name }) => name);
    expect(passed).toEqual(expect.arrayContaining(expectedTests));
    expect(counts).toMatchObject({ FAIL: 0, Error: 0, Skip: 0 });
    expect(counts["Pass"]).toBeGreaterThanOrEqual(18);
  });

  test("what is disabled is for pushes and deletions alone", async () => {
    const { tests } = await conformance(reference);
    const disabled = tests.filter(({ status }) => status === "Disabled").map(({ name }) => name);
    const writes =
      /\/(?:push|delete|manifest-put|manifest-by-(?:tag|digest)|[a-z]+-delete)(?:$|\/)|^sha(?:256|512) blobs$/;
    expect(disabled.filter((name) => !writes.test(name))).toEqual([]);
  });

  test("every part of the API that there is passes", async () => {
    const { apis } = await conformance(reference);
    const withStatus = (wanted: string): readonly string[] =>
      apis.filter(({ status }) => status === wanted).map(({ name }) => name);
    expect(withStatus("Pass")).toEqual(expect.arrayContaining(supportedApis));
    expect(withStatus("Unknown")).toEqual(notTried);
    const writing = /\b(?:put|push|post|upload|chunked|streaming|mount|delete)\b/;
    expect(withStatus("Disabled").filter((name) => !writing.test(name))).toEqual([]);
    const rows = ["Pass", "Unknown", "Disabled"].flatMap(withStatus);
    expect(apis.map(({ name }) => name).toSorted()).toEqual(rows.toSorted());
  });
});

test("a registry that lacks what it says it has does not pass", async () => {
  const { reference } = chosenImages[0]!;
  const missing = `sha256:${"0".repeat(64)}`;
  const settings = {
    REGISTRY: suite.host,
    TLS: "disabled",
    REPO1: repositoryOf(reference).slice(suite.host.length + 1),
  };
  const { tests, counts } = await runConformance(
    suite.programs.conformance,
    {
      ...settings,
      VERSION: "1.1",
      RESULTS_DIR: await scratchDirectory(),
      API_PUSH: "false",
      RO_DATA_BLOBS: missing,
    },
    suite.env,
  );
  expect(tests).toContainEqual({ name: "read-only/pull/blob-get", status: "FAIL" });
  expect(counts["FAIL"]).toBeGreaterThan(0);
});
