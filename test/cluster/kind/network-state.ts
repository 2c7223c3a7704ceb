import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheDirectory } from "./cache.ts";
import { run, succeeds } from "./command.ts";

/** What a Docker daemon changes in the machine's network, as it was before. */
interface NetworkState {
  readonly interfaces: readonly string[];
  /** Tables of nftables, "ip filter". */
  readonly tables: readonly string[];
  /** By program. */
  readonly firewalls: Readonly<Record<string, Firewall>>;
  /** Values of kernel parameters by their files. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** What iptables or ip6tables held. */
interface Firewall {
  readonly forwardPolicy: string;
  readonly rules: readonly string[];
}

const stateFile = join(cacheDirectory, "network-before.json");
const parameters = [
  "/proc/sys/net/ipv4/ip_forward",
  "/proc/sys/net/ipv4/conf/all/forwarding",
  "/proc/sys/net/ipv4/conf/default/forwarding",
  "/proc/sys/net/ipv6/conf/all/forwarding",
  "/proc/sys/net/ipv6/conf/default/forwarding",
];
const firewalls = ["iptables", "ip6tables"];

/** Rules of Docker that name none of its bridges; the last one is for a container that calls its own published port. */
const dockerRule = /^:DOCKER|^-A DOCKER|-[jg] DOCKER|^-A POSTROUTING -s (\S+) -d \1 .*-j MASQUERADE$/;

/** Interfaces that Docker makes: its default bridge, bridges of networks, container's ends. */
const dockerInterface = /^(?:docker0|br-[0-9a-f]{12}|veth[0-9a-f]{7})$/;

/** Writes down what there is. What an earlier start that was not undone wrote down stays. */
export async function recordNetworkState(): Promise<void> {
  if (existsSync(stateFile)) return;
  const state: NetworkState = {
    interfaces: await interfaces(),
    tables: (await nftObjects()).flatMap(({ table }) => (table ? [`${table.family} ${table.name}`] : [])),
    firewalls: Object.fromEntries(
      await Promise.all(
        firewalls.map(async (name) => {
          const firewall = { forwardPolicy: await forwardPolicy(name), rules: await savedRules(name) };
          return [name, firewall] as const;
        }),
      ),
    ),
    parameters: Object.fromEntries(
      await Promise.all(
        parameters
          .filter((file) => existsSync(file))
          .map(async (file) => [file, await readFile(file, "utf8")]),
      ),
    ),
  };
  await writeFile(stateFile, JSON.stringify(state));
}

/** Takes back what the daemon that has ended since left behind: interfaces, firewall rules, kernel parameters. */
export async function restoreNetworkState(): Promise<void> {
  if (!existsSync(stateFile)) return;
  const before = JSON.parse(await readFile(stateFile, "utf8")) as NetworkState;
  const added = (await interfaces()).filter(
    (name) => dockerInterface.test(name) && !before.interfaces.includes(name),
  );
  for (const [name, firewall] of Object.entries(before.firewalls)) await removeRules(name, added, firewall);
  // The other end of a pair is gone with the first one.
  for (const name of added) await succeeds("ip", ["link", "delete", name]);
  await removeEmptyTables(before.tables);
  for (const [file, value] of Object.entries(before.parameters)) await writeFile(file, value);
  await rm(stateFile);
}

async function interfaces(): Promise<readonly string[]> {
  const links = JSON.parse(await run("ip", ["-json", "link", "show"])) as { ifname: string }[];
  return links.map(({ ifname }) => ifname);
}

async function forwardPolicy(firewall: string): Promise<string> {
  const rules = await run(firewall, ["-S", "FORWARD"]).catch(() => "");
  return /^-P FORWARD (\w+)/m.exec(rules)?.[1] ?? "ACCEPT";
}

/** Loads the rules that there are again without those of our Docker; others may have come since. */
async function removeRules(firewall: string, bridges: readonly string[], before: Firewall): Promise<void> {
  const saved = await savedRules(firewall);
  const kept = saved
    .filter((line) => before.rules.includes(line) || !(dockerRule.test(line) || names(line, bridges)))
    .map((line) => line.replace(/^:FORWARD \w+/, `:FORWARD ${before.forwardPolicy}`));
  if (kept.join("\n") === saved.join("\n")) return;
  await run(`${firewall}-restore`, [], { input: kept.join("\n") });
}

/** The lines of iptables-save, without counters. */
async function savedRules(firewall: string): Promise<readonly string[]> {
  const saved = await run(`${firewall}-save`, []).catch(() => "");
  return saved.split("\n").map((line) => line.replace(/ \[\d+:\d+\]$/, " [0:0]"));
}

function names(line: string, bridges: readonly string[]): boolean {
  return line.split(" ").some((word) => bridges.includes(word));
}

interface NftObject {
  readonly table?: { family: string; name: string };
  readonly rule?: { family: string; table: string };
}

async function nftObjects(): Promise<readonly NftObject[]> {
  const text = await run("nft", ["--json", "list", "ruleset"]);
  return (JSON.parse(text) as { nftables: NftObject[] }).nftables;
}

async function removeEmptyTables(before: readonly string[]): Promise<void> {
  const objects = await nftObjects();
  const used = objects.flatMap(({ rule }) => (rule ? [`${rule.family} ${rule.table}`] : []));
  for (const { table } of objects) {
    if (table === undefined) continue;
    const name = `${table.family} ${table.name}`;
    if (
      /^ip6? (?:filter|nat|raw|mangle|security)$/.test(name) &&
      !used.includes(name) &&
      !before.includes(name)
    )
      await run("nft", ["delete", "table", table.family, table.name]);
  }
}
