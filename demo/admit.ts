import { randomUUID } from "node:crypto";
import { styleText } from "node:util";
import jsonPatch, { type Operation } from "fast-json-patch";
import type { Pod } from "../src/patch/pod.ts";
import type { App } from "./apps.ts";
import { yamlDiff } from "./diff.ts";
import { duration } from "./output.ts";
import { createReview, postReview, readDemoPod } from "./review.ts";
import type { ServedDemo } from "./serve.ts";
import type { Stage } from "./stage.ts";

/**
 * Sends the demo's Pod, with the app's closure, through the webhook, and shows what it changed.
 *
 * @returns the Pod that an API server would store.
 * @throws Error with the webhook's words if it denies the Pod
 */
export async function admitPod(
  { output, signal }: Stage,
  app: App,
  { webhook, ca }: ServedDemo,
): Promise<Pod> {
  const identity = { uid: randomUUID(), podUid: randomUUID(), created: new Date() };
  const review = createReview(podFor(await readDemoPod(), app), identity);
  const before = review.request.object;
  const asked = performance.now();
  const response = await postReview(webhook, ca, review, signal);
  const took = duration(performance.now() - asked);
  if (!response.allowed)
    throw new Error(response.status?.message ?? "the webhook denied the Pod without a word");
  const operations = decodePatch(response.patch);
  const after = jsonPatch.applyPatch(before, operations, true, false).newDocument;

  output.step(`The Pod, admitted in ${took} with ${operations.length} patch operations`);
  for (const warning of response.warnings ?? []) output.line(styleText("yellow", `warning: ${warning}`));
  for (const line of yamlDiff(before, after)) output.line(line);
  return after;
}

function decodePatch(patch: string | undefined): Operation[] {
  return patch === undefined
    ? []
    : (JSON.parse(Buffer.from(patch, "base64").toString("utf8")) as Operation[]);
}

/** The demo's Pod with another closure and command. */
function podFor(pod: Pod, { storePath, showing }: App): Pod {
  const command = showing.kind === "first-program" ? undefined : showing.command;
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, "nix.closure": storePath } },
    spec: { ...pod.spec, containers: pod.spec.containers.map((container) => ({ ...container, command })) },
  };
}
