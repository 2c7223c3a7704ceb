import assert from "node:assert/strict";

import * as fc from "fast-check";

import { NixClosureError } from "../../../src/errors.ts";
import { NarReader, sniffPathType, type NarVisitor } from "../../../src/nix/nar-reader.ts";
import { NarToTar } from "../../../src/image/nar-to-tar.ts";
import { parseBaseName, storePathName } from "../../../src/nix/store-path.ts";
import { tarEnd } from "../../../src/oci/tar.ts";
import { below, unpackLayer, unpackNar } from "../../image/files.ts";
import { demoNarInfos, readDemoNar } from "../../nix/demo-cache.ts";
import { cut, NarRecorder, treeOf, type NarRecord } from "../../nix/nar-recorder.ts";
import { nested } from "../../nix/nar-samples.ts";
import { anyTree } from "../../nix/nar-trees.ts";
import { narString, writeNar } from "../../nix/nar-writer.ts";
import { mutateNar } from "../nar-mutator.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

const path = parseBaseName(`${"0".repeat(32)}-fuzz`);

/** Reads a NAR in chunks of these sizes, into a record or an error. */
function read(
  nar: Uint8Array,
  sizes: readonly number[],
  visitor?: NarVisitor,
): readonly NarRecord[] | NixClosureError {
  const recorder = new NarRecorder();
  const reader = new NarReader(visitor ?? recorder);
  try {
    for (const chunk of cut(nar, sizes)) reader.write(chunk);
    reader.end();
    return recorder.records;
  } catch (error) {
    if (error instanceof NixClosureError) return error;
    throw error;
  }
}

/**
 * However it is cut, a NAR is refused in the same words, or gives the same files; these written again are the same
 * bytes, and the archive that is made of it holds the same files.
 */
function check(input: Uint8Array): Verdict {
  const nar = Buffer.from(input);
  const records = read(nar, [nar.length]);
  const sizes = [1 + ((input[input.length >> 1] ?? 0) % 97), 8, 1];
  const again = read(nar, sizes);
  if (records instanceof NixClosureError) {
    assert.equal(again instanceof NixClosureError ? again.message : "read", records.message);
    return refused(records, "NAR_INVALID");
  }
  assert.deepEqual(again, records);
  assert.ok(writeNar(treeOf(records)).equals(nar), "written again it is another NAR");
  assert.equal(sniffPathType(nar), records[0]?.type);
  checkLimits(records);
  checkArchive(nar, records);
  return accepted(String(Math.min(records.length, 20)));
}

/** What a file system could hold, each path once. */
function checkLimits(records: readonly NarRecord[]): void {
  assert.equal(new Set(records.map((record) => record.path)).size, records.length, "a path twice");
  for (const record of records) {
    const names = record.path === "" ? [] : record.path.split("/");
    assert.ok(names.length < 64, "too deep");
    for (const name of names) assert.match(name, /^(?!\.\.?$)[^\0]{1,255}$/s);
    if (record.type === "symlink") assert.match(record.target, /^[^\0]{1,4095}$/s);
  }
}

function checkArchive(nar: Buffer, records: readonly NarRecord[]): void {
  const pieces: Uint8Array[] = [];
  const tar = new NarToTar(path, Buffer.from("root"), (bytes) => pieces.push(Buffer.from(bytes)));
  const failure = read(nar, [nar.length], tar);
  const hasWhiteout = records.some((record) => /(?:^|\/)\.wh\.[^/]*$/s.test(record.path));
  if (failure instanceof NixClosureError) {
    refused(failure, "WHITEOUT_NAME");
    assert.ok(hasWhiteout, "there is no whiteout in it");
    return;
  }
  assert.ok(!hasWhiteout, "there is a whiteout in it");
  assert.deepEqual(unpackLayer(Buffer.concat([...pieces, tarEnd])), below("root", unpackNar(nar)));
}

const small = demoNarInfos().filter(({ narSize }) => narSize < 40_000);

/** NARs. */
export const nar: FuzzTarget = {
  name: "nar",
  seeds: [
    ...small.map(readDemoNar),
    nested(63),
    ...fc.sample(anyTree, { numRuns: 60, seed: 1 }).map(writeNar),
  ],
  words: [
    ..."( ) type regular directory symlink executable contents target entry name node nix-archive-1".split(
      " ",
    ),
    "",
    ".",
    "..",
    "a/b",
    "a\0",
    ".wh.x",
    ".wh..wh..opq",
    "n".repeat(255),
    "n".repeat(256),
    storePathName(path),
  ].map(narString),
  mutate: mutateNar,
  maxLength: 64 * 1024,
  maxMs: 2000,
  check,
};
