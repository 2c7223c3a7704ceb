import { readFile } from "node:fs/promises";
import { Pool } from "undici";
import { parse } from "yaml";
import { kubeconfig } from "../kind/kind.ts";
import type { Answer } from "./answers.ts";
import type { KubernetesObject } from "./pods.ts";

/** The API server, called straight over HTTPS with the administrator's certificate. */
export interface ApiServer {
  /** Creates a Pod as a server-side dry run: all of admission, and nothing is stored. Never rejects. */
  dryRun(pod: KubernetesObject): Promise<Answer>;
  close(): Promise<void>;
}

/** What is read of the kubeconfig that kind writes. */
interface Kubeconfig {
  readonly clusters: readonly {
    readonly cluster: { readonly server: string; readonly "certificate-authority-data": string };
  }[];
  readonly users: readonly {
    readonly user: { readonly "client-certificate-data": string; readonly "client-key-data": string };
  }[];
}

/** Longer than a webhook may take (webhooks: timeoutSeconds is at most 30). Milliseconds. */
const answerMs = 35_000;

/**
 * Opens connections that are kept.
 *
 * @param connections at most so many requests are under way at once
 * @throws Error if there is no cluster
 */
export async function connectApiServer(connections = 256): Promise<ApiServer> {
  const pool = await openConnections(connections);
  return {
    async dryRun(pod) {
      try {
        const { statusCode, body } = await pool.request({
          method: "POST",
          path: `/api/v1/namespaces/${pod.metadata.namespace ?? "default"}/pods?dryRun=All`,
          headers: { "content-type": "application/json", accept: "application/json" },
          body: JSON.stringify(pod),
        });
        return { status: statusCode, body: parseBody(await body.text()) };
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        return { error: `${code ?? "error"}: ${message}` };
      }
    },
    close: () => pool.destroy(),
  };
}

/**
 * Connections to the API server, with the administrator's certificate.
 *
 * @throws Error if there is no cluster
 */
export async function openConnections(connections: number): Promise<Pool> {
  const { clusters, users } = parse(await readFile(kubeconfig, "utf8")) as Kubeconfig;
  const [first] = clusters;
  const [administrator] = users;
  if (first === undefined || administrator === undefined) throw new Error(`${kubeconfig} has no cluster`);
  const decode = (text: string): string => Buffer.from(text, "base64").toString();
  return new Pool(first.cluster.server, {
    connections,
    headersTimeout: answerMs,
    bodyTimeout: answerMs,
    connect: {
      ca: decode(first.cluster["certificate-authority-data"]),
      cert: decode(administrator.user["client-certificate-data"]),
      key: decode(administrator.user["client-key-data"]),
      timeout: answerMs,
    },
  });
}

/** A proxy in between may answer with a page. */
function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
