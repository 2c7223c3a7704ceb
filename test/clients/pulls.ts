import { join } from "node:path";
import { describe, test } from "vitest";
import type { Client } from "./clients.ts";
import { type ClosureName, imagesOf, type PlannedImage } from "./closures.ts";
import { expectPulled, scratchDirectory, suite } from "./fixture.ts";
import type { Listing } from "./listing.ts";

/** The closures that are pulled. */
export const closures = [...new Set(suite.pods.map(({ closure }) => closure))];

const imagesOfClosure = (name: ClosureName): readonly PlannedImage[] =>
  imagesOf(suite.pods.filter(({ closure }) => closure === name));

/** Every image of every plan through a client: the tree is the one in the NARs. */
export function describePulls(client: Client): void {
  describe(client.name, () => {
    /** By reference: closures have images in common. */
    const pulled = new Map<string, Listing>();

    test.for(closures)("pulls every image of %s, and finds what is in its NARs", async (name) => {
      const directory = await scratchDirectory();
      for (const [index, image] of imagesOfClosure(name).entries()) {
        const { reference } = image;
        const listing =
          pulled.get(reference) ?? (await client.pull(reference, join(directory, String(index))));
        pulled.set(reference, listing);
        expectPulled(listing, image, client);
      }
    });
  });
}
