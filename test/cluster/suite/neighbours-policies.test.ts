/** The two ValidatingAdmissionPolicies on a real API server, with the cases that a CEL evaluator is held to as well. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  isolate,
  isolatedNamespace,
  isolatedPolicies,
  isolatedPolicy,
} from "../../manifests/isolated-policies.ts";
import { kubernetesTools, toolsMissing } from "../../manifests/kubernetes-tools.ts";
import { largestPod, type PolicyCase, policyCases } from "../../manifests/policy-cases.ts";
import { type ApiServer, connectApiServer } from "./api-server.ts";
import { apply, attempt, find, kubectl, waitFor } from "./kubectl.ts";
import type { KubernetesObject } from "./pods.ts";
import { refusalOf } from "./refusal.ts";

const tools = kubernetesTools();

let server: ApiServer;

beforeAll(async () => {
  server = await connectApiServer(8);
});

afterAll(async () => {
  await server.close();
});

const refusal = (pod: KubernetesObject): Promise<string | undefined> => refusalOf(server, pod);

describe.skipIf(tools === undefined)(
  `the table of cases${tools === undefined ? ` (${toolsMissing})` : ""}`,
  () => {
    let objects: ReturnType<typeof isolatedPolicies>;
    const namespaces = [...new Set(policyCases.map((case_) => isolatedNamespace(case_.namespace)))];
    const changes = policyCases.filter(({ before }) => before !== undefined);

    beforeAll(async () => {
      objects = isolatedPolicies(tools!.helm);
      await kubectl(["apply", "-f", "-"], list(objects.first));
      await Promise.all(
        namespaces.map((name) => waitFor("its account", () => find("serviceaccount", "default", name))),
      );
      await apply(...changes.map((case_) => podOf(case_, "before")));
      await kubectl(["apply", "-f", "-"], list(objects.bindings));
      await Promise.all(
        ["nix-closure-injected", "nix-closure-references"].map(async (name) => {
          const refused = policyCases.find(
            ({ operation, refused }) => operation === "CREATE" && refused?.by === name,
          )!;
          await waitFor(`policy ${name}`, async () => (await refusal(podOf(refused))) !== undefined);
        }),
      );
    });

    afterAll(async () => {
      const made = list([...objects.bindings, ...objects.first]);
      await kubectl(["delete", "--ignore-not-found", "--wait=false", "-f", "-"], made);
    });

    const list = (items: readonly object[]): string =>
      JSON.stringify({ apiVersion: "v1", kind: "List", items });

    /** A case's Pod under a name of its own, isolated, and never scheduled. */
    function podOf(case_: PolicyCase, which: "pod" | "before" = "pod"): KubernetesObject {
      const pod = isolate(case_[which]!);
      const name = `case-${policyCases.indexOf(case_)}`;
      return {
        ...pod,
        metadata: { ...pod.metadata, name, namespace: isolatedNamespace(case_.namespace) },
        spec: {
          ...pod.spec,
          ...(pod.spec.nodeName === undefined ? { schedulingGates: [{ name: "test/never" }] } : {}),
        },
      };
    }

    /** What the API server says about a change; undefined: nothing against it. */
    async function changeRefusal(case_: PolicyCase): Promise<string | undefined> {
      const pod = podOf(case_);
      const { name, namespace: where } = pod.metadata;
      const subresource = case_.operation === "EPHEMERAL" ? "/ephemeralcontainers" : "";
      const url = `/api/v1/namespaces/${where}/pods/${name}`;
      const present = JSON.parse(await kubectl(["get", "--raw", url])) as KubernetesObject & {
        readonly spec: { readonly containers: readonly object[] };
      };
      const changed = merge(present, pod, case_.operation);
      const { ok, output } = await attempt(
        ["replace", "--raw", `${url}${subresource}?dryRun=All`, "-f", "-"],
        JSON.stringify(changed),
      );
      return ok ? undefined : output;
    }

    test("each is as the table says", { timeout: 120_000 }, async () => {
      const found = await Promise.all(
        policyCases.map(async (case_) => {
          const text = await (case_.before === undefined ? refusal(podOf(case_)) : changeRefusal(case_));
          return { case_, ...parseDenial(text) };
        }),
      );
      const wrong = found.filter(({ case_: { refused }, by, message }) =>
        refused === undefined
          ? message !== undefined
          : by !== isolatedPolicy(refused.by) || !isolatedMessage(refused.message).test(message ?? ""),
      );
      expect(wrong.map(({ case_, by, message }) => ({ name: case_.name, by, message }))).toEqual([]);
      expect(found.length).toBeGreaterThan(80);
    });

    test("the largest Pod passes: the expressions cost less than an API server allows", async () => {
      const pod = isolate(largestPod());
      const where = { name: "largest", namespace: isolatedNamespace("shop") };
      expect(await refusal({ ...pod, metadata: { ...pod.metadata, ...where } })).toBeUndefined();
    });
  },
);

/** A Pod that is there with the images, annotations and ephemeral containers of a case. */
function merge(
  present: KubernetesObject & { readonly spec: { readonly containers: readonly object[] } },
  wanted: KubernetesObject,
  operation: PolicyCase["operation"],
): KubernetesObject {
  const { containers, ephemeralContainers } = wanted["spec"] as {
    readonly containers: readonly { readonly image?: string }[];
    readonly ephemeralContainers?: readonly object[];
  };
  if (operation === "EPHEMERAL") return { ...present, spec: { ...present.spec, ephemeralContainers } };
  const changed = present.spec.containers.map((container, i) => ({
    ...container,
    image: containers[i]?.image,
  }));
  const { annotations } = wanted.metadata;
  return {
    ...present,
    metadata: { ...present.metadata, ...(annotations === undefined ? {} : { annotations }) },
    spec: { ...present.spec, containers: changed },
  };
}

/** Which policy has refused, and its message without the API server's words before it. */
function parseDenial(text: string | undefined): { readonly by?: string; readonly message?: string } {
  const match = /ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' denied request: (.*)/.exec(
    text ?? "",
  );
  const [, by, message] = match ?? [];
  if (by === undefined || message === undefined) return text === undefined ? {} : { message: text };
  return { by, message };
}

function isolatedMessage(message: RegExp): RegExp {
  const source = message.source
    .replaceAll("nix\\.closure", "isolated-nix\\.closure")
    .replaceAll("5417", "5499");
  return new RegExp(source, message.flags);
}
