import { access } from "node:fs/promises";
import { annotationsInvalid, type NixClosureError } from "../errors.ts";
import { loadConfig, type Config } from "../config.ts";
import { parseRoots, type Roots } from "../patch/annotations.ts";
import { createResolver, type Resolver } from "../resolver/resolver.ts";
import { silentObserver } from "../resolver/observer.ts";
import { createAdmission, type Admission } from "../webhook/admission.ts";
import { admissionSettings, resolverOptions } from "../service/settings.ts";
import { count, type CliContext } from "./context.ts";
import { WrongArguments } from "./exit-codes.ts";
import { defaultConfigFile } from "./flags.ts";
import { startProgress, type Progress } from "./progress.ts";

/** What one-shot commands work with. */
export interface Toolbox extends AsyncDisposable {
  readonly config: Config;
  readonly resolver: Resolver;
  readonly admission: Admission;
  /** To be ended before results are printed: they may go to the same terminal. */
  readonly progress: Progress;
}

/** Loads the configuration, which is the given file, or the default one if it is there. */
export async function openConfig(
  file: string | undefined,
): Promise<{ config: Config; file: string | undefined }> {
  const name = file ?? ((await exists(defaultConfigFile)) ? defaultConfigFile : undefined);
  return { config: await loadConfig(name), file: name };
}

/** Loads the configuration and makes a resolver, whose work shows as progress on a terminal. */
export async function openToolbox(context: CliContext, file: string | undefined): Promise<Toolbox> {
  const { config } = await openConfig(file);
  const progress = startProgress(context);
  let answers = 0;
  const update = (): void => progress.update(`resolving: ${count(answers, "answer")} from caches`);
  update();
  const resolver = createResolver({
    ...resolverOptions(config),
    observer: {
      ...silentObserver,
      cacheRequest() {
        answers++;
        update();
      },
    },
  });
  return {
    config,
    resolver,
    admission: createAdmission(resolver, admissionSettings(config)),
    progress,
    async [Symbol.asyncDispose]() {
      progress.end();
      await resolver.close();
    },
  };
}

/**
 * The roots on a command line: store paths as in the annotation nix.closure; `/nix/store/` may be left out.
 * @throws WrongArguments with all that is wrong.
 */
export function parseRootArguments(words: readonly string[], config: Config): Roots {
  const errors: NixClosureError[] = [];
  const value = words.join(" ").replace(/(^|[\s,:])(?=[0-9a-z]{32}-)/g, "$1/nix/store/");
  const known = { sources: config.sources.map((source) => source.name), defaultSource: config.defaultSource };
  const roots = parseRoots("argument", value, known, errors);
  const [first, ...more] = errors;
  if (roots !== undefined && first === undefined) return roots;
  if (first !== undefined && more.length === 0) throw new WrongArguments(first);
  throw new WrongArguments(annotationsInvalid(errors.map((error) => `${error.message} [${error.code}]`)));
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
