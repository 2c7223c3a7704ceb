import { beforeAll, describe, expect, test } from "vitest";
import { hello, mixed, mixedFile, unknown } from "../service/demo-cache.ts";
import { operationsOf, patched, podWith, reviewOf } from "./https-client.ts";
import { makePair, type TestPair } from "./made-pair.ts";
import { startWebhook } from "./running-webhook.ts";

let first: TestPair;
beforeAll(async () => {
  first = await makePair();
});

describe("a review", () => {
  test("of an annotated Pod is answered with a patch that injects it, and of that with none", async () => {
    const { client, outcomes } = await startWebhook(first);
    const pod = podWith({ "nix.closure": hello });
    const response = await client.review(reviewOf(pod, { uid: "a uid" }));
    expect(response).toEqual({
      uid: "a uid",
      allowed: true,
      patchType: "JSONPatch",
      patch: expect.any(String),
    });

    const injected = patched(pod, response);
    expect(injected.spec.volumes).toHaveLength(5);
    expect(injected.spec.volumes?.[0]).toEqual({
      name: "nix-4vlwxs24hwlvm23q063xvdmkzvlxjw1s",
      image: {
        reference: "localhost:5417/demo/path/4vlwxs24hwlvm23q063xvdmkzvlxjw1s:1",
        pullPolicy: "IfNotPresent",
      },
    });
    const mounts = injected.spec.containers[0]?.volumeMounts ?? [];
    expect(mounts.map((mount) => mount.mountPath)).toEqual(
      expect.arrayContaining([hello, "/nix/var/nix/profiles/default"]),
    );
    expect(mounts).toHaveLength(6);

    expect(await client.review(reviewOf(injected, { uid: "b" }))).toEqual({ uid: "b", allowed: true });
    expect(outcomes).toMatchObject([
      { outcome: "injected", reason: "none", volumes: 5 },
      { outcome: "unchanged", reason: "none", volumes: 5 },
    ]);
  });

  test.each<[string, object, Record<string, unknown>]>([
    ["a Pod without our annotations", podWith({ "example.com/x": "y" }), {}],
    ["an update", podWith({ "nix.closure": "wrong" }), { operation: "UPDATE" }],
    ["a deletion", podWith({ "nix.closure": "wrong" }), { operation: "DELETE", object: null }],
    [
      "a Deployment",
      podWith({ "nix.closure": "wrong" }),
      { resource: { group: "apps", resource: "deployments" } },
    ],
    ["a binding", { kind: "Binding", metadata: {}, target: {} }, { subResource: "binding" }],
    ["a mirror Pod", podWith({ "nix.closure": "wrong", "kubernetes.io/config.mirror": "x" }), {}],
  ])("lets %s through", async (_, object, changes) => {
    const { client, outcomes } = await startWebhook(first);
    const { request } = reviewOf(object, changes);
    expect(await client.review(reviewOf(object, changes))).toEqual({ uid: request.uid, allowed: true });
    expect(outcomes).toMatchObject([{ outcome: "skipped" }]);
  });

  test("of a dry run is answered with the same patch", async () => {
    const { client } = await startWebhook(first);
    const pod = podWith({ "nix.closure": mixed });
    const wet = await client.review(reviewOf(pod));
    const dry = await client.review(reviewOf(pod, { dryRun: true }));
    expect(operationsOf(dry).length).toBeGreaterThan(0);
    expect(operationsOf(dry)).toEqual(operationsOf(wet));
    expect({ ...dry, patch: "" }).toEqual({ ...wet, patch: "" });
  });

  test("takes names that mean something to JavaScript for names", async () => {
    const { client } = await startWebhook(first);
    // A literal would set the prototype.
    const annotations = JSON.parse(`{"__proto__":"a","nix.closure":"${hello}"}`) as Record<string, unknown>;
    const pod = podWith(annotations);
    const response = await client.review(reviewOf(pod));
    const { metadata } = patched(pod, response);
    expect(Object.keys(metadata.annotations ?? {})).toEqual([
      "__proto__",
      "nix.closure",
      "nix.closure/status",
    ]);
    const constructors = JSON.stringify(reviewOf(pod)).replace(
      '"labels":{',
      '"labels":{"constructor":{"prototype":1},',
    );
    expect((await client.send(constructors)).status).toBe(200);
  });

  test("has warnings for what is not as wished", async () => {
    const { client } = await startWebhook(first);
    const response = await client.review(reviewOf(podWith({ "nix.closure": mixedFile })));
    expect(response.allowed).toBe(true);
    expect(response.warnings).toEqual([expect.stringMatching(/^nix-closure: .*profile/)]);
  });

  test("is denied with code, reason and message for a path that no cache has", async () => {
    const { client, outcomes } = await startWebhook(first);
    const response = await client.review(reviewOf(podWith({ "nix.closure": unknown }), { uid: "c" }));
    expect(response).toEqual({
      uid: "c",
      allowed: false,
      status: { code: 404, reason: "NotFound", message: expect.any(String) },
    });
    expect(response.status?.message).toMatch(
      new RegExp(`^nix-closure: ${unknown} is not in file://.*nix copy --to .*\\[PATH_UNKNOWN, see docs`),
    );
    expect(outcomes).toMatchObject([{ outcome: "denied", reason: "PATH_UNKNOWN" }]);
  });
});

describe("each kind of wrong annotation is denied in one line with its code and the fix", () => {
  const key = "nix.closure";
  test.each<
    [code: string, status: number, annotations: Record<string, unknown>, says: string[], spec?: object]
  >([
    ["STORE_PATH_INVALID", 400, { [key]: "hello" }, [key, "write /nix/store/<32 characters>-<name>"]],
    ["STORE_PATH_INVALID", 400, { [key]: `${hello}/bin/hello` }, [key, "write /nix/store/"]],
    ["STORE_PATH_INVALID", 400, { [key]: `${hello}.drv` }, [key, "write its output path"]],
    ["ROOTS_MISSING", 400, { [key]: " " }, [key, "write /nix/store/"]],
    ["SOURCE_UNKNOWN", 400, { [key]: `nixos:${hello}` }, [key, '"nixos"', "sources are: demo"]],
    ["CONTAINER_UNKNOWN", 400, { "container.nix.closure/web": hello }, [`${key}/web`, "the Pod has: app"]],
    ["STORE_PATH_INVALID", 400, { "container.nix.closure/app": "x" }, [`${key}/app`, "write /nix/store/"]],
    [
      "CONTAINER_UNKNOWN",
      400,
      { [key]: hello, [`${key}/containers`]: "web" },
      [`${key}/containers`, "has: app"],
    ],
    [
      "ANNOTATION_INVALID",
      400,
      { [key]: hello, [`${key}/containers`]: "" },
      [`${key}/containers`, "remove it"],
    ],
    ["ANNOTATION_INVALID", 400, { [`${key}/containers`]: "app" }, [`${key}/containers`, "no effect without"]],
    [
      "ANNOTATION_INVALID",
      400,
      { [key]: hello, [`${key}/strategy`]: "fast" },
      [`${key}/strategy`, "is not one of"],
    ],
    [
      "ANNOTATION_INVALID",
      400,
      { [key]: hello, [`${key}/profile`]: "app" },
      [`${key}/profile`, "absolute path"],
    ],
    [
      "ANNOTATION_INVALID",
      400,
      { [key]: hello, [`${key}/path`]: "yes" },
      [`${key}/path`, "is not one of: true"],
    ],
    [
      "ANNOTATION_INVALID",
      400,
      { [key]: hello, [`${key}/system`]: "riscv" },
      [`${key}/system`, "x86_64-linux"],
    ],
    [
      "ANNOTATION_UNKNOWN",
      400,
      { [key]: hello, [`${key}/profil`]: "/a" },
      [`"${key}/profil"`, `mean ${key}/profile?`],
    ],
    [
      "ANNOTATION_INVALID",
      400,
      { [`${key}/strategy`]: "bundle" },
      [`${key}/strategy`, `without ${key}; add it`],
    ],
    ["POD_INVALID", 400, { [key]: 5 }, [key, "quote it"]],
    [
      "SYSTEM_CONFLICT",
      409,
      { [key]: hello, [`${key}/system`]: "x86_64-linux" },
      [`${key}/system`, "remove one of them"],
      { nodeSelector: { "kubernetes.io/arch": "arm64" } },
    ],
    [
      "BASE_IMAGE_UNKNOWN",
      400,
      { [key]: hello },
      ['container "app"', "is written nix.closure/base"],
      { containers: [{ name: "app", image: "nix.closure/base:2" }] },
    ],
    [
      "MOUNT_CONFLICT",
      409,
      { [key]: hello },
      ['container "app"', hello],
      {
        containers: [{ name: "app", image: "debian:13", volumeMounts: [{ name: "mine", mountPath: hello }] }],
        volumes: [{ name: "mine", emptyDir: {} }],
      },
    ],
    [
      "ANNOTATIONS_INVALID",
      400,
      { [key]: "hello", [`${key}/path`]: "yes", [`${key}/sytem`]: "x" },
      ["[STORE_PATH_INVALID]", "[ANNOTATION_INVALID]", "[ANNOTATION_UNKNOWN]", `mean ${key}/system?`],
    ],
  ])("%s %i %o", async (code, status, annotations, says, spec = {}) => {
    const { client, outcomes } = await startWebhook(first);
    const response = await client.review(reviewOf(podWith(annotations, spec)));
    expect(response).toMatchObject({ allowed: false, status: { code: status } });
    const message = response.status?.message ?? "";
    expect(message).toMatch(
      new RegExp(`^nix-closure: .*\\[${code}, see docs/errors.md#${code.toLowerCase()}\\]$`),
    );
    expect(message).not.toMatch(/\p{Cc}/u);
    for (const word of says) expect(message).toContain(word);
    expect(outcomes).toMatchObject([{ outcome: "denied", reason: code }]);
  });

  test("a source that the namespace may not use", async () => {
    const { client } = await startWebhook(first, { namespaces: ["team-*"] });
    const pod = podWith({ "nix.closure": hello });
    const { status } = await client.review(reviewOf(pod));
    expect(status).toMatchObject({ code: 403, reason: "Forbidden" });
    expect(status?.message).toMatch(/"shop", only in: team-\*; ask .*\[NAMESPACE_NOT_ALLOWED/);
    expect(await client.review(reviewOf(pod, { namespace: "team-a" }))).toMatchObject({ allowed: true });
  });

  test.each([[null], [5], [{}]])("a namespace that is none (%o) is not known", async (namespace) => {
    const { client } = await startWebhook(first, { namespaces: ["team-*"] });
    const pod = podWith({ "nix.closure": hello });
    Object.assign((pod as { metadata: object }).metadata, { namespace });
    const response = await client.review(reviewOf(pod, { namespace: undefined }));
    expect(response).toMatchObject({ allowed: true });
  });

  test("line ends in an annotation's name do not break the line", async () => {
    const { client } = await startWebhook(first);
    const { status } = await client.review(reviewOf(podWith({ "container.nix.closure/a\nb": hello })));
    expect(status?.message).toMatch(/^nix-closure: .*container\.nix\.closure\/a b.*CONTAINER_UNKNOWN/);
  });
});
