import { setTimeout as delay } from "node:timers/promises";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type * as client from "@kubernetes/client-node";
import { fetch, type Response } from "undici";
import { apiServerUnavailable, NixClosureError } from "../errors.ts";

/** An API server that does not answer in this time is asked again later. Milliseconds. */
const requestMs = 10_000;
/** How long a watch lasts before it is made anew. Seconds. */
const watchSeconds = 240;
/** Between a watch that ended or failed and the next: at first, and at most. Milliseconds. */
const watchPauseMs = { first: 500, most: 30_000 };

/** Options of a request of the official client. */
interface RequestOptions {
  readonly middleware: client.ObservableMiddleware[];
  readonly middlewareMergeStrategy: "append";
}

/** A way to the API server: what every request has in common. */
export interface Connection {
  readonly config: client.KubeConfig;
  /** The options of one request: its time limit and its end with {@link close}, and a header. */
  readonly options: (header?: readonly [name: string, value: string]) => RequestOptions;
  /**
   * Makes a request; statuses that are listed are an answer too, and give undefined.
   * @param what the API server could not do otherwise, for the message.
   * @throws apiServerUnavailable
   */
  readonly ask: <T>(
    what: string,
    request: () => Promise<T>,
    ...answers: readonly number[]
  ) => Promise<T | undefined>;
  /** The lines of a text, read only as far as they are wanted. Throws apiServerUnavailable. */
  readonly lines: (path: string) => AsyncIterable<string>;
  /** Calls back whenever one object changes, or the watch on it begins anew. */
  readonly watch: (path: string, fieldSelector: string, onChange: () => void) => { close(): void };
  /** The API server's clock, as of its last answer; our own before that. */
  readonly now: () => Date;
  /** Gives up everything that is under way. */
  readonly close: () => void;
}

/**
 * Finds the API server: of the cluster that this Pod runs in, else of the kubeconfig file (KUBECONFIG, ~/.kube/config).
 * @throws apiServerUnavailable if nothing says where it is.
 */
export async function connect(kubernetes: typeof client): Promise<Connection> {
  const config = loadConfig(kubernetes);
  const closed = new AbortController();
  let heard: { readonly date: number; readonly at: number } | undefined;

  function hear(date: string | null | undefined): void {
    const parsed = Date.parse(date ?? "");
    if (!Number.isNaN(parsed)) heard = { date: parsed, at: performance.now() };
  }

  function options(header?: readonly [name: string, value: string]): RequestOptions {
    const middleware: client.ObservableMiddleware = {
      pre(context) {
        context.setSignal(AbortSignal.any([closed.signal, AbortSignal.timeout(requestMs)]));
        if (header !== undefined) context.setHeaderParam(...header);
        return new kubernetes.Observable(Promise.resolve(context));
      },
      post(response) {
        hear(response.headers["date"]);
        return new kubernetes.Observable(Promise.resolve(response));
      },
    };
    return { middleware: [middleware], middlewareMergeStrategy: "append" };
  }

  /** A request that the official client has no method for, or one that cannot be ended. */
  async function open(path: string, signal: AbortSignal): Promise<Response> {
    const url = `${config.getCurrentCluster()?.server ?? ""}${path}`;
    const context = new kubernetes.RequestContext(url, kubernetes.HttpMethod.GET);
    await config.applySecurityAuthentication(context);
    const dispatcher = context.getDispatcher();
    const response = await fetch(url, {
      headers: context.getHeaders(),
      signal,
      ...(dispatcher === undefined ? {} : { dispatcher }),
    });
    hear(response.headers.get("date"));
    if (response.ok && response.body !== null) return response;
    throw new kubernetes.ApiException(response.status, response.statusText, await response.text(), {});
  }

  async function* lines(path: string): AsyncGenerator<string> {
    try {
      const signal = AbortSignal.any([closed.signal, AbortSignal.timeout(requestMs)]);
      yield* linesOf(await open(path, signal));
    } catch (error) {
      throw apiServerUnavailable(`say ${path}`, reasonOf(error)).causedBy(error);
    }
  }

  /** Watches until it ends, and says whether it began at all. */
  async function watchOnce(path: string, signal: AbortSignal, onChange: () => void): Promise<boolean> {
    let began = false;
    try {
      const response = await open(path, signal);
      began = true;
      for await (const event of linesOf(response)) if (event !== "") onChange();
    } catch {
      // Whatever it is, the next watch shows it again, and who needs the objects reads them anyway.
    }
    return began;
  }

  function watch(path: string, fieldSelector: string, onChange: () => void): { close(): void } {
    const end = new AbortController();
    const signal = AbortSignal.any([closed.signal, end.signal]);
    const query = new URLSearchParams({ watch: "true", fieldSelector, timeoutSeconds: String(watchSeconds) });
    const run = async (): Promise<void> => {
      let pause = watchPauseMs.first;
      while (!signal.aborted) {
        const began = await watchOnce(`${path}?${query.toString()}`, signal, onChange);
        pause = began ? watchPauseMs.first : Math.min(watchPauseMs.most, 2 * pause);
        await delay(pause, undefined, { signal, ref: false }).catch(() => undefined);
      }
    };
    void run();
    return { close: () => end.abort() };
  }

  return {
    config,
    options,
    async ask(what, request, ...answers) {
      try {
        return await request();
      } catch (error) {
        if (error instanceof kubernetes.ApiException && answers.includes(error.code)) return undefined;
        throw apiServerUnavailable(what, reasonOf(error)).causedBy(error);
      }
    },
    lines,
    watch,
    now: () => new Date(heard === undefined ? Date.now() : heard.date + (performance.now() - heard.at)),
    close: () => closed.abort(),
  };
}

/** What the official client takes when it is told nothing. */
const nowhere = "http://localhost:8080";

function loadConfig({ KubeConfig }: typeof client): client.KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromDefault();
  } catch (error) {
    throw apiServerUnavailable("be found", reasonOf(error)).causedBy(error);
  }
  if (config.getCurrentCluster()?.server === nowhere) {
    const places = "KUBECONFIG, nor ~/.kube/config, nor a ServiceAccount's token";
    throw apiServerUnavailable("be found", `neither ${places} says where it is`);
  }
  return config;
}

async function* linesOf(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  const body = Readable.fromWeb(response.body);
  try {
    yield* createInterface({ input: body, crlfDelay: Infinity });
  } finally {
    body.destroy();
  }
}

/** The API server's own words where it has any. */
function reasonOf(error: unknown): string {
  if (error instanceof NixClosureError) return error.message;
  const { body } = error as { readonly body?: unknown };
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
