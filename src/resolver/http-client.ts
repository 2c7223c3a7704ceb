import { lookup as systemLookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { Agent, buildConnector, type Dispatcher } from "undici";
import { NixClosureError } from "../errors.ts";
import { guardedLookup } from "../guarded-lookup.ts";
import { refuseAddress, type LeadRules } from "./leads.ts";
import { describeFailure, Transient } from "./transient.ts";
import { largestSize } from "./window.ts";

/** Limits of one request, in milliseconds. */
export interface HttpTimeouts {
  /** Until there is a connection (and TLS). Nix has 15 s; a webhook has 10 s for everything, and a next cache. */
  readonly connect: number;
  /** Until the answer's headers are there. */
  readonly headers: number;
  /** Without a byte of the body, though we would read. */
  readonly stall: number;
}

export const httpTimeouts: HttpTimeouts = { connect: 5_000, headers: 10_000, stall: 30_000 };

/**
 * A connection that takes so long has lost its first packet (milliseconds): TCP sends it again after a second (RFC
 * 6298), and no road is so long. It is how a server shows that its listen queue is full.
 */
const lostAfter = 950;
/** Hosts that one cache leads to at a time. One or two are usual; a hostile cache could name ever new ones. */
const maxOrigins = 32;
/** How long an unused connection is kept (milliseconds): Pods come in bursts, and servers keep theirs for a minute. */
const keepAlive = 30_000;

export type HttpBody = Dispatcher.ResponseData["body"];

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: HttpBody;
}

/** Is told of connections. */
export interface ConnectionObserver {
  /** One was made. */
  connected(): void;
  /** One has lost its first packet, and is so old (milliseconds). */
  lost(age: number): void;
}

/** Connections for one cache: to its own host, and to those where it may lead. */
export class HttpClient {
  readonly timeouts: HttpTimeouts;
  readonly #agent: Agent;

  constructor(
    rules: LeadRules,
    timeouts: HttpTimeouts = httpTimeouts,
    lookup: LookupFunction = systemLookup,
    observer?: ConnectionObserver,
  ) {
    this.timeouts = timeouts;
    const connect = guardedConnector(rules, timeouts.connect, lookup);
    this.#agent = new Agent({
      connect: observer === undefined ? connect : observed(connect, observer),
      connections: largestSize,
      maxOrigins,
      keepAliveTimeout: keepAlive,
      headersTimeout: timeouts.headers,
      bodyTimeout: timeouts.stall,
      // With HTTP/2 one lost packet holds up all requests of a walk; 64 connections do as well without.
      allowH2: false,
    });
  }

  /**
   * One GET, without following redirects. The caller reads or destroys the body.
   *
   * @throws Transient if there is no answer, cacheLeadsAway if the host resolves to where the cache may not lead,
   * the signal's reason if it aborts.
   */
  async get(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<HttpAnswer> {
    try {
      const path = url.pathname + url.search;
      const answer = await this.#agent.request({ origin: url.origin, path, method: "GET", headers, signal });
      return { status: answer.statusCode, headers: answer.headers, body: answer.body };
    } catch (error) {
      throw asTransient(error, signal);
    }
  }

  /** Lets what is under way come to its end, and takes nothing new. */
  async retire(): Promise<void> {
    await this.#agent.close();
  }

  /** Ends all connections, used or not. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** What undici failed with, as a failure of ours. */
export function asTransient(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof NixClosureError || error instanceof Transient) return error;
  return new Transient(describeFailure(error), { unreachable: true, cause: error });
}

/** Tells of connections; of one that is lost while it is still being made, for the load is to go down at once. */
function observed(connect: buildConnector.connector, observer: ConnectionObserver): buildConnector.connector {
  return (options, callback) => {
    const timer = setTimeout(() => observer.lost(lostAfter), lostAfter);
    connect(options, (...outcome) => {
      clearTimeout(timer);
      if (outcome[0] === null) observer.connected();
      callback(...outcome);
    });
  };
}

/**
 * Looks at the address that a name has at the very moment of connecting: a check before it could be passed by a name
 * that resolves anew each time (DNS rebinding).
 */
function guardedConnector(
  rules: LeadRules,
  timeout: number,
  lookup: LookupFunction,
): buildConnector.connector {
  const own = buildConnector({ timeout, allowH2: false, lookup });
  const led = buildConnector({
    timeout,
    allowH2: false,
    lookup: guardedLookup(lookup, (name, address) => refuseAddress(rules, name, address)),
  });
  return (options, callback) => {
    const host = isIP(options.hostname) === 6 ? `[${options.hostname}]` : options.hostname;
    const origin = new URL(`${options.protocol}//${host}${options.port ? `:${options.port}` : ""}`).origin;
    if (origin === rules.origin) {
      own(options, callback);
      return;
    }
    // Node does not look up what is an address already.
    const refused = refuseAddress(rules, options.hostname, options.hostname);
    if (refused === undefined) led(options, callback);
    else callback(refused, null);
  };
}
