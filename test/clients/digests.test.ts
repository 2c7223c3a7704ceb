/** What was pulled by tag can be pulled by digest: of the index, and of the manifest in it. */
import { join } from "node:path";
import { describe, test } from "vitest";
import { fetchDocuments, repositoryOf } from "./documents.ts";
import { allClients, chosenImages, expectPulled, scratchDirectory } from "./fixture.ts";

describe.each(await allClients("digests"))("$name", (client) => {
  test.for(chosenImages)("pulls $reference by tag, and then by digest", async (image) => {
    const directory = await scratchDirectory();
    expectPulled(await client.pull(image.reference, join(directory, "tag")), image, client);
    const { indexDigest, manifestDigest } = await fetchDocuments(image.reference);
    for (const digest of [indexDigest, manifestDigest]) {
      const reference = `${repositoryOf(image.reference)}@${digest}`;
      expectPulled(await client.pull(reference, join(directory, digest.replace(":", "-"))), image, client);
    }
  });
});
