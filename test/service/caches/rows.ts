import { expect } from "vitest";
import type { TestPair } from "../../webhook/made-pair.ts";
import { tryLie, type Findings, type Outcome } from "./findings.ts";
import { lies, type LieCode } from "./lies/all.ts";
import type { LyingCacheOptions } from "./lying-cache.ts";
import type { Verdict } from "./trial.ts";

/** An error's code, and words that its message has. */
export type Refusal = readonly [code: keyof typeof statuses, ...words: (string | RegExp)[]];

/** What is to come of a lie. */
export interface Row {
  readonly lie: LieCode;
  /** What the lie is about: with a narinfo the admission says who needs the path. */
  readonly about: "info" | "narinfo" | "nar";
  readonly admission: "allowed" | Refusal;
  readonly pull: "served" | Refusal;
  /** Metrics that move, besides those that follow: of requests to caches (`narinfo error`) or conversions (`path error`). */
  readonly moves: readonly string[];
  /** What the next review says, where that is not the same again. */
  readonly again?: "allowed" | Refusal;
  /** What a pull says when an honest cache comes after the lying one; the admission is to allow it. */
  readonly followed?: Refusal;
  readonly query?: string;
}

/** HTTP status of the admission, of the pull, and the registry's code. */
const statuses = {
  CACHE_UNAVAILABLE: [503, 503, "UNAVAILABLE"],
  RESOLVE_TIMEOUT: [504, 503, "UNAVAILABLE"],
  CACHE_INVALID_ANSWER: [502, 503, "UNAVAILABLE"],
  CACHE_ACCESS_DENIED: [502, 503, "UNAVAILABLE"],
  CACHE_LEADS_AWAY: [502, 503, "UNAVAILABLE"],
  COMPRESSION_UNSUPPORTED: [502, 503, "UNAVAILABLE"],
  CONTENT_ADDRESS_MISMATCH: [502, 503, "UNAVAILABLE"],
  DECOMPRESSION_FAILED: [502, 503, "UNAVAILABLE"],
  NAR_HASH_MISMATCH: [502, 503, "UNAVAILABLE"],
  NAR_INVALID: [502, 503, "UNAVAILABLE"],
  NAR_MISSING: [502, 503, "UNAVAILABLE"],
  NAR_SIZE_MISMATCH: [502, 503, "UNAVAILABLE"],
  NOT_A_DIRECTORY: [422, 422, "MANIFEST_INVALID"],
  PATH_MISMATCH: [404, 404, "MANIFEST_UNKNOWN"],
  PATH_UNKNOWN: [404, 404, "MANIFEST_UNKNOWN"],
  PATH_UNTRUSTED: [403, 403, "DENIED"],
} as const;

/** The name of a row's test. */
export function titleOf({ lie }: Pick<Row, "lie">): string {
  return `${lie}: a cache that ${lies[lie].name}`;
}

/** Tries a row's lie, and holds everything that comes of it against the row. */
export async function tryRow(row: Row, pair: TestPair, options: LyingCacheOptions = {}): Promise<Findings> {
  const findings = await tryLie(row.lie, pair, { ...options, ...(row.query && { query: row.query }) });
  const { alone, again, followed, errors } = findings;
  expectVerdict(alone.verdict, row.admission, row, findings);
  expectPull(alone, row.pull, findings);
  expectVerdict(again, row.again ?? row.admission, row, findings);
  expectMetrics(row, findings);
  expect(followed.verdict.message).toBe("");
  expect(followed.verdict.allowed).toBe(true);
  expectPull(followed, row.followed ?? "served", findings);
  expect(errors).toEqual([]);
  return findings;
}

function expectVerdict(
  { allowed, status, message }: Verdict,
  expected: Row["admission"],
  { about }: Row,
  { scene, lying }: Findings,
): void {
  if (expected === "allowed") {
    expect(message).toBe("");
    expect(allowed).toBe(true);
    return;
  }
  const [code, ...words] = expected;
  expect(allowed).toBe(false);
  expect(status).toBe(statuses[code][0]);
  expect(message).toMatch(/^nix-closure: [^\n]*$/);
  expect(message).toContain(`[${code}, see docs/errors.md#${code.toLowerCase()}]`);
  if (code !== "RESOLVE_TIMEOUT") expect(message).toContain(lying.url);
  expect(message).toContain(about === "info" || code === "RESOLVE_TIMEOUT" ? scene.root : scene.victim);
  if (about === "narinfo" && code !== "RESOLVE_TIMEOUT") expect(message).toContain(`needed by ${scene.root}`);
  for (const word of words) expect(message).toMatch(pattern(word));
}

function expectPull(
  { pulled, isTrue, published }: Outcome,
  expected: Row["pull"],
  { lying, scene }: Findings,
): void {
  if (expected === "served") {
    if (!("layer" in pulled)) expect.fail(pulled.message);
    expect(isTrue).toBe(true);
    expect(published).toEqual([pulled.digest]);
    return;
  }
  const [code, ...words] = expected;
  const [, status, protocolCode] = statuses[code];
  expect(published).toEqual([]);
  expect(pulled).toMatchObject({ status, code: protocolCode, detail: code });
  if (!("message" in pulled)) return;
  expect(pulled.retryAfter).toBe(status === 503 ? "10" : null);
  // The whole name, or as much of it as an image's name has.
  expect(pulled.message).toMatch(new RegExp(`${scene.victim.slice(0, 43)}-(\\*|${scene.victim.slice(44)})`));
  if (code !== "NOT_A_DIRECTORY") expect(pulled.message).toContain(lying.url);
  for (const word of words) expect(pulled.message).toMatch(pattern(word));
}

function expectMetrics(row: Row, { metrics }: Findings): void {
  const moved = (series: string): void => expect(metrics.get(series), series).toBeGreaterThan(0);
  moved(
    row.admission === "allowed"
      ? 'admissions_total{outcome="injected",reason="none"}'
      : `admissions_total{outcome="denied",reason="${row.admission[0]}"}`,
  );
  const status = row.pull === "served" ? 200 : statuses[row.pull[0]][1];
  moved(`registry_requests_total{kind="manifest",status="${Math.floor(status / 100)}xx"}`);
  for (const move of row.moves) {
    const [kind, outcome] = move.split(" ");
    const name = kind === "path" || kind === "store" ? "conversions_total" : "cache_requests_total";
    moved(`${name}{kind="${kind}",outcome="${outcome}"}`);
  }
}

function pattern(word: string | RegExp): RegExp {
  return typeof word === "string" ? new RegExp(RegExp.escape(word)) : word;
}
