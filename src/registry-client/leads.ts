/**
 * Where a registry may lead a request: redirects of blobs to an object store, the places of uploads, its token
 * service. All are usual on other hosts. Without rules a registry could make the webhook ask its own loopback or a
 * cloud's metadata service.
 */
import { registryLeadsAway } from "../errors.ts";
import { localKindOfAddress, localKindOfHost, type LocalKind } from "../local-address.ts";

/** What decides about a lead. */
export interface LeadRules {
  /** The repository, for messages. */
  readonly name: string;
  /** Scheme, host and port of the registry: always allowed, the user chose it. */
  readonly origin: string;
  /** Whether hosts other than the registry and this machine may be spoken to without TLS. */
  readonly plainHttp: boolean;
}

/**
 * Resolves a URL that a registry wrote, and checks it by its text. What its host resolves to is checked when the
 * connection is made ({@link refuseAddress}).
 *
 * @param from the URL that was asked; a relative one is relative to it.
 * @throws registryLeadsAway
 */
export function followLead(rules: LeadRules, from: URL, target: string): URL {
  const refuse = (why: string): Error => registryLeadsAway(rules.name, withoutSecrets(target), why);
  if (!URL.canParse(target, from.href)) throw refuse("it is not a URL");
  const url = new URL(target, from);
  if (url.protocol !== "http:" && url.protocol !== "https:") throw refuse("it is neither http nor https");
  if (from.protocol === "https:" && url.protocol === "http:") {
    throw refuse(
      "it goes from https to http; a registry behind a proxy has to be told the address that it has outside",
    );
  }
  if (url.username !== "" || url.password !== "") throw refuse("it holds credentials");
  url.hash = "";
  if (url.origin === rules.origin) return url;
  const kind = localKindOfHost(url.hostname);
  if (kind !== undefined && kind !== ownKind(rules)) throw refuse(`it is ${explain(kind)}`);
  // A registry on this machine is spoken to without TLS. That is no reason to show credentials to the network.
  if (url.protocol === "http:" && kind !== "loopback" && !rules.plainHttp) {
    throw refuse("it is HTTP without TLS, on another machine; plain HTTP has to be allowed");
  }
  return url;
}

/** The error for a name that resolved to an address where a registry may not lead; `undefined` if it may. */
export function refuseAddress(rules: LeadRules, host: string, address: string): Error | undefined {
  const kind = localKindOfAddress(address);
  if (kind === undefined || kind === ownKind(rules)) return undefined;
  const is = host === address ? "it is" : `its address ${address} is`;
  return registryLeadsAway(rules.name, host, `${is} ${explain(kind)}`);
}

/** A URL for a message: without credentials, and without a query, which may hold a signed permission. */
export function withoutSecrets(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:)?([\\/]{2,})[^\\/?#]*@/i, "$1$2").replace(/[?#].*$/s, "");
}

function ownKind(rules: LeadRules): LocalKind | undefined {
  return localKindOfHost(new URL(rules.origin).hostname);
}

function explain(kind: LocalKind): string {
  return `a ${kind} address, and the registry itself is not at one`;
}
