/** HEAD, and parts of blobs: what the conformance suite looks at only where it can push, and what curl does with it. */
import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { digestOf, fetchDocuments, tagOf, urlOf } from "./documents.ts";
import { allImages, run, scratchDirectory, suite } from "./fixture.ts";
import { Gate } from "./gate.ts";

test("HEAD says of every document and blob what GET gives", async () => {
  for (const { reference } of allImages) {
    const { manifest, manifestDigest } = await fetchDocuments(reference);
    const urls = [
      urlOf(reference, "manifests", tagOf(reference)),
      urlOf(reference, "manifests", manifestDigest),
      urlOf(reference, "blobs", manifest.config.digest),
      ...manifest.layers.map(({ digest }) => urlOf(reference, "blobs", digest)),
    ];
    for (const url of urls) {
      const [head, get] = [await fetch(url, { method: "HEAD" }), await fetch(url)];
      const bytes = Buffer.from(await get.arrayBuffer());
      expect(head.headers.get("Content-Length"), url).toBe(String(bytes.length));
      expect(head.headers.get("Docker-Content-Digest"), url).toBe(digestOf(bytes));
      for (const name of ["Content-Type", "Docker-Content-Digest", "ETag"]) {
        expect(head.headers.get(name), `${name} of ${url}`).toBe(get.headers.get(name));
      }
      expect([head.status, get.status]).toEqual([200, 200]);
    }
  }
});

test("crane digest and oras resolve ask by HEAD alone", async () => {
  await using gate = await Gate.start(suite.host);
  const reference = allImages[0]!.reference.replace(suite.host, gate.host);
  await run(suite.programs.crane, "digest", "--insecure", reference);
  await run(suite.programs.oras, "resolve", "--plain-http", reference);
  const asked = gate.requests.filter(({ url }) => url.includes("/manifests/"));
  expect(asked.map(({ method }) => method)).toEqual(["HEAD", "HEAD"]);
});

/** A layer and its bytes. */
async function someLayer(): Promise<{ readonly url: string; readonly bytes: Buffer }> {
  const image = allImages.find(({ kind }) => kind === "path");
  const { reference } = image!;
  const { digest } = (await fetchDocuments(reference)).manifest.layers[0];
  const url = urlOf(reference, "blobs", digest);
  return { url, bytes: Buffer.from(await (await fetch(url)).arrayBuffer()) };
}

/** The ranges of the conformance suite, which needs a blob of its own for them: it cannot push one here. */
const ranges: readonly (readonly [string, (size: number) => readonly [number, number] | undefined])[] = [
  ["bytes=500-1499", () => [500, 1499]],
  ["bytes=500-", (size) => [500, size - 1]],
  ["bytes=-500", (size) => [size - 500, size - 1]],
  ["bytes=2000-999999999", (size) => [2000, size - 1]],
  ["bytes=999999990-999999999", () => undefined],
];

test.for(ranges)("Range: %s", async ([range, of]) => {
  const { url, bytes } = await someLayer();
  const wanted = of(bytes.length);
  const answer = await fetch(url, { headers: { Range: range } });
  const body = Buffer.from(await answer.arrayBuffer());
  if (wanted === undefined) {
    expect(answer.status).toBe(416);
    expect(answer.headers.get("Content-Range")).toBe(`bytes */${bytes.length}`);
    return;
  }
  const [start, end] = wanted;
  expect(answer.status).toBe(206);
  expect(answer.headers.get("Content-Range")).toBe(`bytes ${start}-${end}/${bytes.length}`);
  expect(answer.headers.get("Content-Length")).toBe(String(end - start + 1));
  expect(body.equals(bytes.subarray(start, end + 1))).toBe(true);
});

test("curl resumes a layer of which it has the beginning", async () => {
  const { url, bytes } = await someLayer();
  const file = join(await scratchDirectory(), "layer");
  await writeFile(file, bytes);
  await truncate(file, 700);
  const written = ["--write-out", "%{http_code} %{size_download}"];
  const said = await run(
    "curl",
    "--silent",
    "--fail",
    "--continue-at",
    "-",
    ...written,
    "--output",
    file,
    url,
  );
  expect(said).toBe(`206 ${bytes.length - 700}`);
  expect((await readFile(file)).equals(bytes)).toBe(true);
});
