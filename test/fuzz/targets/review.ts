import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import jsonPatch, { type Operation } from "fast-json-patch";

import { pathUnknown } from "../../../src/errors.ts";
import { createLogger } from "../../../src/log.ts";
import type { Closure } from "../../../src/nix/closure.ts";
import type { Resolver } from "../../../src/resolver/resolver.ts";
import { createAdmission } from "../../../src/webhook/admission.ts";
import type { AdmissionResponse } from "../../../src/webhook/review.ts";
import { createWebhookServer } from "../../../src/webhook/server.ts";
import { makePair } from "../../webhook/made-pair.ts";
import { GoldenFolder } from "../../patch/golden-files.ts";
import { demoClosure, demoTypes } from "../../patch/closures.ts";
import { demoNamedImages } from "../../patch/named-closures.ts";
import { demoPushedImages } from "../../patch/pushed-sources.ts";
import { testSettings } from "../../patch/test-admission.ts";
import { mutateJson } from "../json-mutator.ts";
import { accepted, type FuzzTarget, type Verdict } from "../target.ts";
import { podsOf } from "./pods.ts";

/** The demo's binary cache, which does not have every path that is asked of it, and every name. */
const closures = new Map<string, Closure>();
const resolver: Pick<Resolver, "known" | "resolve" | "knownName" | "named" | "pathTypes" | "pushedImages"> = {
  knownName: demoNamedImages,
  named: async (source, name) => demoNamedImages(source, name),
  known: (_source, roots) => closures.get(roots.join()),
  resolve: async (_source, roots) => {
    const missing = roots.find((root) => !demoTypes.has(root));
    if (missing !== undefined) throw pathUnknown(missing, "", ["the demo's cache"]);
    const closure = demoClosure(...roots);
    closures.set(roots.join(), closure);
    return closure;
  },
  pathTypes: async () => demoTypes,
  pushedImages: demoPushedImages,
};
const admission = createAdmission(resolver as Resolver, testSettings);
let reviewed = 0;
const { app } = createWebhookServer({
  admission: () => admission,
  keyPair: (await makePair()).pair,
  tls: { minVersion: "TLSv1.2" },
  log: createLogger({ level: "silent" }),
  observer: { waiting: () => undefined, admission: () => reviewed++ },
});

interface Answer {
  readonly status: number;
  readonly body: {
    readonly response?: AdmissionResponse;
    readonly code?: string;
    readonly message?: string;
  };
}

async function post(payload: Uint8Array): Promise<Answer> {
  const answer = await app.inject({
    method: "POST",
    url: "/mutate?timeout=10s",
    headers: { "content-type": "application/json" },
    payload: Buffer.from(payload),
  });
  return { status: answer.statusCode, body: JSON.parse(answer.body) as Answer["body"] };
}

/** Any body has an answer: a review's patch applies to what came, and what it makes needs no further one. */
async function check(input: Uint8Array): Promise<Verdict> {
  const before = reviewed;
  const { status, body } = await post(input);
  if (status !== 200) {
    assert.ok(status >= 400 && status < 500, `status ${status}: ${body.message}`);
    assert.equal(body.code, "REVIEW_INVALID");
    assert.equal(reviewed, before);
    return { accepted: false, kind: `${status}` };
  }
  const review = JSON.parse(Buffer.from(input).toString()) as Review;
  const { response } = body;
  assert.ok(response !== undefined && response.uid === review.request.uid && reviewed === before + 1);
  for (const warning of response.warnings ?? []) assert.ok(warning.length <= 256);
  if (!response.allowed) return denied(response);
  if (response.patch === undefined) return accepted("without a patch");
  assert.equal(response.patchType, "JSONPatch");
  await checkPatch(review, response.patch);
  return accepted(`with a patch, ${response.warnings?.length ?? 0} warnings`);
}

interface Review {
  readonly request: { readonly uid: string; readonly object: unknown };
}

function denied({ status, patch }: AdmissionResponse): Verdict {
  assert.equal(patch, undefined);
  assert.ok(status !== undefined && status.code >= 400 && status.message.length < 50_000);
  assert.notEqual(status.code, 500, status.message);
  return { accepted: false, kind: /\[[A-Z_]+, see/.exec(status.message)?.[0] ?? status.message };
}

async function checkPatch(review: Review, patch: string): Promise<void> {
  const operations = JSON.parse(Buffer.from(patch, "base64").toString()) as readonly Operation[];
  assert.ok(operations.length > 0);
  // A field named so is legal, and of no use as a way to a prototype: this is the patch's only reader here.
  const object = jsonPatch.applyPatch(structuredClone(review.request.object), operations, true, true, false);
  const again = { ...review, request: { ...review.request, object: object.newDocument } };
  const { status, body } = await post(Buffer.from(JSON.stringify(again)));
  assert.equal(status, 200);
  assert.deepEqual(body.response?.allowed, true, body.response?.status?.message);
  assert.equal(body.response?.patch, undefined, "a second review has a patch too");
}

const uid = "705ab4f5-6393-11e8-b7cc-42010a800002";
const bodies = podsOf(new GoldenFolder("./")).map((object) => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: {
    uid,
    operation: "CREATE",
    namespace: "default",
    resource: { group: "", resource: "pods" },
    object,
  },
}));

/** Bodies of admission requests, posted to the webhook's server. */
export const review: FuzzTarget = {
  name: "review",
  seeds: [
    ...bodies.map((body) => Buffer.from(JSON.stringify(body))),
    await readFile(new URL("../../../demo/review.json", import.meta.url)),
  ],
  words: [
    '"nix.closure":"/nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app"',
    '"container.nix.closure/app":"',
    '"nix.closure/containers":"app"',
    '"nix.closure/strategy":"bundle"',
    '"nix.closure/profile":"none"',
    '"annotations":{',
    '"spec":{',
    '"containers":[',
    '"initContainers":[',
    '{"name":"app"}',
    '"volumes":[',
    '"volumeMounts":[',
    '"env":[{"name":"PATH","value":"/bin"}]',
    '"image":"nix.closure/base"',
    '"image":{"reference":"localhost:5417/demo/path/',
    '"mountPath":"/nix/store"',
    '"mountPath":"/nix/store/../store/"',
    '"__proto__":',
    '"constructor":{"prototype":{}}',
    "null",
    "[]",
    "{}",
    "1e400",
    "[[[[[[[[",
    "\\ud800",
    '"',
    ",",
    "}",
  ],
  mutate: mutateJson,
  maxLength: 64 * 1024,
  maxMs: 2000,
  check,
};
