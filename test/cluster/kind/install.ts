import { setTimeout as delay } from "node:timers/promises";
import { kubectl } from "./kubectl.ts";

/** The overlay that installs the product on kind. */
export const kindOverlay = "manifests/kind";

/** What has to be rolled out. */
const workloads = [
  { namespace: "nix-closure", name: "deployment/nix-closure-webhook" },
  { namespace: "nix-closure-registry", name: "daemonset/nix-closure-registry" },
  { namespace: "nix-closure-demo", name: "deployment/demo-cache" },
] as const;

/** From the installation until every part is ready. Milliseconds. */
const patienceMs = 180_000;

/** Installs the product with the overlay for kind, and waits until all of it works. */
export async function installProduct(): Promise<void> {
  await kubectl(["apply", "-k", kindOverlay]);
  await waitForProduct();
}

/**
 * Waits until every part is rolled out and the API server knows whom to believe.
 *
 * @throws Error with what the Pods say if that does not come true
 */
export async function waitForProduct(patience = patienceMs): Promise<void> {
  const end = Date.now() + patience;
  const timeout = `--timeout=${Math.ceil(patience / 1000)}s`;
  await Promise.all(
    workloads.map(async ({ namespace, name }) => {
      try {
        await kubectl(["rollout", "status", name, "--namespace", namespace, timeout]);
      } catch (error) {
        throw new Error(`${namespace} ${name} is not ready:\n${await describePods(namespace)}`, {
          cause: error,
        });
      }
    }),
  );
  while (!(await hasCaBundle())) {
    if (Date.now() > end) throw new Error("MutatingWebhookConfiguration nix-closure has no caBundle");
    await delay(200);
  }
}

/** Whether all parts are there and ready now. */
export async function isProductReady(): Promise<boolean> {
  return waitForProduct(1000).then(
    () => true,
    () => false,
  );
}

async function hasCaBundle(): Promise<boolean> {
  const text = await kubectl(["get", "mutatingwebhookconfiguration", "nix-closure", "--output", "json"]);
  const { webhooks = [] } = JSON.parse(text) as { webhooks?: { clientConfig: { caBundle?: string } }[] };
  return webhooks.length > 0 && webhooks.every(({ clientConfig }) => (clientConfig.caBundle ?? "") !== "");
}

async function describePods(namespace: string): Promise<string> {
  const parts = await Promise.all([
    kubectl(["get", "pods", "--namespace", namespace, "--output", "wide"]).catch(String),
    kubectl(["get", "events", "--namespace", namespace, "--field-selector", "type=Warning"]).catch(String),
  ]);
  return parts.map((part) => part.trim().split("\n").slice(-15).join("\n")).join("\n");
}
