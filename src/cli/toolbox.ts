import type { Config } from "../config.ts";
import { createResolver, type Resolver } from "../resolver/resolver.ts";
import { silentObserver } from "../resolver/observer.ts";
import { createAdmission, type Admission } from "../webhook/admission.ts";
import { admissionSettings, resolverOptions } from "../service/settings.ts";
import { count, type CliContext } from "./context.ts";
import { openConfig } from "./open-config.ts";
import { startProgress, type Progress } from "./progress.ts";

/** What one-shot commands work with. */
export interface Toolbox extends AsyncDisposable {
  readonly config: Config;
  readonly resolver: Resolver;
  readonly admission: Admission;
  /** To be ended before results are printed: they may go to the same terminal. */
  readonly progress: Progress;
}

/** Loads the configuration and makes a resolver, whose work shows as progress on a terminal. */
export async function openToolbox(context: CliContext, file: string | undefined): Promise<Toolbox> {
  const { config } = await openConfig(file);
  const progress = startProgress(context);
  let answers = 0;
  const update = (): void => progress.update(`resolving: ${count(answers, "answer")}`);
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
