import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, inject, onTestFinished } from "vitest";
import { run as runCommand } from "../programs/command.ts";
import { hello } from "../service/demo-cache.ts";
import { type Client, createClients } from "./clients.ts";
import { imagesOf, type PlannedImage } from "./closures.ts";
import { escapingLink } from "./edges-cache.ts";
import { expectedTree } from "./expected.ts";
import { difference, type Listing } from "./listing.ts";
import { makePodmanStore, type PodmanStore, removePodmanStore } from "./podman-store.ts";

/** What the global set-up has made. */
export const suite = inject("suite");

/**
 * A podman store of a test file, which is gone after it.
 *
 * @param name a short one, if containers run in it: below a long path podman 4.3 takes 20 seconds more to end each
 */
export async function podmanStore(name: string): Promise<PodmanStore> {
  const store = await makePodmanStore(join(suite.directory, "podman", name));
  afterAll(() => removePodmanStore(store));
  return store;
}

/** All clients, podman with a store of its own for this test file. */
export async function allClients(name: string): Promise<readonly Client[]> {
  return createClients({ ...suite, podman: await podmanStore(name) });
}

/** Runs a client's program, which sees none of the user's files. */
export function run(file: string, ...args: readonly string[]): Promise<string> {
  return runCommand(file, args, { env: suite.env });
}

/** Directories in the closure of mixed: with the strategy per-path its store image has the files and links alone. */
const mixedDirectories = 5;

/** All images of all plans. */
export const allImages = imagesOf(suite.pods);

/** Images of each kind, small ones, and those whose trees are the hardest. */
export const chosenImages = allImages.filter((image) => {
  if (image.kind === "path" && image.storePath === hello) return true;
  const isOfFiles = image.kind === "store" && image.mountPoints.length === mixedDirectories;
  return image.kind === "base" || isOfFiles || image.reference.includes("/edges/");
});

/** A directory that is gone after the test. */
export async function scratchDirectory(): Promise<string> {
  const directory = await mkdtemp(join(suite.directory, "scratch-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Fails with the lines that differ unless a tree is the one that the image is to have. */
export function expectTree(found: Listing, image: PlannedImage): void {
  expectListing(found, expectedTree(image, suite.nars), image.reference);
}

/** Fails with the lines that differ unless a client has found the tree that the image is to have. */
export function expectPulled(found: Listing, image: PlannedImage, client: Client): void {
  const wanted = expectedTree(image, suite.nars);
  const isKept = (line: string): boolean =>
    client.dropsEscapingLinks !== true || !line.includes(`${escapingLink} `);
  expectListing(found, wanted.filter(isKept), image.reference);
}

/** Fails with the lines that differ, whatever their order. */
export function expectListing(found: Listing, wanted: Listing, what: string): void {
  expect(difference(found, wanted), what).toEqual([]);
  expect(found.toSorted()).toEqual(wanted.toSorted());
}
