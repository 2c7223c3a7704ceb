import { inNode, nodeNames } from "./node.ts";
import { webhookNamespace } from "./product.ts";

/** What new TLS connections to webhooks have met. */
export interface Handshakes {
  readonly succeeded: number;
  /** In curl's words. */
  readonly failures: readonly string[];
}

const flag = "/run/nix-closure-handshakes";
const host = `nix-closure-webhook.${webhookNamespace}.svc`;

/**
 * Opens new connections to replicas of the webhook during some work, one a second to each, and checks their certificates
 * as an API server does: by the published caBundle and the Service's name. An API server keeps its connections, so that a
 * load alone would not see a certificate that has expired.
 */
export async function withHandshakes<T>(
  addresses: readonly string[],
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly handshakes: Handshakes }> {
  const { controlPlane } = await nodeNames();
  await inNode(controlPlane, "touch", flag);
  const running = inNode(controlPlane, "timeout", "240", "bash", "-c", script(addresses));
  const ended = running.catch(() => "");
  let result: T;
  try {
    result = await work();
  } finally {
    await inNode(controlPlane, "rm", "--force", flag);
    await ended;
  }
  const lines = (await running).split("\n").filter((line) => line !== "");
  const failures = lines.filter((line) => line !== "405");
  return { result, handshakes: { succeeded: lines.length - failures.length, failures } };
}

/** Whether a replica's certificate is verified by one PEM file alone; if not, curl's words. */
export async function verifiedBy(address: string, pem: string): Promise<true | string> {
  const { controlPlane } = await nodeNames();
  const encoded = Buffer.from(pem).toString("base64");
  const command = `echo ${encoded} | base64 --decode > ${flag}.one.pem; ${curl(address, `${flag}.one.pem`)}`;
  const answer = (await inNode(controlPlane, "bash", "-c", command)).trim();
  return answer === "405" ? true : answer;
}

/** A GET is answered with 405 by a webhook that can be believed. */
function curl(address: string, bundle: string): string {
  const options = [
    "--silent --show-error --max-time 3 --output /dev/null --write-out '%{http_code}\\n'",
    `--cacert ${bundle} --connect-to ${host}:443:${address}:10250 https://${host}/mutate`,
  ].join(" ");
  return `curl ${options} 2>&1 || true`;
}

function script(addresses: readonly string[]): string {
  const bundle = `${flag}.pem`;
  const read = [
    "kubectl --kubeconfig /etc/kubernetes/admin.conf get mutatingwebhookconfiguration nix-closure",
    `--output jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 --decode > ${bundle}`,
  ].join(" ");
  const tries = addresses.map((address) => curl(address, bundle));
  return [`while [ -e ${flag} ]; do`, read, ...tries, "sleep 1", "done"].join("\n");
}
