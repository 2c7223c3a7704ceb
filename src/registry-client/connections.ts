import { lookup as systemLookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { Agent, buildConnector, type Dispatcher } from "undici";
import { guardedLookup } from "../guarded-lookup.ts";
import { Authorities } from "./authorities.ts";
import { type LeadRules, refuseAddress } from "./leads.ts";

/** How long an unused connection is kept (milliseconds); servers keep theirs for a minute or more. */
const keepAlive = 15_000;
/** Hosts that one registry leads to at a time: a token service and object stores. */
const maxOrigins = 16;

export interface ConnectionOptions {
  readonly rules: LeadRules;
  readonly caFile?: string | undefined;
  /** At most so many to each host. */
  readonly connections: number;
  /** Until there is a connection (and TLS), in milliseconds. */
  readonly connectTimeout: number;
  readonly lookup?: LookupFunction | undefined;
}

/** Connections to a registry and to where it leads. */
export function openConnections(options: ConnectionOptions): Dispatcher {
  return new Agent({
    connect: guardedConnector(options),
    connections: options.connections,
    maxOrigins,
    keepAliveTimeout: keepAlive,
    // Each blob wants a connection of its own; with HTTP/2 one lost packet would hold up all.
    allowH2: false,
  });
}

/**
 * Looks at the address that a name has at the very moment of connecting: a check before it could be passed by a name
 * that resolves anew each time (DNS rebinding).
 */
function guardedConnector(options: ConnectionOptions): buildConnector.connector {
  const { rules, lookup = systemLookup } = options;
  const own = trustingConnector(options, lookup);
  const led = trustingConnector(
    options,
    guardedLookup(lookup, (name, address) => refuseAddress(rules, name, address)),
  );
  return (target, callback) => {
    const host = isIP(target.hostname) === 6 ? `[${target.hostname}]` : target.hostname;
    const { origin } = new URL(`${target.protocol}//${host}${target.port ? `:${target.port}` : ""}`);
    // Node does not look up what is an address already.
    const refused =
      origin === rules.origin ? undefined : refuseAddress(rules, target.hostname, target.hostname);
    if (refused !== undefined) callback(refused, null);
    else (origin === rules.origin ? own : led)(target, callback);
  };
}

/** Trusts the authorities of the file as it is now, for all hosts: object stores and token services have them too. */
function trustingConnector(options: ConnectionOptions, lookup: LookupFunction): buildConnector.connector {
  const settings = { timeout: options.connectTimeout, allowH2: false, lookup };
  if (options.caFile === undefined) return buildConnector(settings);
  const authorities = new Authorities(options.caFile);
  let built: { readonly ca: readonly string[]; readonly connect: buildConnector.connector } | undefined;
  return (target, callback) => {
    authorities.read().then(
      (ca) => {
        if (built?.ca !== ca) built = { ca, connect: buildConnector({ ...settings, ca: [...ca] }) };
        built.connect(target, callback);
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), null),
    );
  };
}
