/**
 * Other programs as clients of pushed closures: what they say of them, the trees that they pull, and programs that
 * podman runs out of image volumes, from a registry to which skopeo has carried them, when the first one is gone.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { run as runCommand } from "../programs/command.ts";
import { hello, mixed, nginx, python } from "../service/demo-cache.ts";
import { createClients } from "./clients.ts";
import { type ClosureName, imagesOf, injectPods } from "./closures.ts";
import { expectPulled, podmanStore, run, scratchDirectory, suite } from "./fixture.ts";
import type { Listing } from "./listing.ts";
import { OrdinaryRegistry } from "./ordinary-registry.ts";
import { PushMachine } from "./push-machine.ts";
import { reachableFrom } from "./pushed-index.ts";
import { runPrograms } from "./run-pods.ts";

const directory = join(suite.directory, "pushed-clients");
const closures = { hello, nginx, python, mixed } as const satisfies Partial<Record<ClosureName, string>>;
const names = Object.keys(closures) as (keyof typeof closures)[];
const tagOf = (root: string): string => root.slice("/nix/store/".length).slice(0, 32);

const store = await podmanStore("pushed");
const machine = await PushMachine.make(join(directory, "machine"));
const registry = await OrdinaryRegistry.start("docker-registry", join(directory, "second"));
afterAll(() => registry[Symbol.asyncDispose]());
await pushAndCarry();
const configFile = join(directory, "read.yaml");
const shop = { registry: `${registry.host}/team/nix`, publicKeys: [machine.publicKey] };
await writeFile(configFile, stringify({ sources: { shop }, registry: { reference: suite.host } }));
const pods = await injectPods(configFile, names);

/** Pushes to a first registry, copies to this one by way of a directory, and removes the first one with all it has. */
async function pushAndCarry(): Promise<void> {
  await using first = await OrdinaryRegistry.start("distribution", join(directory, "first"));
  const plans = ["stock", "tuned", "per-path", "bundle"].flatMap((plan) => ["--plan", plan]);
  await machine.push(`${first.host}/nix`, [...plans, ...Object.values(closures)]);
  const layout = join(directory, "layout");
  for (const tag of Object.values(closures).map(tagOf)) {
    const [from, to] = [`docker://${first.host}/nix:${tag}`, `oci:${layout}:${tag}`];
    await run("skopeo", "copy", "--all", "--src-tls-verify=false", from, to);
  }
  await first.stop();
  await rm(first.storage, { recursive: true });
  for (const tag of Object.values(closures).map(tagOf)) {
    const to = `docker://${registry.host}/team/nix:${tag}`;
    await run("skopeo", "copy", "--all", "--dest-tls-verify=false", `oci:${layout}:${tag}`, to);
  }
}

test.for(names)("everything of %s has come over", async (name) => {
  const reachable = await reachableFrom(`${registry.origin}/v2/team/nix`, tagOf(closures[name]));
  expect(reachable.missing).toEqual([]);
  expect(reachable.manifests.size).toBeGreaterThan(5);
});

describe("what clients say of a pushed closure", () => {
  const reference = `${registry.host}/team/nix:${tagOf(python)}`;

  test("skopeo inspect takes it for an image, and lists the tags", async () => {
    const text = await run("skopeo", "inspect", "--tls-verify=false", `docker://${reference}`);
    expect(JSON.parse(text)).toMatchObject({
      Name: `${registry.host}/team/nix`,
      RepoTags: Object.values(closures).map(tagOf).toSorted(),
      Created: "1970-01-01T00:00:01Z",
      Architecture: "amd64",
      Os: "linux",
    });
  });

  test("crane validate --fast finds all images of the index as they say they are", async () => {
    const args = ["validate", "--insecure", "--fast", "--remote", reference];
    expect(await run(suite.programs.crane, ...args)).toContain(`PASS: ${reference}`);
  });

  test("oras discover finds that nothing refers to it, and oras manifest fetch shows the index", async () => {
    const args = ["--plain-http", "--format", "json", reference];
    const found = JSON.parse(await run(suite.programs.oras, "discover", ...args)) as {
      referrers?: unknown[];
    };
    expect(found.referrers ?? []).toEqual([]);
    const index = JSON.parse(await run(suite.programs.oras, "manifest", "fetch", "--plain-http", reference));
    expect(index).toMatchObject({ annotations: { "org.nix-closure.roots": python } });
  });
});

describe.each(createClients({ ...suite, podman: store }).filter(({ name }) => name !== "podman"))(
  "$name",
  (client) => {
    const pulled = new Map<string, Listing>();

    test.for(names)("pulls every image of %s, and finds what is in its NARs", async (name) => {
      const scratch = await scratchDirectory();
      const images = imagesOf(pods.filter(({ closure }) => closure === name));
      const ours = images.filter(({ kind }) => kind !== "base");
      expect(ours.length).toBeGreaterThan(4);
      for (const [index, image] of ours.entries()) {
        const { reference } = image;
        const listing = pulled.get(reference) ?? (await client.pull(reference, join(scratch, String(index))));
        pulled.set(reference, listing);
        expectPulled(listing, image, client);
      }
    });
  },
);

describe.skipIf(process.arch !== "x64")("podman, whose programs are for amd64", () => {
  const env: Record<string, string> = { ...suite.env, ...store.env };
  const podman = (...args: readonly string[]): Promise<string> => runCommand("podman", args, { env });

  beforeAll(async () => {
    const file = join(store.directory, "registries.conf");
    const entries = [registry.host, suite.host].map(
      (location) => `[[registry]]\nlocation = "${location}"\ninsecure = true\n`,
    );
    await writeFile(file, entries.join("\n"));
    env["CONTAINERS_REGISTRIES_CONF"] = file;
    for (const { reference } of imagesOf(pods)) await podman("pull", "--quiet", reference);
  }, 120_000);
  afterEach(() => podman("rm", "--all", "--force", "--time", "0"));

  test.for(pods)("runs $closure, $strategy", (pod) => runPrograms(podman, pod));
});
