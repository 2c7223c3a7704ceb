import { buildCommand } from "@stricli/core";
import { NixClosureError } from "../errors.ts";
import { strategies, type Strategy } from "../plan/plan.ts";
import { note, print, type CliContext } from "./context.ts";
import { WrongArguments } from "./exit-codes.ts";
import { configFlag, jsonFlag, rootArguments } from "./flags.ts";

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
    positional: rootArguments,
  },
  async func(this: CliContext, flags: Flags, ...words: readonly string[]): Promise<void> {
    const [{ openToolbox }, { parseRootArguments }, { makePlan }, { viewPlan }, { formatPlan }] =
      await Promise.all([
        import("./toolbox.ts"),
        import("./root-arguments.ts"),
        import("./make-plan.ts"),
        import("./plan-view.ts"),
        import("./plan-text.ts"),
      ]);
    await using toolbox = await openToolbox(this, flags.config);
    const { config, progress } = toolbox;
    const roots = parseRootArguments(words, config);
    const otherRoots = (flags.with ?? []).map((word) => parseRootArguments([word], config));
    const { plan, warnings } = await makePlan(toolbox, roots, flags.strategy);
    const made = await Promise.all(otherRoots.map((other) => makePlan(toolbox, other, flags.strategy)));
    const others = made.map((other) => other.plan);
    const view = viewOf(() => viewPlan(plan, { others, why: flags.why, kubelet: config.kubelet }));
    progress.end();
    for (const warning of warnings) note(this, warning);
    print(this, flags.json ? `${JSON.stringify(view)}\n` : formatPlan(view));
  },
});

/** A name that says too little is a wrong argument, one that is not in the closure an answer. */
function viewOf<View>(make: () => View): View {
  try {
    return make();
  } catch (error) {
    if (error instanceof NixClosureError && error.code === "PATH_AMBIGUOUS") throw new WrongArguments(error);
    throw error;
  }
}
