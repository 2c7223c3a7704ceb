import { buildCommand } from "@stricli/core";
import type { Closure, PathType } from "../nix/closure.ts";
import type { StorePath } from "../nix/store-path.ts";
import { print, type CliContext } from "./context.ts";
import { closureArguments, configFlag, jsonFlag } from "./flags.ts";
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
    positional: closureArguments,
  },
  async func(this: CliContext, flags: Flags, ...words: readonly string[]): Promise<void> {
    const [{ openToolbox }, { parseClosureArguments }, { readNamedClosures }] = await Promise.all([
      import("./toolbox.ts"),
      import("./root-arguments.ts"),
      import("./named-closures.ts"),
    ]);
    await using toolbox = await openToolbox(this, flags.config);
    const { resolver, progress, config } = toolbox;
    const asked = parseClosureArguments(words, config);
    if ("name" in asked) {
      const systems = (await readNamedClosures(resolver, asked)).map(({ named: { system }, closure }) => {
        return {
          system,
          closure,
          types: new Map(closure.paths.map(({ storePath, type }) => [storePath, type])),
        };
      });
      progress.end();
      const trees = systems.map(
        ({ system, closure }) => `${asked.name} on ${system}\n${formatTree(closure)}`,
      );
      const json = systems.map(
        ({ system, closure, types }) => [system, closureJson(closure, types)] as const,
      );
      const named = { source: asked.source, name: asked.name, systems: Object.fromEntries(json) };
      print(this, flags.json ? `${JSON.stringify(named)}\n` : trees.join("\n"));
      return;
    }
    const { source, roots } = asked;
    const closure = await resolver.resolve(source, roots);
    if (!flags.json) {
      progress.end();
      print(this, formatTree(closure));
      return;
    }
    const paths = closure.paths.map((info) => info.storePath);
    const types = await resolver.pathTypes(source, paths);
    progress.end();
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
