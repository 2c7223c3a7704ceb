import { setTimeout as delay } from "node:timers/promises";
import { connectApiServer } from "./api-server.ts";
import { annotatedPod, type KubernetesObject, plainPod } from "./pods.ts";
import { createTally, type LoadCounts } from "./tally.ts";

export { type LoadCounts, recoveryMs } from "./tally.ts";

/** What is sent. */
export interface LoadOptions {
  /** An existing namespace. */
  readonly namespace: string;
  /** Pods a second, half of them annotated. */
  readonly perSecond?: number;
  /** Pods that are sent; the number is that of those sent before. */
  readonly annotated?: (number: number) => KubernetesObject;
  readonly plain?: (number: number) => KubernetesObject;
}

/** A stream of Pods that are created as server-side dry runs. */
export interface Load {
  /** What has been counted so far. */
  counts(): LoadCounts;
  /**
   * Waits until every annotated Pod that was sent within a time has been injected, and every plain one created.
   *
   * @param quietMs that time, at least
   * @throws Error with the counts if it does not come within the deadline
   */
  untilSteady(quietMs?: number, deadlineMs?: number): Promise<void>;
  /** Sends nothing more, waits for the answers that are under way, and returns the counts. */
  stop(): Promise<LoadCounts>;
}

/**
 * Begins to send at a rate that does not depend on how fast answers come, so that Pods that wait are seen as such.
 * Returns once the first annotated Pod has been injected and the first plain one created.
 *
 * @throws Error if that does not come true
 */
export async function startLoad({
  namespace,
  perSecond = 24,
  annotated = () => named(annotatedPod({ name: "", namespace })),
  plain = () => named(plainPod({ name: "", namespace })),
}: LoadOptions): Promise<Load> {
  const server = await connectApiServer();
  await warmUp(async () => {
    const answers = await Promise.all([server.dryRun(annotated(0)), server.dryRun(plain(0))]);
    const tally = createTally(0);
    answers.forEach((answer, index) => tally.add(index === 0, answer, 0, 0));
    return tally.counts(0);
  });

  const startedAt = Date.now();
  const tally = createTally(startedAt);
  const underWay = new Set<Promise<void>>();
  let sent = 0;
  let lastTrouble = startedAt;
  const send = async (isAnnotated: boolean, pod: KubernetesObject): Promise<void> => {
    const sentAt = Date.now();
    const answer = await server.dryRun(pod);
    const verdict = tally.add(isAnnotated, answer, sentAt, Date.now());
    if (verdict !== "injected" && verdict !== "plainCreated") lastTrouble = Math.max(lastTrouble, sentAt);
  };
  const timer = setInterval(() => {
    // The timer may come late; the rate is kept all the same.
    for (const due = ((Date.now() - startedAt) * perSecond) / 1000; sent < due; sent++) {
      const isAnnotated = sent % 2 === 0;
      const request = send(isAnnotated, isAnnotated ? annotated(sent) : plain(sent));
      underWay.add(request);
      void request.finally(() => underWay.delete(request));
    }
  }, 1000 / perSecond);
  const counts = (): LoadCounts => tally.counts(Date.now());

  return {
    counts,
    async untilSteady(quietMs = 2000, deadlineMs = 60_000) {
      const begun = Date.now();
      lastTrouble = Math.max(lastTrouble, begun);
      // A request that has no answer yet may still turn out to be trouble: those sent before now have to be answered.
      for (;;) {
        const quietSince = lastTrouble;
        if (Date.now() - quietSince > quietMs) {
          await Promise.all(underWay);
          if (lastTrouble === quietSince) return;
        }
        if (Date.now() - begun > deadlineMs)
          throw new Error(`not steady within ${deadlineMs / 1000} s: ${JSON.stringify(counts())}`);
        await delay(50);
      }
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      const final = counts();
      await server.close();
      return final;
    },
  };
}

/** The first answers: connections are made, and the closure is looked up. */
async function warmUp(tryOnce: () => Promise<LoadCounts>): Promise<void> {
  const end = Date.now() + 30_000;
  for (;;) {
    const { verdicts, messages } = await tryOnce();
    if (verdicts.injected === 1 && verdicts.plainCreated === 1) return;
    if (Date.now() > end) throw new Error(`Pods are not created: ${JSON.stringify(messages)}`);
    await delay(250);
  }
}

/** A dry run may have any name; the API server makes one. */
function named(pod: KubernetesObject): KubernetesObject {
  const { name: _, ...metadata } = pod.metadata;
  return { ...pod, metadata: { ...metadata, generateName: "load-" } };
}
