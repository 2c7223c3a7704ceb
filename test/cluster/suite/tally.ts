import { type Answer, judge, messageOf, type Verdict, verdicts } from "./answers.ts";

/** How long answers took. Milliseconds; NaN: there was none. */
export interface Latencies {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What has been counted. */
export interface LoadCounts {
  /** Of Pods that were sent and answered, or given up. */
  readonly annotated: number;
  readonly plain: number;
  readonly verdicts: Readonly<Record<Verdict, number>>;
  /** Answers of the API server alone; requests that it did not answer are not among them. */
  readonly latencies: { readonly annotated: Latencies; readonly plain: Latencies };
  /** When the first and the last annotated Pod that was not injected were sent (Date.now); undefined: all were. */
  readonly trouble: { readonly first: number; readonly last: number } | undefined;
  /** From the beginning to the end. Milliseconds. */
  readonly durationMs: number;
  /** Refusals and errors in words, with how often each came; numbers, names and addresses in them are left out. */
  readonly messages: Readonly<Record<string, number>>;
}

/** Counts answers. */
export interface Tally {
  add(annotated: boolean, answer: Answer, sentAt: number, answeredAt: number): Verdict;
  counts(now: number): LoadCounts;
}

/** @param startedAt Date.now */
export function createTally(startedAt: number): Tally {
  const byVerdict = Object.fromEntries(verdicts.map((verdict) => [verdict, 0])) as Record<Verdict, number>;
  const times = { annotated: [] as number[], plain: [] as number[] };
  const totals = { annotated: 0, plain: 0 };
  const messages = new Map<string, number>();
  let trouble: LoadCounts["trouble"];
  return {
    add(annotated, answer, sentAt, answeredAt) {
      const verdict = judge(annotated, answer);
      const kind = annotated ? "annotated" : "plain";
      byVerdict[verdict]++;
      totals[kind]++;
      if (!("error" in answer)) times[kind].push(answeredAt - sentAt);
      if (verdict === "injected" || verdict === "plainCreated") return verdict;
      const words = shorten("error" in answer ? answer.error : messageOf(answer.body));
      messages.set(words, (messages.get(words) ?? 0) + 1);
      if (annotated)
        trouble = {
          first: Math.min(trouble?.first ?? sentAt, sentAt),
          last: Math.max(trouble?.last ?? sentAt, sentAt),
        };
      return verdict;
    },
    counts: (now) => ({
      ...totals,
      verdicts: { ...byVerdict },
      latencies: { annotated: latencies(times.annotated), plain: latencies(times.plain) },
      trouble,
      durationMs: now - startedAt,
      messages: Object.fromEntries([...messages].toSorted(([, a], [, b]) => b - a)),
    }),
  };
}

/** From a fault until annotated Pods were injected again, by when they were sent. 0: none was held up. Milliseconds. */
export function recoveryMs({ trouble }: Pick<LoadCounts, "trouble">, faultAt: number): number {
  return trouble === undefined ? 0 : Math.max(0, trouble.last - faultAt);
}

function latencies(values: readonly number[]): Latencies {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
  return { p50: at(0.5), p99: at(0.99), max: Math.round(sorted.at(-1) ?? Number.NaN) };
}

/** So that the same trouble counts as the same. */
function shorten(message: string): string {
  return message
    .replaceAll(/load-[a-z0-9]{5,}/g, "load-…")
    .replaceAll(/\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:->\S+)?/g, "<address>")
    .slice(0, 300);
}
