import { formatBytes } from "../errors.ts";
import { baseName } from "../nix/store-path.ts";
import type { PushedClosure } from "../push/push.ts";
import type { BlobCount, Outcome } from "../push/tally.ts";
import { count } from "./context.ts";

/** What a push did, or would do. */
export interface PushReport {
  /** `<host>/<repository>` */
  readonly repository: string;
  readonly dryRun: boolean;
  readonly closures: readonly PushedClosure[];
  readonly outcome: Outcome;
  readonly seconds: number;
}

/** The report for a person. */
export function formatPush({ repository, dryRun, closures, outcome, seconds }: PushReport): string {
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
  return `${lines.join("\n")}\n${parts.join(", ")}\n`;
}

/** The report's stable JSON form (docs/cli.md). */
export function pushJson({ repository, dryRun, closures, outcome, seconds }: PushReport): object {
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
    ...outcome,
    seconds: Math.round(seconds * 1000) / 1000,
  };
}

function blobs({ blobs, bytes }: BlobCount): string {
  return `${count(blobs, "blob")} (${formatBytes(bytes)})`;
}
