import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { bodyOf, type Call, refuse } from "./registry-server.ts";

export interface TokenCall {
  readonly method: string;
  readonly authorization: string | undefined;
  /** Of the query or the form. */
  readonly fields: URLSearchParams;
}

/** A token service on 127.0.0.1: gives a token for each call, with its number and its scopes. */
export class TokenService {
  readonly calls: TokenCall[] = [];
  /** Answers in place of a token. */
  answer: ((response: ServerResponse, call: TokenCall) => void) | undefined;
  /** Of the tokens, in seconds; not said if undefined. */
  lifetime: number | undefined = 300;
  /** Who may get what: scopes that are not among the answer are left out of the token. */
  allow: (scopes: readonly string[], call: TokenCall) => readonly string[] = (scopes) => scopes;
  field = "token";
  readonly #scopes = new Map<string, readonly string[]>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<TokenService> {
    const service = new TokenService();
    await new Promise<void>((resolve) => service.#server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      service.#server.closeAllConnections();
      service.#server.close();
    });
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token?of=it`;
  }

  /** The scopes of each call. */
  get scopes(): readonly (readonly string[])[] {
    return this.calls.map(({ fields }) => fields.getAll("scope"));
  }

  /** Makes all tokens so far worth nothing. */
  forget(): void {
    this.#scopes.clear();
  }

  /** For a registry: whether the request has a token with the right to it; else it is answered. */
  authorize = ({ request, response, url }: Call): boolean => {
    const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    const [, repository = ""] = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(url.pathname) ?? [];
    const wanted = [`repository:${repository}:pull`];
    if (request.method !== "GET" && request.method !== "HEAD") wanted[0] += ",push";
    const from = url.searchParams.get("from");
    if (from !== null) wanted.push(`repository:${from}:pull`);
    const scopes = this.#scopes.get(token);
    if (wanted.every((scope) => scopes?.some((has) => has === scope || has === `${scope},push`))) return true;
    const more = scopes === undefined ? "" : ',error="insufficient_scope"';
    response.setHeader(
      "www-authenticate",
      `Bearer realm="${this.url}",service="the registry",scope="${wanted.join(" ")}"${more}`,
    );
    request.resume();
    refuse(response, 401, "UNAUTHORIZED", "authentication required");
    return false;
  };

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    const { searchParams } = new URL(url, "http://x");
    const form = new URLSearchParams((await bodyOf(request)).toString());
    const fields = method === "POST" ? form : searchParams;
    const call = { method, authorization: request.headers.authorization, fields };
    this.calls.push(call);
    if (this.answer !== undefined) {
      this.answer(response, call);
      return;
    }
    const token = `token-${this.calls.length}`;
    this.#scopes.set(
      token,
      this.allow(
        fields.getAll("scope").flatMap((scope) => scope.split(" ")),
        call,
      ),
    );
    response.end(JSON.stringify({ [this.field]: token, expires_in: this.lifetime }));
  }
}
