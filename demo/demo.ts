/** `npm run demo [-- <root>]`: a Pod's whole way from its annotation to its running program, on this machine alone. */
import { join } from "node:path";
import { storePathName } from "../src/nix/store-path.ts";
import { admitPod } from "./admit.ts";
import { defaultRoot, findApp, type App } from "./apps.ts";
import { checkTree } from "./check-tree.ts";
import { reportFailure } from "./failure.ts";
import { interruptionSignal } from "./interruption.ts";
import { containerImages } from "./mounts.ts";
import { createOutput, duration } from "./output.ts";
import { pullImages } from "./pull.ts";
import { makeScratch, removeScratch } from "./scratch.ts";
import { serveDemo } from "./serve.ts";
import { showProgram } from "./show-program.ts";
import type { Stage } from "./stage.ts";
import { unpackImages } from "./unpack.ts";

const output = createOutput(process.stdout);
const signal = interruptionSignal();

try {
  const [wanted = defaultRoot, ...more] = process.argv.slice(2);
  if (more.length > 0 || wanted.startsWith("-"))
    throw new Error("usage: npm run demo [-- <store path or its name>]");
  await demonstrate(await findApp(wanted));
} catch (error) {
  output.clear();
  // Whatever an interruption made of a step, it is what happened.
  reportFailure(signal.aborted ? signal.reason : error);
}

async function demonstrate(app: App): Promise<void> {
  const started = performance.now();
  const scratch = await makeScratch();
  try {
    const stage: Stage = { output, signal, scratch };
    output.title(
      `nix-closure: ${storePathName(app.storePath)}, from a Pod's annotation to a running program`,
    );
    await using demo = await serveDemo(stage, app);
    const container = containerImages(await admitPod(stage, app, demo));
    const images = await pullImages(stage, container);
    const root = join(scratch, "root");
    output.step("Unpacked as the Pod mounts them");
    await unpackImages(root, container, images, stage.signal);
    await checkTree(stage, root, demo.closure);
    await showProgram(stage, app, { root, container, base: images.get(container.base) });
  } finally {
    await removeScratch(scratch);
  }
  output.title(`Done in ${duration(performance.now() - started)}; nothing is left behind.`);
}
