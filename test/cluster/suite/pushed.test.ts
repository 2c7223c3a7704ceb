/** Closures out of ordinary registries, with a login, and nothing of ours on any node. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeKeyPair } from "../../../src/nix/key-pair.ts";
import { forgetImages, ownImages } from "./images.ts";
import { imageVolumes, type InjectedPod, waitForAll } from "./injected.ts";
import {
  apply,
  attempt,
  attemptCreate,
  eventsOf,
  kubectl,
  logs,
  makeNamespace,
  remove,
  removeNamespace,
  restrictedNamespace,
  waitFor,
  waitForReady,
} from "./kubectl.ts";
import { nodeNames } from "./node.ts";
import { forgetRegistries, type OrdinaryRegistry, trustRegistries } from "./ordinary-registry.ts";
import {
  annotatedPod,
  type KubernetesObject,
  plainPod,
  type PodOptions,
  roots,
  untilItEndsWell,
} from "./pods.ts";
import { restartWebhook } from "./product.ts";
import { PushedClosures, tagOf } from "./pushed-closures.ts";
import { installAgain, installWithoutRegistry, pullSecret, registryPods } from "./pushed-product.ts";

const namespace = "suite-pushed";
const teamNamespace = "suite-pushed-team";
const secret = "closures";
const page = "hello from a nix closure";

let closures: PushedClosures;
let nodes: readonly string[] = [];
/** Tag and digest of the base image, which is beside the closures. */
let base: { readonly tag: string; readonly digest: string };

beforeAll(async () => {
  const { controlPlane, workers } = await nodeNames();
  nodes = [controlPlane, ...workers];
  closures = await PushedClosures.make(controlPlane);
  await closures.push("nix", roots.hello, roots.nginx);
  await closures.push("team", roots.hello);
  base = await closures.pushBase("nix");
  await Promise.all([
    ...nodes.map((node) => trustRegistries(node, closures.registries)),
    ...[namespace, teamNamespace].map((name) => makeNamespace(name, restrictedNamespace)),
    installFor(closures.first),
  ]);
  await apply(pullSecret(namespace, secret, closures.registries));
});

afterAll(async () => {
  await Promise.all([removeNamespace(namespace), removeNamespace(teamNamespace), installAgain()]);
  try {
    for (const node of nodes) {
      for (const { host } of closures.registries) await forgetImages(node, host);
      await forgetRegistries(node, closures.registries);
    }
  } finally {
    await closures[Symbol.asyncDispose]();
  }
});

/** Has the webhook find closures, and the nodes the base image, in a registry. */
async function installFor({ host }: OrdinaryRegistry): Promise<void> {
  const source = { registry: `${host}/nix`, publicKeys: [closures.publicKey], pullSecret: secret };
  const sources = {
    pushed: source,
    forged: { ...source, publicKeys: [makeKeyPair("other-1").publicKey] },
    team: { ...source, registry: `${host}/team`, namespaces: [teamNamespace] },
  };
  const config = { sources, defaultSource: "pushed", baseImage: baseImageOn(host) };
  await installWithoutRegistry(config, closures.registries, await closures.authorities());
}

const baseImageOn = (host: string): string => `${host}/nix:${base.tag}@${base.digest}`;

function pushedPod(
  options: PodOptions & { readonly source: string; readonly root?: string },
): KubernetesObject {
  const { source, root = roots.hello, ...rest } = options;
  return annotatedPod({ ...rest, annotations: { "nix.closure": `${source}:${root}` } });
}

const hello = (name: string, source: string, spec?: PodOptions["spec"]): KubernetesObject =>
  pushedPod({ name, namespace, source, spec: { ...untilItEndsWell, ...spec } });

const nginx = (name: string, source: string): KubernetesObject =>
  pushedPod({
    name,
    namespace,
    source,
    root: roots.nginx,
    command: ["nginx-app"],
    container: {
      readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
      volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
    },
    spec: { volumes: [{ name: "tmp", emptyDir: {} }] },
  });

/** What becomes of a Pod, without creating it. */
async function dryRun(pod: KubernetesObject): Promise<InjectedPod> {
  const args = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
  return JSON.parse(await kubectl(args, JSON.stringify(pod))) as InjectedPod;
}

/** The line in which kubectl says why a Pod of ours is refused. @throws Error if it is not, or says more */
async function refusalOf(pod: KubernetesObject): Promise<string> {
  const { ok, output } = await attemptCreate(pod);
  if (ok) throw new Error("the Pod was created");
  const lines = output.trimEnd().split("\n");
  expect(lines.filter((line) => / denied (?:the )?request: /.test(line))).toEqual([lines.at(-1)]);
  return lines.at(-1) ?? "";
}

/** Runs hello and nginx, and looks whether all their images came from a registry. */
async function expectRuns({ host }: OrdinaryRegistry): Promise<void> {
  const pods = [hello("hello", "pushed"), nginx("nginx", "pushed")];
  await remove(...pods);
  for (const pod of pods) {
    const { ok, output } = await attemptCreate(pod);
    expect(ok, output).toBe(true);
  }
  const [greeted] = await waitForAll(namespace, ["hello"]);
  const served = (await waitForReady(namespace, "nginx")) as InjectedPod;
  expect(await logs(namespace, "hello")).toBe("Hello, world!\n");
  const proxied = `/api/v1/namespaces/${namespace}/pods/nginx:8080/proxy/`;
  expect(await kubectl(["get", "--raw", proxied])).toContain(page);
  for (const pod of [greeted!, served]) {
    const volumes = [...imageVolumes(pod).values()];
    expect(volumes.length).toBeGreaterThan(4);
    for (const reference of volumes) {
      expect(reference.startsWith(`${host}/nix@`)).toBe(true);
      expect(reference).toMatch(/^[^@]+@sha256:[0-9a-f]{64}$/);
    }
    const containers = pod.spec.containers.map(({ image }) => image);
    expect(containers).toEqual([baseImageOn(host)]);
    const pulled = await ownImages(pod.spec.nodeName ?? "", host);
    expect(pulled).toEqual(expect.arrayContaining([...volumes, `${host}/nix@${base.digest}`]));
  }
  expect(await registryPods()).toEqual([]);
}

describe("a registry with a login", () => {
  test("nodes get nothing from it without one", async () => {
    const [reference = ""] = imageVolumes(await dryRun(hello("asked", "pushed"))).values();
    const volumes = [{ name: "layer", image: { reference } }];
    const byHand = plainPod({
      name: "without-login",
      namespace,
      container: { volumeMounts: [{ name: "layer", mountPath: "/layer" }] },
      spec: { volumes },
    });
    expect(await attemptCreate(byHand)).toMatchObject({ ok: true });
    const refused = await waitFor("an event of the refusal", async () => {
      const events = await eventsOf(namespace, "Pod", "without-login");
      return events.find(({ reason }) => reason === "Failed")?.message;
    });
    expect(refused).toMatch(/401|no basic auth credentials|authorization failed/);
    await remove(byHand);
  });

  test("hello and nginx run out of it, with the login that the source names", () =>
    expectRuns(closures.first));

  test("a Pod keeps the pull secrets of its ServiceAccount", async () => {
    const account = { name: "with-login", namespace };
    const imagePullSecrets = [{ name: "of-the-account" }];
    await apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: account, imagePullSecrets });
    const pod = await dryRun(hello("with-account", "pushed", { serviceAccountName: account.name }));
    expect(pod.spec).toMatchObject({ imagePullSecrets: [...imagePullSecrets, { name: secret }] });
    const own = { serviceAccountName: account.name, imagePullSecrets: [{ name: secret }] };
    expect(await dryRun(hello("with-own", "pushed", own))).toMatchObject({
      spec: { imagePullSecrets: [{ name: secret }] },
    });
  });
});

describe("refused in one line of kubectl's", () => {
  test("a closure that no key of the source has signed", async () => {
    expect(await refusalOf(hello("forged", "forged"))).toMatch(
      new RegExp(
        `^Error from server .* denied the request: nix-closure: .*${roots.hello}.* in ${closures.first.host}/nix ` +
          `has no valid signature by a trusted key \\(.*suite-1.*; trusted: other-1.*\\); .* ` +
          `\\[CLOSURE_UNTRUSTED, see docs/errors\\.md#closure_untrusted\\]$`,
      ),
    );
  });

  test("a closure that was not pushed", async () => {
    const pod = pushedPod({ name: "absent", namespace, source: "pushed", root: roots.python });
    expect(await refusalOf(pod)).toMatch(/ was not pushed to .*\[CLOSURE_NOT_PUSHED, see [^\]]+\]$/);
  });

  test("a source that is not for the namespace", async () => {
    expect(await refusalOf(hello("of-team", "team"))).toMatch(
      new RegExp(
        ` source "team" may not be used in namespace "${namespace}".*\\[NAMESPACE_NOT_ALLOWED, see [^\\]]+\\]$`,
      ),
    );
  });
});

describe("the policy on references", () => {
  const byHand = (name: string, reference: string): KubernetesObject =>
    plainPod({
      name,
      namespace,
      container: { volumeMounts: [{ name: "layer", mountPath: "/layer" }] },
      spec: { volumes: [{ name: "layer", image: { reference } }] },
    });

  test("lets those of a source pass in its namespaces, and refuses them by hand in others", async () => {
    const ofTeam = await dryRun({
      ...hello("of-team", "team"),
      metadata: {
        name: "of-team",
        namespace: teamNamespace,
        annotations: { "nix.closure": `team:${roots.hello}` },
      },
    });
    const references = [...imageVolumes(ofTeam).values()];
    expect(references.length).toBeGreaterThan(4);
    const { host } = closures.first;
    for (const reference of [...references, `${host}/team:4vlwxs24hwlvm23q063xvdmkzvlxjw1s`]) {
      expect(reference.startsWith(`${host}/team`)).toBe(true);
      expect(await refusalOf(byHand("by-hand", reference))).toMatch(
        new RegExp(`'nix-closure-references' .*: the image ${reference} is from a repository of closures `),
      );
    }
    const open = references[0]?.replace(`${host}/team@`, `${host}/nix@`) ?? "";
    const { ok, output } = await attempt(
      ["create", "--dry-run=server", "-f", "-"],
      JSON.stringify(byHand("by-hand", open)),
    );
    expect(ok, output).toBe(true);
  });
});

describe("across an air gap", () => {
  test("the registry's garbage collection keeps what a closure needs, and drops what none does", async () => {
    const { first } = closures;
    const before = new Set(await first.blobs());
    await closures.push("nix", roots.mixed);
    expect((await first.blobs()).length).toBeGreaterThan(before.size);
    await closures.delete("nix", tagOf(roots.mixed));
    await first.collectGarbage();
    expect(new Set(await first.blobs())).toEqual(before);
  });

  test("hello and nginx run out of a copy, with the first registry gone", async () => {
    const tags = [...[roots.hello, roots.nginx].map(tagOf), base.tag];
    await closures.export("nix", ...tags);
    await closures.first.stop();
    expect(await closures.second.blobs()).toEqual([]);
    await closures.import("nix", ...tags);
    await installFor(closures.second);
    // Other sources alone are read without that, a minute later.
    await restartWebhook();
    await remove(hello("hello", "pushed"), nginx("nginx", "pushed"));
    await Promise.all(nodes.map((node) => forgetImages(node, closures.first.host)));
    await expectRuns(closures.second);
  });
});
