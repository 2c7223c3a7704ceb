import assert from "node:assert/strict";

import { type NixClosureError } from "../../../src/errors.ts";
import { annotationKeys, parseAnnotations, type Annotations } from "../../../src/patch/annotations.ts";
import type { AskedClosure } from "../../../src/patch/asked-closure.ts";
import { GoldenFolder } from "../../patch/golden-files.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";
import { podsOf } from "./pods.ts";

const known = { sources: ["demo", "other", "team-a"], defaultSource: "demo" };
const codes = [
  "ANNOTATION_INVALID",
  "ANNOTATION_UNKNOWN",
  "CLOSURE_NAME_INVALID",
  "ROOTS_MISSING",
  "SOURCE_UNKNOWN",
  "STORE_PATH_INVALID",
] as const;
/** Between entries, and between key and value: neither is in real ones. */
const [entryMark, valueMark] = ["\x1e", "\x1f"] as const;

function format(annotations: Readonly<Record<string, string>>): Buffer {
  return Buffer.from(
    Object.entries(annotations)
      .map(([key, value]) => key + valueMark + value)
      .join(entryMark),
  );
}

function annotationsIn(input: Uint8Array): Readonly<Record<string, string>> {
  const entries = Buffer.from(input).toString().split(entryMark);
  return Object.fromEntries(
    entries.map((entry) => {
      const [key = "", ...value] = entry.split(valueMark);
      return [key, value.join(valueMark)];
    }),
  );
}

/** Annotations are wrong in words, or mean what they mean when they are written anew. */
function check(input: Uint8Array): Verdict {
  const errors: NixClosureError[] = [];
  const parsed = parseAnnotations(annotationsIn(input), known, errors);
  const verdicts = errors.map((error) => refused(error, ...codes));
  assert.ok(errors.length < 40, `${errors.length} errors`);
  if (verdicts[0] !== undefined) return verdicts[0];
  if (parsed === undefined) return accepted("none");
  const again = parseAnnotations(rewrite(parsed), known, errors);
  assert.deepEqual(errors, []);
  assert.deepEqual(again, parsed);
  return accepted(Object.keys(parsed).join());
}

/** The same in its plainest form. */
function rewrite(parsed: Annotations): Readonly<Record<string, string>> {
  const text = (asked: AskedClosure): string =>
    `${asked.source}: ${"name" in asked ? asked.name : asked.roots.join(" ")}`;
  const entries: readonly (readonly [string, string | undefined])[] = [
    [annotationKeys.closure, parsed.closure && text(parsed.closure)],
    ...[...parsed.containerClosures].map(
      ([name, roots]) => [annotationKeys.container + name, text(roots)] as const,
    ),
    [annotationKeys.containers, parsed.containers?.join(",")],
    [annotationKeys.strategy, parsed.strategy],
    [annotationKeys.profile, parsed.profile ?? "none"],
    [annotationKeys.path, parsed.path?.toString()],
    [annotationKeys.system, parsed.system],
  ];
  return Object.fromEntries(entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

const golden = podsOf(new GoldenFolder("./")).map(({ metadata }) => format(metadata.annotations ?? {}));

/** Annotations of a Pod. */
export const annotations: FuzzTarget = {
  name: "annotations",
  seeds: golden.filter(({ length }) => length > 0),
  words: [
    ...Object.values(annotationKeys).map((key) => `${entryMark}${key}${valueMark}`),
    entryMark,
    valueMark,
    "demo:",
    "other :",
    "team-a:",
    ",",
    "none",
    "/",
    "/nix/store/",
    "..",
    "per-path",
    "packed",
    "x86_64-linux",
    "true",
    "__proto__",
    "\ud800",
    " ",
    "\n",
    "\0",
  ],
  maxLength: 32 * 1024,
  maxMs: 1000,
  check,
};
