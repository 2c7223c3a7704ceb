import type {
  ApiException,
  KubeConfig,
  V1MutatingWebhookConfiguration,
  V1Secret,
  Watch,
} from "@kubernetes/client-node";
import { apiServerUnavailable, NixClosureError } from "../errors.ts";
import type {
  ApiServer,
  ClusterNames,
  SecretData,
  StoredSecret,
  WebhookConfiguration,
} from "./api-server.ts";
import { gateInMetrics } from "./image-volumes.ts";

/** An API server that does not answer in this time is asked again later. Milliseconds. */
const requestMs = 10_000;
/** Between two attempts at a watch that ends or fails. Milliseconds. */
const watchPauseMs = 1_000;

/** As the API server's audit log and the objects' managedFields name us. */
const fieldManager = "nix-closure-webhook";

/**
 * The API server by the official client: of the cluster that this Pod runs in, else of the kubeconfig file
 * (KUBECONFIG, ~/.kube/config). The client is loaded here, since it takes much time and memory.
 *
 * @throws apiServerUnavailable if it is not said where the API server is.
 */
export async function connectToCluster(names: ClusterNames): Promise<ApiServer> {
  const kubernetes = await import("@kubernetes/client-node");
  const config = new kubernetes.KubeConfig();
  try {
    config.loadFromDefault();
  } catch (error) {
    throw apiServerUnavailable("be found", reasonOf(error)).causedBy(error);
  }
  const core = config.makeApiClient(kubernetes.CoreV1Api);
  const admission = config.makeApiClient(kubernetes.AdmissionregistrationV1Api);
  const versions = config.makeApiClient(kubernetes.VersionApi);
  const jsonPatch = kubernetes.setHeaderOptions("Content-Type", kubernetes.PatchStrategy.JsonPatch);
  const { namespace, secret, webhookConfiguration } = names;

  /** Makes a request; statuses that are listed are an answer too, and give undefined. */
  async function ask<T>(
    what: string,
    request: () => Promise<T>,
    ...answers: number[]
  ): Promise<T | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(apiServerUnavailable(what, `no answer within ${requestMs / 1000} s`)),
        requestMs,
      );
    });
    try {
      return await Promise.race([request(), late]);
    } catch (error) {
      if (error instanceof NixClosureError) throw error;
      if (error instanceof kubernetes.ApiException && answers.includes(error.code)) return undefined;
      throw apiServerUnavailable(what, reasonOf(error)).causedBy(error);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    async readSecret() {
      const found = await ask(
        `read Secret ${namespace}/${secret}`,
        () => core.readNamespacedSecret({ namespace, name: secret }),
        404,
      );
      return found === undefined ? undefined : storedSecret(found);
    },
    async createSecret(data) {
      const body = secretBody(names, data);
      const made = await ask(
        `create Secret ${namespace}/${secret}`,
        () => core.createNamespacedSecret({ namespace, body, fieldManager }),
        409,
      );
      return made !== undefined;
    },
    async replaceSecret({ uid, resourceVersion }, data) {
      const body = secretBody(names, data, { uid, resourceVersion });
      const made = await ask(
        `update Secret ${namespace}/${secret}`,
        () => core.replaceNamespacedSecret({ namespace, name: secret, body, fieldManager }),
        404,
        409,
      );
      return made !== undefined;
    },
    async readWebhooks() {
      const found = await ask(
        `read MutatingWebhookConfiguration ${webhookConfiguration}`,
        () => admission.readMutatingWebhookConfiguration({ name: webhookConfiguration }),
        404,
      );
      return found === undefined ? undefined : webhooksOf(found);
    },
    async patchWebhooks(patch) {
      const request = { name: webhookConfiguration, body: patch, fieldManager };
      const made = await ask(
        `patch MutatingWebhookConfiguration ${webhookConfiguration}`,
        () => admission.patchMutatingWebhookConfiguration(request, jsonPatch),
        404,
        409,
        422,
      );
      return made !== undefined;
    },
    async version() {
      const code = await ask("say its version", () => versions.getCode());
      return code?.gitVersion ?? "";
    },
    async featureGate(name) {
      const metrics = await ask("say its feature gates", () => getText(config, "/metrics"), 401, 403, 404);
      return metrics === undefined ? undefined : gateInMetrics(metrics, name);
    },
    watch(what, onChange) {
      const [path, name] =
        what === "secret"
          ? [`/api/v1/namespaces/${namespace}/secrets`, secret]
          : ["/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", webhookConfiguration];
      return keepWatching(new kubernetes.Watch(config), path, `metadata.name=${name}`, onChange);
    },
  };
}

/** Watches, and watches again when it ends. Changes in between are found by who reads from time to time. */
function keepWatching(
  watch: Watch,
  path: string,
  fieldSelector: string,
  onChange: () => void,
): { close(): void } {
  let closed = false;
  let controller: AbortController | undefined;
  let timer: NodeJS.Timeout | undefined;
  const again = (): void => {
    if (closed) return;
    timer = setTimeout(() => void start(), watchPauseMs);
    timer.unref();
  };
  async function start(): Promise<void> {
    try {
      controller = await watch.watch(path, { fieldSelector }, onChange, again);
      if (closed) controller.abort();
    } catch {
      again();
    }
  }
  void start();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      controller?.abort();
    },
  };
}

async function getText(config: KubeConfig, path: string): Promise<string> {
  const { ApiException, HttpMethod, RequestContext } = await import("@kubernetes/client-node");
  const { fetch } = await import("undici");
  const url = `${config.getCurrentCluster()?.server ?? ""}${path}`;
  const context = new RequestContext(url, HttpMethod.GET);
  await config.applySecurityAuthentication(context);
  const dispatcher = context.getDispatcher();
  const response = await fetch(url, {
    headers: context.getHeaders(),
    ...(dispatcher === undefined ? {} : { dispatcher }),
    signal: AbortSignal.timeout(requestMs),
  });
  const text = await response.text();
  if (!response.ok) throw new ApiException(response.status, response.statusText, text, {});
  return text;
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

/** The API server's own words where it has any. */
function reasonOf(error: unknown): string {
  const { body } = error as Partial<ApiException<unknown>>;
  const parsed: unknown = typeof body === "string" ? parseJson(body) : body;
  if (typeof parsed === "object" && parsed !== null && "message" in parsed) return String(parsed.message);
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
