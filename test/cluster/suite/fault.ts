import { expect } from "vitest";
import { recordFault } from "./counts.ts";
import { createPods, type LivePods } from "./live-pods.ts";
import { type LoadCounts, recoveryMs, startLoad } from "./load.ts";
import type { PodOptions } from "./pods.ts";

/** What a fault has done. */
export interface FaultOutcome {
  readonly counts: LoadCounts;
  /** From the fault until annotated Pods were injected again; 0: none was held up. Milliseconds. */
  readonly recoveryMs: number;
  readonly live: LivePods;
}

/** A fault, and what there is to see meanwhile. */
export interface Fault {
  /** As the table of counts calls it. */
  readonly name: string;
  readonly namespace: string;
  /** What is needed for the fault, found out under the stream. */
  prepare?(): Promise<void>;
  /** Disturbs something, and returns when that has had its effect; the stream goes on until all is well again. */
  disturb(): Promise<void>;
  /** The fault ends the API server, so that Pods may have no answer at all. */
  readonly apiServerFails?: boolean;
  /** From the return of `disturb` until no annotated Pod is refused any more, at most. Milliseconds. */
  readonly deadlineMs?: number;
  /** Of the Pods that are really created meanwhile. */
  readonly live?: { readonly everyMs?: number; readonly atMost?: number; readonly spec?: PodOptions["spec"] };
}

/** A request that is under way when the fault comes was sent so long before, at most. Milliseconds. */
const underWayMs = 500;

/**
 * Lets a fault happen under a steady stream of Pods, records what it did, and checks what must hold in any fault: no
 * plain Pod is refused, no annotated one is created without its closure, none is refused before the fault, and those
 * that are really created come to run, or are refused in words.
 */
export async function underFault(fault: Fault): Promise<FaultOutcome> {
  const { name, namespace, apiServerFails = false } = fault;
  const load = await startLoad({ namespace });
  let stopped = false;
  const stop = (): Promise<LoadCounts> => {
    stopped = true;
    return load.stop();
  };
  try {
    await fault.prepare?.();
    await load.untilSteady(500);
    const faultAt = Date.now();
    const prefix = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
    const pods = createPods({ namespace, prefix, ...fault.live });
    let counts: LoadCounts;
    let live: LivePods;
    try {
      await fault.disturb();
      await load.untilSteady(2000, fault.deadlineMs ?? 30_000);
    } finally {
      counts = await stop();
      await recordFault(name, counts, recoveryMs(counts, faultAt));
      live = await pods.end();
    }
    const { verdicts, messages } = counts;
    const words = JSON.stringify(messages);
    expect(verdicts, words).toMatchObject({ plainRefused: 0, notInjected: 0, refusedOtherwise: 0 });
    if (!apiServerFails) expect(verdicts.unavailable, words).toBe(0);
    expect(counts.annotated + counts.plain).toBeGreaterThan((20 * counts.durationMs) / 1000);
    expect(counts.trouble?.first ?? faultAt, words).toBeGreaterThan(faultAt - underWayMs);
    if (!apiServerFails) expect(live.unanswered).toEqual([]);
    expect(live.succeeded).toBeGreaterThan(0);
    return { counts, recoveryMs: recoveryMs(counts, faultAt), live };
  } finally {
    if (!stopped) await load.stop();
  }
}

/** Of a fault that must cost nobody anything. */
export function expectNothingLost({ counts, live }: FaultOutcome): void {
  expect(counts.verdicts, JSON.stringify(counts.messages)).toMatchObject({
    refusedByUs: 0,
    webhookUnreachable: 0,
  });
  expect(live.refused).toEqual([]);
}
