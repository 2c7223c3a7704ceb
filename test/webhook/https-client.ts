import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { type Agent, request, type RequestOptions } from "node:https";
import type { Operation } from "fast-json-patch";
import jsonPatch from "fast-json-patch";
import type { AdmissionResponse } from "../../src/webhook/review.ts";
import type { Pod } from "../../src/patch/pod.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One request over HTTPS to this machine. */
export async function ask(
  port: number,
  path: string,
  options: RequestOptions & { readonly body?: string | Buffer } = {},
): Promise<Answer> {
  const { body, ...rest } = options;
  const sent = request({ host: "127.0.0.1", port, path, servername: "localhost", ...rest });
  sent.end(body);
  // An answer can come before all of the body was wanted.
  sent.on("error", () => undefined);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, body: text };
}

/** The request of an AdmissionReview. */
export interface ReviewRequest {
  readonly uid: string;
  readonly object: unknown;
  readonly [field: string]: unknown;
}

/** A Pod with one container that asks for what these annotations say. */
export function podWith(annotations: Readonly<Record<string, unknown>>, spec: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "app", namespace: "shop", labels: { app: "web" }, annotations },
    spec: { containers: [{ name: "app", image: "debian:13", command: ["hello"] }], ...spec },
  };
}

/** An AdmissionReview of the creation of an object, as API servers send it. */
export function reviewOf(object: unknown, changes: Readonly<Record<string, unknown>> = {}) {
  const resource = { group: "", version: "v1", resource: "pods" };
  const kind = { group: "", version: "v1", kind: "Pod" };
  const request: ReviewRequest = {
    uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
    kind,
    resource,
    requestKind: kind,
    requestResource: resource,
    namespace: "shop",
    operation: "CREATE",
    userInfo: { username: "admin", groups: ["system:authenticated"] },
    object,
    oldObject: null,
    dryRun: false,
    options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
    ...changes,
  };
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request };
}

/** Posts reviews to a webhook, and reads its answers. */
export class ReviewClient {
  readonly port: number;
  readonly options: RequestOptions;

  constructor(port: number, options: RequestOptions & { readonly agent?: Agent }) {
    this.port = port;
    this.options = options;
  }

  /** Sends any text, by default as JSON. */
  async send(body: string | Buffer, path = "/mutate", headers: Record<string, string> = {}): Promise<Answer> {
    return ask(this.port, path, {
      method: "POST",
      ...this.options,
      headers: { "content-type": "application/json", ...headers },
      body,
    });
  }

  /** The response to a review; throws if it has none. */
  async review(review: unknown, query = ""): Promise<AdmissionResponse> {
    const answer = await this.send(JSON.stringify(review), `/mutate${query}`);
    if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${answer.body}`);
    const { apiVersion, kind, response } = JSON.parse(answer.body) as Record<string, unknown>;
    if (apiVersion !== "admission.k8s.io/v1" || kind !== "AdmissionReview")
      throw new Error(`no AdmissionReview: ${answer.body}`);
    return response as AdmissionResponse;
  }
}

/** The operations of a response; throws if it has none. */
export function operationsOf(response: AdmissionResponse): readonly Operation[] {
  if (response.patchType !== "JSONPatch") throw new Error(`no JSON patch: ${JSON.stringify(response)}`);
  return JSON.parse(Buffer.from(response.patch ?? "", "base64").toString()) as Operation[];
}

/** The object with a response's patch applied, each operation checked. */
export function patched(object: unknown, response: AdmissionResponse): Pod {
  return jsonPatch.applyPatch(structuredClone(object) as Pod, operationsOf(response), true).newDocument;
}
