import { buildApplication, buildRouteMap, run, text_en } from "@stricli/core";
import { NixClosureError, toNixClosureError } from "../errors.ts";
import { certsCommand } from "./certs.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOf, exitCodes, WrongArguments } from "./exit-codes.ts";
import { generateKeyCommand } from "./generate-key.ts";
import { injectCommand } from "./inject.ts";
import { planCommand } from "./plan.ts";
import { pushBaseCommand } from "./push-base.ts";
import { pushCommand } from "./push.ts";
import { resolveCommand } from "./resolve.ts";
import { serveCommand } from "./serve.ts";
import { version } from "./version.ts";

// Each command loads what it needs when it is run: help and wrong arguments are answered at once.
const root = buildRouteMap({
  routes: {
    serve: serveCommand,
    inject: injectCommand,
    resolve: resolveCommand,
    plan: planCommand,
    push: pushCommand,
    "push-base": pushBaseCommand,
    "generate-key": generateKeyCommand,
    certs: certsCommand,
  },
  docs: { brief: "Nix closures as image volumes on stock Kubernetes" },
});

const application = buildApplication(root, {
  name: "nix-closure",
  versionInfo: { currentVersion: version },
  scanner: { caseStyle: "allow-kebab-for-camel" },
  documentation: { useAliasInUsageLine: false },
  determineExitCode: exitCodeOf,
  localization: {
    text: {
      ...text_en,
      exceptionWhileRunningCommand: formatFailure,
      commandErrorResult: formatFailure,
    },
  },
});

/** Runs the command line; the exit code is left in the context's process. */
export async function runCli(args: readonly string[], context: CliContext): Promise<void> {
  await run(application, args, context);
  // Stricli has negative codes for what it finds wrong with the arguments.
  const code = Number(context.process.exitCode ?? 0);
  if (code < 0) context.process.exitCode = exitCodes.usage;
}

/** One line for a person; a bug of ours comes with its stack. */
function formatFailure(thrown: unknown): string {
  if (thrown instanceof WrongArguments) return `nix-closure: ${thrown.cause.toLine()}`;
  const error = toNixClosureError(thrown);
  if (!(thrown instanceof NixClosureError) && thrown instanceof Error)
    return `nix-closure: ${thrown.stack ?? error.message}`;
  return `nix-closure: ${error.toLine()}`;
}
