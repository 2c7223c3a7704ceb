/** What pushes send, and what an admission asks for, counted by a proxy before the registry. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { syntheticGraph } from "../../bench/synthetic-graph.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { cacheFiles, signer } from "../resolver/fake-store.ts";
import { nginx, python } from "../service/demo-cache.ts";
import { mountsOf } from "./closures.ts";
import { scratchDirectory, suite } from "./fixture.ts";
import { Gate } from "./gate.ts";
import { OrdinaryRegistry } from "./ordinary-registry.ts";
import { PushMachine } from "./push-machine.ts";
import { reachableFrom } from "./pushed-index.ts";
import { ServedWebhook } from "./served-webhook.ts";

const tagOf = (root: string): string => root.slice("/nix/store/".length).slice(0, 32);
let machine: PushMachine;
beforeAll(async () => {
  machine = await PushMachine.make(join(suite.directory, "push-costs"));
});

/** A registry, and the proxy that everybody goes through. */
async function counted(): Promise<{ readonly gate: Gate; readonly to: string; readonly repository: string }> {
  const registry = await OrdinaryRegistry.start("distribution", await scratchDirectory());
  onTestFinished(() => registry[Symbol.asyncDispose]());
  const gate = await Gate.start(registry.host);
  onTestFinished(() => gate[Symbol.asyncDispose]());
  return { gate, to: `${gate.host}/nix`, repository: `${registry.origin}/v2/nix` };
}

test("python twice sends nothing the second time, from any machine; nginx then only what is new", async () => {
  const { gate, to, repository } = await counted();
  const first = await machine.push(to, [python]);
  expect(gate.received).toBeGreaterThan(first.sent.bytes);
  const other = await PushMachine.make(await scratchDirectory(), machine.key);
  for (const each of [machine, other]) {
    gate.reset();
    const { closures } = await each.push(to, [python]);
    expect(closures).toEqual([{ ...first.closures[0], unchanged: true }]);
    expect([gate.writes, gate.received]).toEqual([[], 0]);
    expect(gate.requests.length).toBeLessThanOrEqual(4);
  }

  gate.reset();
  const { sent, present } = await machine.push(to, [nginx]);
  const [ours, before] = [
    await reachableFrom(repository, tagOf(nginx)),
    await reachableFrom(repository, tagOf(python)),
  ];
  const added = [...ours.blobs].filter(([digest]) => !before.blobs.has(digest));
  const bytes = added.reduce((sum, [, size]) => sum + size, 0);
  expect(sent).toEqual({ blobs: added.length, bytes });
  const bodies = gate.writes.filter(({ url }) => url.includes("/blobs/"));
  expect(bodies.reduce((sum, body) => sum + body.bytes, 0)).toBe(bytes);
  expect(present.blobs).toBe(ours.blobs.size - added.length);
  const manifests = gate.writes.filter(({ url }) => url.includes("/manifests/"));
  // Those that are new, and the index.
  expect(manifests.length).toBe(ours.manifests.difference(before.manifests).size + 1);
});

test("a closure of 400 paths costs an admission three requests at most, and then none", async () => {
  const { gate, to } = await counted();
  const { root, paths } = syntheticGraph(400);
  const nar = (name: string): Buffer =>
    writeNar({
      type: "directory",
      entries: [[Buffer.from("name"), { type: "regular", contents: Buffer.from(name) }]],
    });
  const cache = await scratchDirectory();
  await mkdir(join(cache, "nar"));
  const files = cacheFiles(
    paths.map(({ storePath, references }) => [storePath, { references, nar: nar(storePath) }] as const),
  );
  for (const [name, bytes] of files) await writeFile(join(cache, name), bytes);
  const from = ["--from", pathToFileURL(cache).href, "--public-key", signer.publicKey];
  const plans = ["stock", "tuned", "bundle"].flatMap((plan) => ["--plan", plan]);
  const { closures } = await machine.push(to, [...from, ...plans, "--system", "x86_64-linux", root]);
  expect(closures[0]?.paths).toBe(400);

  gate.reset();
  const shop = { registry: to, publicKeys: [machine.publicKey] };
  await using webhook = await ServedWebhook.start(await scratchDirectory(), { shop });
  expect(gate.requests).toEqual([]);
  const pods = [await webhook.admit(root), await webhook.admit(root, "bundle"), await webhook.admit(root)];
  for (const pod of pods) expect(mountsOf(pod).length).toBeGreaterThan(0);
  expect(gate.requests.map(({ method }) => method)).toEqual(["GET", "GET", "GET"]);
});
