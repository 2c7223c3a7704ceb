import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { annotationKeys } from "../../src/patch/annotations.ts";
import { parsePod, type Pod } from "../../src/patch/pod.ts";
import { readRequest } from "../../src/patch/request.ts";
import { allowsNamespace } from "../../src/webhook/policy.ts";
import { matches, validate, type PolicyRequest } from "./cel.ts";
import { findObject, parseManifest, renderChart, type KubernetesObject } from "./chart.ts";
import { kubernetesTools, toolsMissing } from "./kubernetes-tools.ts";
import { largestPod, policyCases, policyNames, policyValues, type PolicyName } from "./policy-cases.ts";

const tools = kubernetesTools();

interface Webhook {
  readonly matchConditions: readonly { readonly name: string; readonly expression: string }[];
}

/** The chart's expressions, with some values. */
interface Expressions {
  readonly asked: (request: PolicyRequest) => boolean;
  /** What the first policy that refuses it says. */
  readonly refused: (
    request: PolicyRequest,
  ) => { readonly by: PolicyName; readonly message: string } | undefined;
}

function expressionsOf(helm: string, values: object): Expressions {
  const objects = parseManifest(renderChart(helm, ["--values", "-"], JSON.stringify(values)));
  const [webhook] = findObject(objects, "MutatingWebhookConfiguration", "nix-closure")[
    "webhooks"
  ] as Webhook[];
  const policies = policyNames.map((name) => findObject(objects, "ValidatingAdmissionPolicy", name));
  return {
    asked: (request) => matches(webhook!.matchConditions, request),
    refused: (request) => {
      for (const [i, name] of policyNames.entries()) {
        const message = validate(policies[i] as KubernetesObject, request);
        if (message !== undefined) return { by: name, message };
      }
      return undefined;
    },
  };
}

describe.skipIf(tools === undefined)(`expressions${tools === undefined ? ` (${toolsMissing})` : ""}`, () => {
  let expressions: Expressions;
  beforeAll(() => {
    expressions = expressionsOf(tools!.helm, policyValues);
  });

  test.for(policyCases)("$name", (case_) => {
    if (case_.asked !== undefined) expect(expressions.asked(case_)).toBe(case_.asked);
    const refused = expressions.refused(case_);
    expect(refused?.by).toBe(case_.refused?.by);
    if (case_.refused !== undefined) expect(refused?.message).toMatch(case_.refused.message);
    // Only the first line of a message reaches the events of a ReplicaSet whole.
    expect(refused?.message ?? "").not.toContain("\n");
  });

  test("the largest Pod passes", () => {
    const request = { operation: "CREATE", namespace: "default", pod: largestPod() } as const;
    expect(expressions.refused(request)).toBeUndefined();
  });

  test("the webhook is asked about the Pods that it has something to say of, and no others", () => {
    const key = fc.oneof(
      fc.constantFrom(
        ...Object.values(annotationKeys),
        "container.nix.closure/app",
        "nix.closure.org",
        "xnix.closure",
      ),
      fc
        .tuple(
          fc.constantFrom("", "a.", "container.", "a"),
          fc.constantFrom("nix.closure", "nix-closure"),
          fc.constantFrom("", "/", "/a"),
        )
        .map((parts) => parts.join("")),
      // Without names such as "constructor", which the evaluator stumbles over.
      fc.stringMatching(/^[a-z./-]{1,20}$/).filter((text) => !(text in {})),
    );
    const known = { sources: ["demo"], defaultSource: "demo" };
    fc.assert(
      fc.property(
        fc.dictionary(key, fc.constantFrom("", "/nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app")),
        (annotations) => {
          const pod = parsePod({ metadata: { annotations }, spec: { containers: [{ name: "app" }] } });
          const concerned = ((): boolean => {
            try {
              return readRequest(pod, known) !== undefined;
            } catch {
              return true;
            }
          })();
          expect(expressions.asked({ operation: "CREATE", namespace: "shop", pod })).toBe(concerned);
        },
      ),
    );
  });

  test("namespaces mean to the policy what they mean to the webhook", () => {
    const name = fc.oneof(
      fc.stringMatching(/^[a-z0-9-]{1,12}$/),
      fc
        .constantFrom("team-", "build", "builds")
        .chain((start) => fc.stringMatching(/^[a-z-]{0,4}$/).map((end) => start + end)),
    );
    const reference = `localhost:5417/team/path/4vlwxs24hwlvm23q063xvdmkzvlxjw1s:1`;
    const pod = { metadata: {}, spec: { containers: [{ name: "app", image: reference }] } };
    fc.assert(
      fc.property(name, (namespace) => {
        const allowed = allowsNamespace(policyValues.config.sources.team.namespaces, namespace);
        expect(expressions.refused({ operation: "CREATE", namespace, pod })).toEqual(
          allowed ? undefined : expect.objectContaining({ by: "nix-closure-references" }),
        );
      }),
    );
  });

  describe("Pods of the golden files", () => {
    const folder = new URL("../golden/", import.meta.url);
    const read = (name: string): Pod =>
      // The API server gives no expression a null: what is not there is left out.
      parsePod(
        parse(readFileSync(new URL(name, folder), "utf8"), (_key, value: unknown) => value ?? undefined),
      );
    const requestOf = (pod: Pod): PolicyRequest => ({
      operation: "CREATE",
      namespace: pod.metadata.namespace ?? "default",
      pod,
    });
    const names = readdirSync(folder).filter((name) => name.endsWith(".injected.yaml"));
    const annotated = names
      .map((name) => name.replace(".injected", ""))
      .filter((name) => !name.startsWith("returned-"));

    test.for(names)("%s passes", (name) => {
      expect(expressions.refused(requestOf(read(name)))).toBeUndefined();
    });

    test.for(annotated)("%s is for the webhook, and refused without it", (name) => {
      const request = requestOf(read(name));
      expect(expressions.asked(request)).toBe(true);
      expect(expressions.refused(request)?.by).toBe("nix-closure-injected");
    });
  });

  test.for([
    [
      "registry.example.com",
      ["registry.example.com", "REGISTRY.example.com:443", "registry.example.com:080"],
      ["registryXexample.com"],
    ],
    ["10.0.0.1:5000", ["10.0.0.1:5000", "10.0.0.1:05000"], ["10.0.0.1:5001", "10.0.0.115000", "10.0.0.1"]],
    ["[fd00::1]:5000", ["[fd00::1]:5000", "[FD00::1]:5000"], []],
    ["localhost", ["localhost", "localhost:80"], ["localhost:81"]],
    ["127.0.0.1:6000", ["localhost:6000", "[::1]:6000"], ["localhost:6001"]],
  ] as const)("registry.reference %s is followed", ([reference, ours, foreign]) => {
    const { refused } = expressionsOf(tools!.helm, { config: { registry: { reference } } });
    const of = (host: string): PolicyName | undefined =>
      refused({ operation: "CREATE", namespace: "shop", pod: podWith(`${host}/team/path/x:1`) })?.by;
    expect([...ours, "localhost:5417", "[::1]:5417"].filter((host) => of(host) === undefined)).toEqual([]);
    expect(foreign.filter((host) => of(host) !== undefined)).toEqual([]);
  });

  test("a source that all but one may not use, and a cluster where that is the only one", () => {
    const { refused } = expressionsOf(tools!.helm, {
      config: { sources: { shop: { caches: ["https://a.example.com"], namespaces: ["shop"] } } },
    });
    const of = (namespace: string) =>
      refused({ operation: "CREATE", namespace, pod: podWith("localhost:5417/shop/path/x:1") })?.message;
    expect(of("shop")).toBeUndefined();
    expect(of("other")).toContain("Pods of the namespace other may use none;");
  });

  test.for<[string, object, string]>([
    ["beside one of caches", { demo: { caches: ["https://demo.example.com"] } }, "may use only: demo;"],
    ["that is the only one", {}, "may use none;"],
  ])("a source in another registry, %s, has no images in ours", ([, others, message]) => {
    const shop = { registry: "registry.example.com/nix", publicKeys: [] };
    const { refused } = expressionsOf(tools!.helm, {
      config: { sources: { shop, ...others }, defaultSource: "shop" },
    });
    const of = (image: string) =>
      refused({ operation: "CREATE", namespace: "shop", pod: podWith(image) })?.message;
    expect(of("localhost:5417/shop/path/x:1")).toContain(message);
    expect(of(`registry.example.com/nix@sha256:${"0".repeat(64)}`)).toBeUndefined();
  });
});

function podWith(image: string): object {
  return { metadata: {}, spec: { containers: [{ name: "app", image }] } };
}
