import { readFile } from "node:fs/promises";
import { Agent, fetch } from "undici";
import { parse } from "yaml";
import type { Container, Pod } from "../src/patch/pod.ts";
import type { AdmissionResponse } from "../src/webhook/review.ts";

/** An AdmissionReview of admission.k8s.io/v1, as an API server posts it. */
export interface AdmissionReview {
  readonly apiVersion: "admission.k8s.io/v1";
  readonly kind: "AdmissionReview";
  readonly request: {
    readonly uid: string;
    readonly namespace: string;
    readonly object: Pod;
    readonly [field: string]: unknown;
  };
}

/** What makes one review differ from the next. */
export interface ReviewIdentity {
  /** Of the review. */
  readonly uid: string;
  /** Of the Pod. */
  readonly podUid: string;
  readonly created: Date;
}

/** The review that demo/review.json holds. */
export const exampleIdentity: ReviewIdentity = {
  uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
  podUid: "b5f0f1a8-3a0e-4a3f-9a55-0f5d1c9d2f11",
  created: new Date("2026-01-01T00:00:00Z"),
};

const demoNamespace = "default";

/** The Pod of demo/pod.yaml, as written. */
export async function readDemoPod(): Promise<Pod> {
  return parse(await readFile(new URL("pod.yaml", import.meta.url), "utf8")) as Pod;
}

/** The review that an API server makes of a manifest that somebody creates. */
export function createReview(manifest: Pod, identity: ReviewIdentity): AdmissionReview {
  const pods = { group: "", version: "v1", resource: "pods" };
  const kind = { group: "", version: "v1", kind: "Pod" };
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: identity.uid,
      kind,
      resource: pods,
      requestKind: kind,
      requestResource: pods,
      name: manifest.metadata.name ?? "",
      namespace: demoNamespace,
      operation: "CREATE",
      userInfo: { username: "kubernetes-admin", groups: ["kubeadm:cluster-admins", "system:authenticated"] },
      object: defaulted(manifest, identity),
      oldObject: null,
      dryRun: false,
      options: {
        kind: "CreateOptions",
        apiVersion: "meta.k8s.io/v1",
        fieldManager: "kubectl-client-side-apply",
      },
    },
  };
}

const tokenVolume = "kube-api-access-x7k2p";

/** The Pod with what the API server and its built-in admission plugins have filled in before webhooks see it. */
function defaulted(manifest: Pod, { podUid, created }: ReviewIdentity): Pod {
  const { metadata, spec, ...rest } = manifest;
  return {
    ...rest,
    metadata: {
      ...metadata,
      namespace: demoNamespace,
      uid: podUid,
      creationTimestamp: created.toISOString().replace(".000Z", "Z"),
    },
    spec: {
      volumes: [serviceAccountToken()],
      ...spec,
      containers: spec.containers.map(defaultedContainer),
      dnsPolicy: "ClusterFirst",
      enableServiceLinks: true,
      preemptionPolicy: "PreemptLowerPriority",
      priority: 0,
      restartPolicy: spec["restartPolicy"] ?? "Always",
      schedulerName: "default-scheduler",
      securityContext: {},
      serviceAccount: "default",
      serviceAccountName: "default",
      terminationGracePeriodSeconds: 30,
      tolerations: ["not-ready", "unreachable"].map((condition) => ({
        effect: "NoExecute",
        key: `node.kubernetes.io/${condition}`,
        operator: "Exists",
        tolerationSeconds: 300,
      })),
    },
    status: { phase: "Pending", qosClass: "BestEffort" },
  };
}

function defaultedContainer(container: Container): Container {
  return {
    ...container,
    imagePullPolicy: "Always",
    resources: {},
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    volumeMounts: [
      ...(container.volumeMounts ?? []),
      { name: tokenVolume, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
    ],
  };
}

function serviceAccountToken(): { readonly name: string; readonly projected: object } {
  return {
    name: tokenVolume,
    projected: {
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        {
          downwardAPI: {
            items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
          },
        },
      ],
    },
  };
}

/**
 * Posts a review to a webhook as an API server does: over HTTPS, believing one CA alone, with a timeout announced.
 *
 * @param ca the CA's certificate, PEM.
 * @throws Error if no well-formed answer to this very review comes back; a denial is an answer.
 */
export async function postReview(
  url: string,
  ca: string,
  review: AdmissionReview,
  signal?: AbortSignal,
): Promise<AdmissionResponse> {
  const agent = new Agent({ connect: { ca } });
  try {
    const answer = await fetch(`${url}?timeout=10s`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, */*" },
      body: JSON.stringify(review),
      dispatcher: agent,
      signal: AbortSignal.any([AbortSignal.timeout(10_000), ...(signal === undefined ? [] : [signal])]),
    });
    const body = await answer.text();
    if (!answer.ok) throw new Error(`the webhook answered ${answer.status}: ${body}`);
    return responseOf(JSON.parse(body), review);
  } finally {
    await agent.destroy();
  }
}

/** What API servers check of an answer (k8s.io/apiserver, pkg/admission/plugin/webhook/request). */
function responseOf(body: unknown, review: AdmissionReview): AdmissionResponse {
  const answer = body as Partial<AdmissionReview> & { readonly response?: AdmissionResponse };
  if (
    answer.apiVersion !== review.apiVersion ||
    answer.kind !== review.kind ||
    answer.response === undefined
  ) {
    throw new Error("the webhook's answer is no AdmissionReview");
  }
  if (answer.response.uid !== review.request.uid) throw new Error("the webhook's answer has another uid");
  if (answer.response.patch !== undefined && answer.response.patchType !== "JSONPatch") {
    throw new Error("the webhook's answer has a patch of an unknown type");
  }
  return answer.response;
}
