import type { Operation } from "fast-json-patch";
import jsonPatch from "fast-json-patch";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  narHashMismatch,
  namespaceNotAllowed,
  type NixClosureError,
  pathUnknown,
  resolveTimeout,
  tooManyVolumes,
  volumeConflict,
} from "../../src/errors.ts";
import type { Pod } from "../../src/patch/pod.ts";
import type { Admission } from "../../src/webhook/admission.ts";
import { parseReview, review, type AdmissionRequest } from "../../src/webhook/review.ts";
import { failureOf } from "../nix/failure.ts";
import { testAdmission } from "../patch/test-admission.ts";

const hello = "/nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app";
const object = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "app", namespace: "shop", annotations: { "nix.closure": hello } },
  spec: { containers: [{ name: "app", image: "debian:12" }] },
};

function request(changes: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return {
    uid: "7",
    operation: "CREATE",
    namespace: "default",
    resource: { group: "", resource: "pods" },
    object,
    ...changes,
  };
}

/** An Admission that does what it is told, and says how often it was asked and for which namespace. */
function fakeAdmission(patch: Admission["patch"]): Admission & { readonly asked: (string | undefined)[] } {
  const asked: (string | undefined)[] = [];
  return {
    asked,
    inject: async () => undefined,
    patchAtOnce: () => undefined,
    patch: async (pod, namespace, signal) => {
      asked.push(namespace);
      return patch(pod, namespace, signal);
    },
  };
}

const unasked = fakeAdmission(() => {
  throw new Error("nobody may ask");
});

describe("what is none of our business is let through unchanged", () => {
  test.for<[string, Partial<AdmissionRequest>]>([
    ["an update", { operation: "UPDATE" }],
    ["a deletion", { operation: "DELETE", object: null }],
    ["a connection", { operation: "CONNECT" }],
    ["another resource", { resource: { group: "apps", resource: "deployments" } }],
    ["pods of another group", { resource: { group: "metrics.k8s.io", resource: "pods" } }],
    [
      "a mirror Pod",
      {
        object: {
          ...object,
          metadata: { annotations: { ...object.metadata.annotations, "kubernetes.io/config.mirror": "x" } },
        },
      },
    ],
  ])("%s", async ([, changes]) => {
    expect(await review(request(changes), unasked)).toEqual({
      response: { uid: "7", allowed: true },
      outcome: { outcome: "skipped", reason: "none", volumes: 0 },
    });
  });

  test("a Pod without our annotations", async () => {
    const plain = { ...object, metadata: { name: "app" } };
    expect((await review(request({ object: plain }), testAdmission())).outcome.outcome).toBe("skipped");
  });
});

describe("a Pod that asks for a closure", () => {
  test("gets a JSON patch that applies to what came", async () => {
    const { response, patch, outcome } = await review(request(), testAdmission());
    expect(response).toEqual({ uid: "7", allowed: true });
    expect(outcome).toEqual({ outcome: "injected", reason: "none", volumes: 5 });
    const operations = JSON.parse(Buffer.from(patch!.toString(), "base64").toString()) as Operation[];
    const injected = jsonPatch.applyPatch(structuredClone<Pod>(object), operations, true).newDocument;
    expect(injected.spec.volumes).toHaveLength(5);

    const again = await review(request({ object: injected }), testAdmission());
    expect(again.response).toEqual({ uid: "7", allowed: true });
    expect(again.patch).toBeUndefined();
    expect(again.outcome).toEqual({ outcome: "unchanged", reason: "none", volumes: 5 });
  });

  test("does so on a dry run too, and where the resource is not told", async () => {
    const { resource: _, ...rest } = request({ dryRun: true });
    expect((await review(rest, testAdmission())).outcome.outcome).toBe("injected");
  });

  test("is looked at with the request's namespace, else its own", async () => {
    const admission = fakeAdmission(async () => undefined);
    await review(request(), admission);
    const { namespace: _, ...rest } = request();
    await review(rest, admission);
    expect(admission.asked).toEqual(["default", "shop"]);
  });
});

test("warnings are cut at 256 characters, and say who warns", async () => {
  const warnings = ["short", "x".repeat(256 - "nix-closure: ".length), "y".repeat(1000)];
  const admission = fakeAdmission(async () => ({ encoded: undefined, warnings, volumes: 0 }));
  const { response } = await review(request(), admission);
  expect(response.warnings).toEqual([
    "nix-closure: short",
    `nix-closure: ${"x".repeat(243)}`,
    `nix-closure: ${"y".repeat(242)}…`,
  ]);
  expect(response.warnings?.map((warning) => warning.length)).toEqual([18, 256, 256]);
});

describe("denials", () => {
  test.for<[NixClosureError, reason: string, outcome: string]>([
    [volumeConflict("x"), "Conflict", "denied"],
    [tooManyVolumes(201, 200), "Invalid", "denied"],
    [namespaceNotAllowed("a", "b", ["c"]), "Forbidden", "denied"],
    [pathUnknown(hello, "", ["https://cache.nixos.org"]), "NotFound", "denied"],
    [resolveTimeout(hello, 9, 5), "Timeout", "denied"],
    [narHashMismatch(hello, "x", "a", "b"), "InternalError", "denied"],
  ])("%s", async ([error, reason, outcome]) => {
    const admission = fakeAdmission(async () => {
      throw error;
    });
    expect(await review(request(), admission)).toEqual({
      response: {
        uid: "7",
        allowed: false,
        status: {
          code: error.status,
          reason,
          message: `nix-closure: ${error.message} [${error.code}, see docs/errors.md#${error.code.toLowerCase()}]`,
        },
      },
      outcome: { outcome, reason: error.code, volumes: 0, error },
    });
  });

  test("of a bug of ours are errors, in words too", async () => {
    const admission = fakeAdmission(async () => {
      throw new TypeError("x is not a function");
    });
    const { response, outcome } = await review(request(), admission);
    expect(response.status).toMatchObject({ code: 500, reason: "InternalError" });
    expect(response.status?.message).toContain("x is not a function");
    expect(outcome).toMatchObject({ outcome: "error", reason: "INTERNAL" });
  });

  test("of wrong annotations are the user's", async () => {
    const wrong = { ...object, metadata: { annotations: { "nix.closure": "hello" } } };
    const { response } = await review(request({ object: wrong }), testAdmission());
    expect(response).toMatchObject({ allowed: false, status: { code: 400, reason: "BadRequest" } });
  });
});

test("garbage is answered, never thrown", async () => {
  const shapes = fc.object({
    key: fc.constantFrom("metadata", "annotations", "nix.closure", "spec", "containers", "volumes", "name"),
    maxDepth: 5,
  });
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.jsonValue(), shapes), async (garbage) => {
      const { response, outcome } = await review(request({ object: garbage }), testAdmission());
      expect(response.uid).toBe("7");
      expect(outcome.reason).not.toBe("INTERNAL");
    }),
  );
});

describe("parseReview", () => {
  const envelope = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" };

  test("gives the request, with what is not read left in it", () => {
    const body = { ...envelope, request: { ...request(), userInfo: { username: "me" } } };
    expect(parseReview(body)).toBe(body.request);
  });

  test.for<[unknown, string]>([
    [undefined, "the body"],
    [[], "the body"],
    [{}, "the body"],
    [{ ...envelope, apiVersion: "admission.k8s.io/v1beta1", request: request() }, "apiVersion"],
    [{ ...envelope, kind: "Review", request: request() }, "kind"],
    [envelope, "the body"],
    [{ ...envelope, request: null }, "request"],
    [{ ...envelope, request: { operation: "CREATE" } }, "request"],
    [{ ...envelope, request: { ...request(), uid: "" } }, "request.uid"],
    [{ ...envelope, request: { ...request(), uid: 7 } }, "request.uid"],
    [{ ...envelope, request: { ...request(), operation: null } }, "request.operation"],
    [{ ...envelope, request: { ...request(), resource: "pods" } }, "request.resource"],
  ])("%j is none: %s", ([body, where]) => {
    const error = failureOf(() => parseReview(body));
    expect(error.code).toBe("REVIEW_INVALID");
    expect(error.message).toContain(`admission.k8s.io/v1: ${where} `);
  });
});
