import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { createSigner } from "../nix/signer.ts";
import { pathOf, signer } from "../resolver/fake-store.ts";
import { push, pushedChain } from "../resolver/pushed.ts";
import { RegistryServer } from "../resolver/registry-server.ts";
import { podWith, reviewOf } from "../webhook/https-client.ts";
import { makePair, type TestPair } from "../webhook/made-pair.ts";
import { until } from "./demo-cache.ts";
import { makeFiles, run, type RunningService, type ServiceFiles } from "./running-service.ts";

let pair: TestPair;
beforeAll(async () => {
  pair = await makePair();
});

const closure = pushedChain(4);
const [root] = closure.roots as [StorePath];
const accepted = 'config_reloads_total{outcome="accepted"}';

interface Started {
  readonly server: RegistryServer;
  readonly files: ServiceFiles;
  readonly running: RunningService;
  /** What the webhook says to a Pod that asks for a path of this source. */
  readonly review: (path: string) => Promise<{ readonly allowed: boolean; readonly message: string }>;
  /** Has another configuration of the source in force. */
  readonly reload: (more: object) => Promise<void>;
}

/** A service with one source, `shop`, in a registry that has a closure. */
async function started(more: (files: ServiceFiles) => object = () => ({})): Promise<Started> {
  const server = await RegistryServer.start();
  push(server, closure);
  const files = await makeFiles(pair.pair);
  const base = { registry: server.repository, publicKeys: [signer.publicKey] };
  const configWith = (source: object): object => files.config({ sources: { shop: { ...base, ...source } } });
  await files.writeConfig(configWith(more(files)));
  const running = await run(files);
  const client = running.client([pair.ca]);
  let reloads = 0;
  return {
    server,
    files,
    running,
    async review(path) {
      const { allowed, status } = await client.review(reviewOf(podWith({ "nix.closure": path })));
      return { allowed, message: status?.message ?? "" };
    },
    async reload(source) {
      await files.writeConfig(configWith(source));
      reloads++;
      await until(async () => (await running.metric(accepted)) === reloads);
    },
  };
}

const requests = (kind: string, outcome: string): string =>
  `cache_requests_total{kind="${kind}",outcome="${outcome}"}`;

describe("a source in a registry", () => {
  test("costs a Pod three requests, the next one none, and is counted", async () => {
    const { server, running, review } = await started();
    expect(await running.metric(requests("index", "hit"))).toBe(0);
    for (let pods = 0; pods < 3; pods++) expect(await review(root)).toMatchObject({ allowed: true });
    expect(server.requests).toHaveLength(3);
    for (const kind of ["index", "manifest", "document"])
      expect(await running.metric(requests(kind, "hit"))).toBe(1);
    expect(await running.metric('cache_request_duration_seconds_count{kind="document"}')).toBe(1);
    expect(await running.metric('resolver_memory_lookups_total{outcome="miss"}')).toBe(1);
  });

  test("that lacks a closure says so to the Pod, in the log and in the metrics", async () => {
    const { server, running, review } = await started();
    const { allowed, message } = await review(pathOf("missing"));
    expect(allowed).toBe(false);
    expect(message).toContain(
      `was not pushed to ${server.repository}; check the path, or push it there with`,
    );
    expect(message).toContain("[CLOSURE_NOT_PUSHED, see docs/errors.md#closure_not_pushed]");
    expect(await running.metric(requests("index", "missing"))).toBe(1);
    expect(await running.metric('admissions_total{outcome="denied",reason="CLOSURE_NOT_PUSHED"}')).toBe(1);
    expect(running.log.some((line) => JSON.stringify(line).includes("CLOSURE_NOT_PUSHED"))).toBe(true);
  });

  test("that is down is a temporary refusal", async () => {
    const { server, running, review } = await started();
    server.answer("*", 500);
    const { allowed, message } = await review(root);
    expect(allowed).toBe(false);
    expect(message).toMatch(/REGISTRY_UNAVAILABLE|RESOLVE_TIMEOUT/);
    await until(async () => (await running.metric(requests("index", "error"))) === 1);
  });

  test("has no images in our registry", async () => {
    const { server, running } = await started();
    const hash = storeHash(root);
    for (const image of [
      `path/${hash}/manifests/1`,
      `closure/${hash}/manifests/1-a-0123456789abcdef`,
      `closure/${hash}/manifests/1-n-0123456789abcdef`,
    ]) {
      const response = await fetch(`${running.registry}/v2/shop/${image}`);
      expect(response.status, image).toBe(404);
      const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
      expect(errors[0]?.code).toBe("NAME_UNKNOWN");
      expect(errors[0]?.message).toContain(
        `names no image of this registry: the images of its source are in ${server.repository}`,
      );
    }
    for (const path of [
      `path/${hash}/tags/list`,
      `closure/${hash}/tags/list`,
      `path/${hash}/manifests/sha256:${"0".repeat(64)}`,
      `path/${hash}/blobs/sha256:${"0".repeat(64)}`,
    ])
      expect((await fetch(`${running.registry}/v2/shop/${path}`)).status, path).toBe(404);
    expect(server.requests).toEqual([]);
    expect((await fetch(`${running.registry}/v2/base/manifests/1`)).status).toBe(200);
  });
});

describe("a configuration that changes", () => {
  test("has the closure checked anew with other keys", async () => {
    const { review, reload } = await started();
    expect(await review(root)).toMatchObject({ allowed: true });
    await reload({ publicKeys: [createSigner("strict-1").publicKey] });
    const { allowed, message } = await review(root);
    expect(allowed).toBe(false);
    expect(message).toContain("(it is signed by test-1; trusted: strict-1)");
    await reload({});
    expect(await review(root)).toMatchObject({ allowed: true });
  });

  test("asks for nothing again when it is about namespaces and pull secrets", async () => {
    const { server, review, reload } = await started();
    expect(await review(root)).toMatchObject({ allowed: true });
    await reload({ namespaces: ["other"], pullSecret: "regcred" });
    expect((await review(root)).message).toContain("[NAMESPACE_NOT_ALLOWED");
    await reload({ namespaces: ["shop"] });
    expect(await review(root)).toMatchObject({ allowed: true });
    expect(server.requests).toHaveLength(3);
  });

  test("may have another kind of source under the same name", async () => {
    const { files, running, review } = await started();
    expect(await review(root)).toMatchObject({ allowed: true });
    await files.writeConfig(files.config({ sources: { shop: { caches: ["file:///nowhere"] } } }));
    await until(async () => (await running.metric(accepted)) === 1);
    expect((await review(root)).message).not.toContain("CLOSURE_");
  });
});

test("credentials are read again when their Secret is replaced", async () => {
  const { server, files, review } = await started(({ directory }) => ({
    dockerConfigFile: join(directory, "config.json"),
  }));
  server.login = { scheme: "bearer", user: "me", password: "new" };
  const write = async (password: string): Promise<void> => {
    const auth = Buffer.from(`me:${password}`).toString("base64");
    const file = join(files.directory, "config.json");
    await writeFile(`${file}.new`, JSON.stringify({ auths: { [server.host]: { auth } } }));
    await rename(`${file}.new`, file);
  };
  expect((await review(root)).message).toContain("config.json");
  push(server, pushedChain(2, "a"));
  await write("old");
  expect((await review(pathOf("a-0"))).message).toContain("[REGISTRY_ACCESS_DENIED");
  push(server, pushedChain(2, "b"));
  await write("new");
  expect(await review(pathOf("b-0"))).toMatchObject({ allowed: true });
});
