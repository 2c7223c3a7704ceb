/** Values of the configuration file in their notations. What is wrong with one goes to `problems`, after its key. */
import { quote } from "./errors.ts";

/** An address to listen on; `localhost` is 127.0.0.1 and ::1, port 0 any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

/** What a size looks like, for messages. */
export const sizeHint = "is not a size such as 20Gi, 500M or 1048576";

/** A size in Kubernetes' quantity notation, in bytes. */
export function size(value: string | number, where: string, problems: string[]): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)([kMGT]?|[KMGT]i)$/.exec(String(value));
  const unit = sizeUnits[match?.[2] ?? "?"];
  const bytes = Math.floor(Number(match?.[1]) * (unit ?? Number.NaN));
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    problems.push(`${where}: ${quote(String(value))} ${sizeHint}`);
    return 0;
  }
  return bytes;
}

const durationUnits: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
/** A certificate's times are whole seconds, and it takes a moment to make one. Milliseconds. */
const shortestMs = 30_000;
/** 10 years. Milliseconds. */
const longestMs = 3650 * 864e5;

/** A time such as 365d, in milliseconds. */
export function duration(text: string, where: string, problems: string[]): number {
  const match = /^([0-9]{1,9})([smhd])$/.exec(text);
  const milliseconds = Number(match?.[1]) * (durationUnits[match?.[2] ?? ""] ?? Number.NaN);
  if (!(milliseconds >= shortestMs && milliseconds <= longestMs))
    problems.push(`${where}: ${quote(text)} is not a time from 30s to 3650d, such as 90d or 12h`);
  return milliseconds;
}

/** An address to listen on. */
export function address(text: string, where: string, problems: string[]): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? 65536);
  if (port > 65535)
    problems.push(`${where}: ${quote(text)} is not <host>:<port>, [<IPv6>]:<port> or :<port>`);
  // Without a host: all addresses, of both families.
  return { host: match?.[1] ?? (match?.[2] || "::"), port };
}

/** Whether `text` can name an object in Kubernetes: a DNS subdomain of RFC 1123. */
export function isObjectName(text: string): boolean {
  const label = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?";
  return text.length <= 253 && new RegExp(`^${label}(?:\\.${label})*$`).test(text);
}
