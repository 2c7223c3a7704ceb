import { productImage } from "../kind/product-image.ts";
import { type KubernetesObject, restrictedContainer, restrictedPod } from "./pods.ts";

/** A Pod's annotation with the container, in JSON, that the second webhook adds to it. */
export const sidecarAnnotation = "sidecar.example.com/container";

/** Appends a container to the Pods that ask for one, and notes how many volumes it has found. */
const script = `
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const read = (name) => readFileSync("/etc/sidecars/" + name);
const key = ${JSON.stringify(sidecarAnnotation)};
const server = createServer({ cert: read("tls.crt"), key: read("tls.key") }, async (request, response) => {
  if (request.method === "GET") return response.end();
  const { apiVersion, kind, request: { uid, object: pod } } = JSON.parse(await Array.fromAsync(request).then((parts) => Buffer.concat(parts).toString()));
  const container = JSON.parse(pod.metadata.annotations?.[key] ?? "null");
  const patch = container === null || pod.spec.containers.some(({ name }) => name === container.name) ? [] : [
    { op: "add", path: "/spec/containers/-", value: container },
    { op: "add", path: "/metadata/annotations/" + key.replaceAll("/", "~1") + "-found-volumes", value: String(pod.spec.volumes?.length ?? 0) },
  ];
  const answer = { uid, allowed: true, patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
  response.setHeader("content-type", "application/json").end(JSON.stringify({ apiVersion, kind, response: answer }));
});
server.listen(8443);
process.once("SIGTERM", () => process.exit());
`;

/** Where the second webhook is, whose Pods it sees, and its certificate in PEM. */
export interface SecondWebhookOptions {
  readonly namespace: string;
  readonly watched: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A second mutating webhook. Its configuration's name sorts after ours, so the API server calls it after us. */
export function secondWebhook({ namespace, watched, ca, cert, key }: SecondWebhookOptions): {
  readonly serving: readonly KubernetesObject[];
  readonly configuration: KubernetesObject;
} {
  const metadata = { name: "sidecars", namespace };
  const labels = { app: "sidecars" };
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata,
    stringData: { "tls.crt": cert, "tls.key": key },
  };
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "serve.mjs": script } };
  const service = {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
  };
  const container = {
    name: "serve",
    image: productImage,
    imagePullPolicy: "Never",
    command: ["node", "/etc/sidecars/serve.mjs"],
    readinessProbe: { httpGet: { path: "/", port: 8443, scheme: "HTTPS" }, periodSeconds: 1 },
    securityContext: restrictedContainer,
    volumeMounts: [{ name: "files", mountPath: "/etc/sidecars" }],
  };
  const files = {
    name: "files",
    projected: { sources: [{ secret: { name: "sidecars" } }, { configMap: { name: "sidecars" } }] },
  };
  const podSpec = {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
    securityContext: restrictedPod,
    containers: [container],
    volumes: [files],
  };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podSpec } },
  };
  const webhook = {
    name: "sidecars.example.com",
    clientConfig: { service: metadata, caBundle: Buffer.from(ca).toString("base64") },
    rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": watched } },
    admissionReviewVersions: ["v1"],
    sideEffects: "None",
  };
  return {
    serving: [secret, configMap, service, deployment],
    configuration: {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingWebhookConfiguration",
      metadata: { name: "zz-sidecars" },
      webhooks: [webhook],
    },
  };
}
