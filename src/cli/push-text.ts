import { formatBytes } from "../errors.ts";
import { baseName } from "../nix/store-path.ts";
import type { PushedName } from "../push/name.ts";
import type { PushedClosure } from "../push/push.ts";
import type { BlobCount, Outcome } from "../push/tally.ts";
import { count } from "./context.ts";

/** What a push did, or would do. */
export interface PushReport {
  /** `<host>/<repository>` */
  readonly repository: string;
  readonly dryRun: boolean;
  readonly closures: readonly PushedClosure[];
  readonly name: PushedName | undefined;
  readonly outcome: Outcome;
  readonly seconds: number;
}

/** The report for a person. */
export function formatPush(report: PushReport): string {
  const { repository, dryRun, closures, name, outcome, seconds } = report;
  const { sent, present, mounted, manifests } = outcome;
  const lines = closures.flatMap((closure) => {
    const { tag, roots, system, paths, narSize, images, digest, unchanged } = closure;
    return [
      roots.map(baseName).join(" "),
      `  reference  ${repository}:${tag}`,
      ...(digest === undefined ? [] : [`  digest     ${digest}${unchanged ? ", unchanged" : ""}`]),
      `  closure    ${system}, ${count(paths, "path")}, ${formatBytes(narSize)}, ${count(images, "image")}`,
    ];
  });
  const parts = [
    `${dryRun ? "would send" : "sent"} ${blobs(sent)} and ${count(manifests, "manifest")}`,
    `already there ${blobs(present)}`,
    ...(mounted.blobs === 0 ? [] : [`mounted ${blobs(mounted)}`]),
    `${seconds.toFixed(1)} s`,
  ];
  if (name !== undefined) lines.push(...nameLines(name, repository));
  return `${lines.join("\n")}\n${parts.join(", ")}\n`;
}

function nameLines(
  { name, closures, store, profile, digest, unchanged }: PushedName,
  repository: string,
): readonly string[] {
  return [
    name,
    `  reference  ${repository}:${name}`,
    ...(digest === undefined ? [] : [`  digest     ${digest}${unchanged ? ", unchanged" : ""}`]),
    `  systems    ${closures.map(({ system }) => system).join(", ")}`,
    `  store      ${repository}:${store.tag}`,
    ...(profile === undefined ? [] : [`  profile    ${repository}:${profile.tag}`]),
  ];
}

/** The report's stable JSON form (docs/cli.md). */
export function pushJson(report: PushReport): object {
  const { repository, dryRun, closures, name, outcome, seconds } = report;
  return {
    repository,
    dryRun,
    closures: closures.map(({ tag, roots, system, paths, narSize, images, digest, replaced, unchanged }) => ({
      reference: `${repository}:${tag}`,
      tag,
      digest,
      roots,
      system,
      paths,
      narSize,
      images,
      unchanged,
      replaced,
    })),
    ...(name !== undefined && { name: nameJson(name, repository) }),
    ...outcome,
    seconds: Math.round(seconds * 1000) / 1000,
  };
}

function nameJson(name: PushedName, repository: string): object {
  const { closures, store, profile, digest, replaced, unchanged } = name;
  return {
    name: name.name,
    reference: `${repository}:${name.name}`,
    digest,
    systems: Object.fromEntries(closures.map(({ system, root }) => [system, root])),
    store,
    profile,
    unchanged,
    replaced,
  };
}

function blobs({ blobs, bytes }: BlobCount): string {
  return `${count(blobs, "blob")} (${formatBytes(bytes)})`;
}
