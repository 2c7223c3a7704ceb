import { buildCommand } from "@stricli/core";
import { formatBytes, internal } from "../errors.ts";
import { pullBudget } from "../plan/budget.ts";
import { planClosures, strategies, typesNeeded, type Plan, type Strategy } from "../plan/plan.ts";
import { admissionSettings } from "../service/settings.ts";
import { count, print, type CliContext } from "./context.ts";
import { configFlag, jsonFlag, rootArguments } from "./flags.ts";

interface Flags {
  readonly config?: string;
  readonly json: boolean;
  readonly strategy?: Strategy;
}

export const planCommand = buildCommand({
  docs: { brief: "Show the image volumes that a Pod with these store paths gets" },
  parameters: {
    flags: {
      config: configFlag,
      json: jsonFlag,
      strategy: {
        kind: "enum",
        values: strategies,
        brief: "How the plan is chosen (default: the configuration's)",
        optional: true,
      },
    },
    positional: rootArguments,
  },
  async func(this: CliContext, flags: Flags, ...words: readonly string[]): Promise<void> {
    const { openToolbox, parseRootArguments } = await import("./toolbox.ts");
    await using toolbox = await openToolbox(this, flags.config);
    const { source, roots } = parseRootArguments(words, toolbox.config);
    const { host, maxImageBytes, maxVolumes, kubelet, ...settings } = admissionSettings(toolbox.config);
    const strategy = flags.strategy ?? settings.strategy;
    const closure = await toolbox.resolver.resolve(source, roots);
    const wanted = { source, closure, profileRoots: new Set([roots[0]]) };
    // Of a Pod with one container, whose image is pulled too.
    const maxImages = Math.min(pullBudget(kubelet, 1), maxVolumes);
    const [needed = []] = typesNeeded([wanted], { strategy, maxImages });
    const types = await toolbox.resolver.pathTypes(source, needed);
    const [plan] = planClosures([{ ...wanted, types }], { strategy, maxImages, host, maxImageBytes });
    if (plan === undefined) throw internal("a closure got no plan");
    toolbox.progress.end();
    print(this, flags.json ? `${JSON.stringify(planJson(plan))}\n` : formatPlan(plan));
  },
});

/** The stable JSON form of a plan. */
function planJson({ strategy, volumes }: Plan): object {
  return {
    strategy,
    volumes: volumes.map(({ name, reference, mountPath, storePaths, narSize }) => ({
      name,
      reference,
      mountPath,
      storePaths,
      narSize,
    })),
  };
}

function formatPlan({ strategy, volumes, closure }: Plan): string {
  const rows = volumes.map(({ narSize, storePaths, mountPath, reference }) => [
    formatBytes(narSize),
    count(storePaths.length, "path"),
    mountPath,
    reference,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map(([bytes = "", paths = "", mount = "", reference = ""]) =>
    [
      bytes.padStart(widths[0] ?? 0),
      paths.padEnd(widths[1] ?? 0),
      mount.padEnd(widths[2] ?? 0),
      reference,
    ].join("  "),
  );
  lines.push(`${strategy}: ${count(volumes.length, "volume")}, ${formatBytes(closure.narSize)}`);
  return `${lines.join("\n")}\n`;
}
