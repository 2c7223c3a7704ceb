/** Pulls by skopeo, crane and oras; podman, which takes longest, has a file of its own. */
import { expect, test } from "vitest";
import { allClients, allImages } from "./fixture.ts";
import { closures, describePulls } from "./pulls.ts";

for (const client of await allClients("pull")) if (client.name !== "podman") describePulls(client);

test("the plans have images of all kinds", () => {
  const count = (wanted: string): number => allImages.filter(({ kind }) => kind === wanted).length;
  expect(closures).toEqual(["hello", "nginx", "python", "mixed", "edges"]);
  const counts = { path: count("path"), store: count("store"), base: count("base") };
  expect(counts).toEqual({ path: 37, store: 7, base: 1 });
});
