import jsonPatch from "fast-json-patch";
import { beforeAll, expect, test } from "vitest";
import type { StorePath } from "../../src/nix/store-path.ts";
import type { Pod } from "../../src/patch/pod.ts";
import { signer } from "../resolver/fake-store.ts";
import { push, pushedChain } from "../resolver/pushed.ts";
import { RegistryServer } from "../resolver/registry-server.ts";
import { patched, podWith, reviewOf } from "../webhook/https-client.ts";
import { makePair, type TestPair } from "../webhook/made-pair.ts";
import { until } from "./demo-cache.ts";
import { makeFiles, run } from "./running-service.ts";

let pair: TestPair;
beforeAll(async () => {
  pair = await makePair();
});

const closure = pushedChain(4);
const [root] = closure.roots as [StorePath];

test("a Pod gets references with digests and the source's Secret, at once the second time, and what it has at a reinvocation", async () => {
  const server = await RegistryServer.start();
  push(server, closure);
  const files = await makeFiles(pair.pair);
  const configure = async (pullSecret: string): Promise<void> =>
    files.writeConfig(
      files.config({
        sources: { shop: { registry: server.repository, publicKeys: [signer.publicKey], pullSecret } },
      }),
    );
  await configure("old-login");
  const running = await run(files);
  const client = running.client([pair.ca]);
  const pod = podWith({ "nix.closure": root }, { imagePullSecrets: [{ name: "of-the-account" }] }) as Pod;

  const first = await client.review(reviewOf(pod));
  expect(first.allowed).toBe(true);
  const injected = patched(pod, first);
  expect(injected.spec.imagePullSecrets).toEqual([{ name: "of-the-account" }, { name: "old-login" }]);
  for (const { image } of injected.spec.volumes ?? [])
    expect(image).toMatchObject({ pullPolicy: "IfNotPresent" });
  const digests = closure.paths.flatMap(({ manifest }) => manifest?.digest ?? []);
  const [, largest] = closure.storeImages;
  expect(new Set(injected.spec.volumes?.map(({ image }) => image?.reference))).toEqual(
    new Set([...digests, largest!.manifest.digest].map((digest) => `${server.repository}@${digest}`)),
  );

  const asked = server.requests.length;
  expect((await client.review(reviewOf(pod))).patch).toBe(first.patch);
  expect((await client.review(reviewOf(injected))).patch).toBeUndefined();
  expect(server.requests).toHaveLength(asked);

  await configure("new-login");
  await until(async () => (await running.metric('config_reloads_total{outcome="accepted"}')) === 1);
  const other = patched(pod, await client.review(reviewOf(pod)));
  expect(other.spec.imagePullSecrets).toEqual([{ name: "of-the-account" }, { name: "new-login" }]);
  // Whose an entry is cannot be seen, so the old one stays in a Pod that has it.
  const renamed = patched(injected, await client.review(reviewOf(injected)));
  expect(renamed.spec.imagePullSecrets?.map(({ name }) => name)).toEqual([
    "of-the-account",
    "old-login",
    "new-login",
  ]);
  expect(jsonPatch.compare(injected.spec.volumes ?? [], renamed.spec.volumes ?? [])).toEqual([]);
});
