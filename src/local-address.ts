import { BlockList, isIP } from "node:net";

/** Addresses that mean the machine itself, or what only its neighbours can reach. */
export type LocalKind = "loopback" | "link-local";

/**
 * IPv4 ranges, also where they are embedded in IPv6 (below). On Linux a connection to 0.0.0.0 ends at loopback.
 *
 * Clouds serve their metadata at 169.254.169.254, and some also at an address outside the link-local range, to the
 * same effect: Alibaba at 100.100.100.200, Azure's host agent at 168.63.129.16, AWS at fd00:ec2::254 over IPv6.
 *
 * Private addresses (RFC 1918) are not here: caches and the object stores they lead to live on them.
 */
const ranges4: readonly (readonly [LocalKind, string, number])[] = [
  ["loopback", "127.0.0.0", 8],
  ["loopback", "0.0.0.0", 8],
  ["link-local", "169.254.0.0", 16],
  ["link-local", "100.100.100.200", 32],
  ["link-local", "168.63.129.16", 32],
];

const ranges6: readonly (readonly [LocalKind, string, number])[] = [
  ["loopback", "::1", 128],
  ["loopback", "::", 128],
  ["link-local", "fe80::", 10],
  ["link-local", "fd00:ec2::254", 128],
];

/** Where IPv6 holds an IPv4 address in its last 32 bits: RFC 4291 (compatible), RFC 6052 (NAT64), RFC 2765. */
const embeddings = ["::", "64:ff9b::", "::ffff:0:"];

const lists = makeLists();

/** What kind of local address this is, if any. `::ffff:a.b.c.d` counts as `a.b.c.d`. */
export function localKindOfAddress(address: string): LocalKind | undefined {
  const [bare = ""] = address.split("%", 1);
  const family = isIP(bare);
  if (family === 0) return undefined;
  for (const [kind, list] of lists) {
    if (list.check(bare, family === 6 ? "ipv6" : "ipv4")) return kind;
  }
  return undefined;
}

/**
 * The same of the host of a URL, by its text alone. URL parsing has turned all ways to write an IPv4 address into one.
 *
 * @param hostname as URL has it, IPv6 in brackets.
 */
export function localKindOfHost(hostname: string): LocalKind | undefined {
  const host = hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  if (host === "localhost" || host.endsWith(".localhost")) return "loopback";
  return localKindOfAddress(host);
}

function makeLists(): ReadonlyMap<LocalKind, BlockList> {
  const made = new Map<LocalKind, BlockList>([
    ["loopback", new BlockList()],
    ["link-local", new BlockList()],
  ]);
  for (const [kind, network, bits] of ranges6) made.get(kind)?.addSubnet(network, bits, "ipv6");
  for (const [kind, network, bits] of ranges4) {
    made.get(kind)?.addSubnet(network, bits, "ipv4");
    for (const prefix of embeddings) made.get(kind)?.addSubnet(prefix + network, 96 + bits, "ipv6");
  }
  return made;
}
