import { buildCommand } from "@stricli/core";
import type { Closure, PathType } from "../nix/closure.ts";
import type { StorePath } from "../nix/store-path.ts";
import { print, type CliContext } from "./context.ts";
import { configFlag, jsonFlag, rootArguments } from "./flags.ts";
import { formatTree } from "./tree.ts";

interface Flags {
  readonly config?: string;
  readonly json: boolean;
}

export const resolveCommand = buildCommand({
  docs: { brief: "Show the closure of store paths: what they need, with sizes" },
  parameters: {
    flags: {
      config: configFlag,
      json: jsonFlag,
    },
    positional: rootArguments,
  },
  async func(this: CliContext, flags: Flags, ...words: readonly string[]): Promise<void> {
    const [{ openToolbox }, { parseRootArguments }] = await Promise.all([
      import("./toolbox.ts"),
      import("./root-arguments.ts"),
    ]);
    await using toolbox = await openToolbox(this, flags.config);
    const { source, roots } = parseRootArguments(words, toolbox.config);
    const closure = await toolbox.resolver.resolve(source, roots);
    if (!flags.json) {
      toolbox.progress.end();
      print(this, formatTree(closure));
      return;
    }
    const paths = closure.paths.map((info) => info.storePath);
    const types = await toolbox.resolver.pathTypes(source, paths);
    toolbox.progress.end();
    print(this, `${JSON.stringify(closureJson(closure, types))}\n`);
  },
});

/** The stable JSON form of a closure. */
function closureJson(closure: Closure, types: ReadonlyMap<StorePath, PathType>): object {
  return {
    roots: closure.roots,
    paths: closure.paths.map(({ storePath, narHash, narSize, references }) => ({
      storePath,
      narHash,
      narSize,
      references,
      type: types.get(storePath),
    })),
    narSize: closure.narSize,
  };
}
