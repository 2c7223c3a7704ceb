import type { V1MutatingWebhookConfiguration, V1Secret } from "@kubernetes/client-node";
import type {
  ApiServer,
  ClusterNames,
  SecretData,
  StoredSecret,
  WebhookConfiguration,
} from "./api-server.ts";
import { connect } from "./api-server-connection.ts";
import { gateInLine } from "./image-volumes.ts";

/** As the API server's audit log and the objects' managedFields name us. */
const fieldManager = "nix-closure-webhook";

/**
 * The API server by the official client. The client is loaded here, since it takes much time and memory.
 *
 * @throws apiServerUnavailable if it is not said where the API server is.
 */
export async function connectToCluster(names: ClusterNames): Promise<ApiServer> {
  const kubernetes = await import("@kubernetes/client-node");
  const connection = await connect(kubernetes);
  const { config, options, ask } = connection;
  const core = config.makeApiClient(kubernetes.CoreV1Api);
  const admission = config.makeApiClient(kubernetes.AdmissionregistrationV1Api);
  const versions = config.makeApiClient(kubernetes.VersionApi);
  const { namespace, secret, webhookConfiguration } = names;
  const webhookName = { name: webhookConfiguration };
  const secretName = { namespace, name: secret };

  return {
    now: connection.now,
    async readSecret() {
      const what = `read Secret ${namespace}/${secret}`;
      const found = await ask(what, () => core.readNamespacedSecret(secretName, options()), 404);
      return found === undefined ? undefined : storedSecret(found);
    },
    async createSecret(data) {
      const request = { namespace, body: secretBody(names, data), fieldManager };
      const what = `create Secret ${namespace}/${secret}`;
      return (await ask(what, () => core.createNamespacedSecret(request, options()), 409)) !== undefined;
    },
    async replaceSecret({ uid, resourceVersion }, data) {
      const request = {
        ...secretName,
        body: secretBody(names, data, { uid, resourceVersion }),
        fieldManager,
      };
      const what = `update Secret ${namespace}/${secret}`;
      return (
        (await ask(what, () => core.replaceNamespacedSecret(request, options()), 404, 409)) !== undefined
      );
    },
    async readWebhooks() {
      const what = `read MutatingWebhookConfiguration ${webhookConfiguration}`;
      const found = await ask(
        what,
        () => admission.readMutatingWebhookConfiguration(webhookName, options()),
        404,
      );
      return found === undefined ? undefined : webhooksOf(found);
    },
    async patchWebhooks(patch) {
      const request = { ...webhookName, body: patch, fieldManager };
      const jsonPatch = options(["Content-Type", kubernetes.PatchStrategy.JsonPatch]);
      const what = `patch MutatingWebhookConfiguration ${webhookConfiguration}`;
      // 422: an entry moved, so that a test of the patch failed.
      const statuses = [404, 409, 422];
      return (
        (await ask(
          what,
          () => admission.patchMutatingWebhookConfiguration(request, jsonPatch),
          ...statuses,
        )) !== undefined
      );
    },
    async version() {
      const code = await ask("say its version", () => versions.getCode({}, options()));
      const { gitVersion = "", emulationMajor, emulationMinor } = code ?? {};
      const emulated = `v${emulationMajor}.${emulationMinor}`;
      const isOther = emulationMinor !== undefined && !`${gitVersion}.`.startsWith(`${emulated}.`);
      return isOther ? `${emulated} (emulated by ${gitVersion})` : gitVersion;
    },
    async featureGate(name) {
      for await (const line of connection.lines("/metrics")) {
        const state = gateInLine(line, name);
        if (state !== undefined) return state;
      }
      return undefined;
    },
    watch(what, onChange) {
      const [path, name] =
        what === "secret"
          ? [`/api/v1/namespaces/${namespace}/secrets`, secret]
          : ["/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", webhookConfiguration];
      return connection.watch(path, `metadata.name=${name}`, onChange);
    },
    close: connection.close,
  };
}

function storedSecret({ metadata, data = {} }: V1Secret): StoredSecret {
  return {
    uid: metadata?.uid ?? "",
    resourceVersion: metadata?.resourceVersion ?? "",
    data: Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
    ),
  };
}

function secretBody(
  { namespace, secret }: ClusterNames,
  data: SecretData,
  version: Partial<Pick<StoredSecret, "uid" | "resourceVersion">> = {},
): V1Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: {
      name: secret,
      namespace,
      labels: { "app.kubernetes.io/name": "nix-closure", "app.kubernetes.io/managed-by": fieldManager },
      ...version,
    },
    stringData: { ...data },
  };
}

function webhooksOf({ webhooks = [] }: V1MutatingWebhookConfiguration): WebhookConfiguration {
  return {
    webhooks: webhooks.map(({ name, clientConfig: { service, caBundle = "" } }) => ({
      name,
      ...(service === undefined ? {} : { service: { namespace: service.namespace, name: service.name } }),
      caBundle: Buffer.from(caBundle, "base64").toString(),
    })),
  };
}
