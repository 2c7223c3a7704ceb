import { formatBytes } from "../errors.ts";
import { storePathName } from "../nix/store-path.ts";
import type { Presence } from "../plan/shared-images.ts";
import { count } from "./context.ts";
import type { ByKubelet, PlanView, SharedView, WhyView } from "./plan-view.ts";
import { alignColumns } from "./table.ts";

/** A plan for a person: the volumes, then their sum, what is shared, the estimated start, and why a path is there. */
export function formatPlan(view: PlanView): string {
  const { source, strategy, volumes, storePaths, narSize, shared, why } = view;
  const paths = count(storePaths, "path");
  const sum = `${strategy}: ${count(volumes.length, "volume")}, ${paths}, ${formatBytes(narSize)} from source ${source}`;
  const sections = [
    volumeTable(view),
    [sum, ...(shared === undefined ? [] : sharedLines(shared))],
    startTable(view),
    ...(why === undefined ? [] : [whyLines(why, view)]),
  ];
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

const presenceWords: Readonly<Record<Presence, string>> = { image: "yes", content: "layer", nothing: "-" };

function volumeTable({ volumes, shared }: PlanView): readonly string[] {
  const rows = volumes.map(({ narSize, storePaths, mountPath, present = "nothing" }) => [
    formatBytes(narSize),
    String(storePaths.length),
    ...(shared === undefined ? [] : [presenceWords[present]]),
    mountPath,
  ]);
  const head = ["SIZE", "PATHS", ...(shared === undefined ? [] : ["SHARED"]), "MOUNTED AT"];
  return alignColumns([head, ...rows], shared === undefined ? "rrl" : "rrll");
}

function sharedLines({ with: others, images, narSize, toPull }: SharedView): readonly string[] {
  const names = others.map((roots) => roots.map(storePathName).join(" and "));
  return [
    `shared with ${names.join(", ")}: ${count(images, "image")}, ${formatBytes(narSize)}`,
    `still to pull: ${count(toPull.images, "image")}, ${formatBytes(toPull.narSize)}`,
  ];
}

function startTable({ estimate, shared }: PlanView): readonly string[] {
  const { coldSeconds, warmSeconds } = estimate;
  // The configured kubelet is mostly one of the two others.
  const own = coldSeconds.configured !== coldSeconds.stock && coldSeconds.configured !== coldSeconds.tuned;
  const row = (name: string, { stock, tuned, configured }: ByKubelet): readonly string[] => [
    name,
    ...[stock, tuned, ...(own ? [configured] : [])].map(formatSeconds),
  ];
  const warm = { stock: warmSeconds, tuned: warmSeconds, configured: warmSeconds };
  return alignColumns(
    [
      ["ESTIMATED START", "STOCK KUBELET", "TUNED KUBELET", ...(own ? ["CONFIGURED"] : [])],
      row("cold", coldSeconds),
      ...(shared === undefined ? [] : [row("cold, less shared", shared.startSeconds)]),
      row("warm", warm),
    ],
    "lrrr",
  );
}

/** As `nix why-depends` prints a chain. */
function whyLines({ storePath, chain, volume }: WhyView, { volumes }: PlanView): readonly string[] {
  const mountPath = volumes.find(({ name }) => name === volume)?.mountPath ?? "";
  const [root = "", ...rest] = chain;
  const lines = rest.map((path, depth) => `${" ".repeat(4 * depth)}└───${path}`);
  const where = mountPath === storePath ? "in a volume of its own" : `in the volume at ${mountPath}`;
  return [root, ...lines, where];
}

function formatSeconds(value: number): string {
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} s`;
}
