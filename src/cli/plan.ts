import { buildCommand } from "@stricli/core";
import type { System } from "../closure-index/system.ts";
import { NixClosureError } from "../errors.ts";
import { strategies, type Strategy } from "../plan/plan.ts";
import { note, print, type CliContext } from "./context.ts";
import { WrongArguments } from "./exit-codes.ts";
import { closureArguments, configFlag, jsonFlag } from "./flags.ts";
import type { MadePlan } from "./make-plan.ts";

interface Flags {
  readonly config?: string;
  readonly json: boolean;
  readonly strategy?: Strategy;
  readonly with?: readonly string[];
  readonly why?: string;
}

export const planCommand = buildCommand({
  docs: {
    brief: "Show the image volumes that a Pod with these store paths gets",
    fullDescription:
      "Shows the image volumes that a Pod with these store paths gets, and how long it is estimated to start: cold, where " +
      "neither the node nor its registry has anything, and warm. A stock kubelet allows 5 pulls a second after a burst of " +
      "10, a tuned one has registryPullQPS 0.",
  },
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
      with: {
        kind: "parsed",
        parse: String,
        brief: "Store paths of a Pod that the node runs already: show what is shared (repeatable)",
        placeholder: "ROOT",
        optional: true,
        variadic: true,
      },
      why: {
        kind: "parsed",
        parse: String,
        brief: "Store path, hash or name: show why it is there",
        placeholder: "PATH",
        optional: true,
      },
    },
    positional: closureArguments,
  },
  async func(this: CliContext, flags: Flags, ...words: readonly string[]): Promise<void> {
    const [{ openToolbox }, { parseClosureArguments }, { makePlans }, { viewPlan }, { formatPlan }] =
      await Promise.all([
        import("./toolbox.ts"),
        import("./root-arguments.ts"),
        import("./make-plan.ts"),
        import("./plan-view.ts"),
        import("./plan-text.ts"),
      ]);
    await using toolbox = await openToolbox(this, flags.config);
    const { config, progress } = toolbox;
    const asked = parseClosureArguments(words, config);
    const otherAsked = (flags.with ?? []).map((word) => parseClosureArguments([word], config));
    const made = await makePlans(toolbox, asked, flags.strategy);
    const otherMade = await Promise.all(
      otherAsked.map(async (other) => makePlans(toolbox, other, flags.strategy)),
    );
    const views = viewAll(made, flags.why !== undefined, ({ plan, system }) => {
      const others = otherMade.flat().filter((other) => mayShareNode(other.system, system));
      const options = { others: others.map((other) => other.plan), why: flags.why, kubelet: config.kubelet };
      return { system, view: viewOf(() => viewPlan(plan, options)) };
    });
    progress.end();
    for (const warning of made.flatMap(({ warnings }) => warnings)) note(this, warning);
    if ("roots" in asked) {
      for (const { view } of views) print(this, flags.json ? `${JSON.stringify(view)}\n` : formatPlan(view));
      return;
    }
    const { source, name } = asked;
    const systems = views.map(({ system = "", view }) => [system, view] as const);
    const text = systems.map(([system, view]) => `${name} on ${system}\n\n${formatPlan(view)}`).join("\n");
    const json = { source, name, systems: Object.fromEntries(systems) };
    print(this, flags.json ? `${JSON.stringify(json)}\n` : text);
  },
});

/** Whether Pods of two systems can be on one node; undefined is for any. */
function mayShareNode(one: System | undefined, other: System | undefined): boolean {
  return one === undefined || other === undefined || one === other;
}

/**
 * The views of all plans. A path that is asked for may be in some of them only.
 *
 * @param isPartial whether a plan without the path is left out.
 * @throws pathNotInClosure if it is in none
 */
function viewAll<View>(
  made: readonly MadePlan[],
  isPartial: boolean,
  view: (made: MadePlan) => View,
): readonly View[] {
  let missing: unknown;
  const views = made.flatMap((one) => {
    try {
      return [view(one)];
    } catch (error) {
      if (!isPartial || !(error instanceof NixClosureError) || error.code !== "PATH_NOT_IN_CLOSURE")
        throw error;
      missing ??= error;
      return [];
    }
  });
  if (views.length === 0) throw missing;
  return views;
}

/** A name that says too little is a wrong argument, one that is not in the closure an answer. */
function viewOf<View>(make: () => View): View {
  try {
    return make();
  } catch (error) {
    if (error instanceof NixClosureError && error.code === "PATH_AMBIGUOUS") throw new WrongArguments(error);
    throw error;
  }
}
