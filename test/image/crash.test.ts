/** Processes that are killed at random moments, and what the next start finds in their directory. */
import { randomInt } from "node:crypto";
import { cp } from "node:fs/promises";
import { join } from "node:path";

import { expect, it } from "vitest";

import { temporaryDirectory } from "../resolver/fixture.ts";
import { expectWhole, lookInto, randomFrom, refill, shuffled, type StoreFiles } from "./crash-fixture.ts";
import { killAfter, measure, Span } from "./crash-process.ts";
import { makeCrashStore } from "./crash-store.ts";
import { knownResolver } from "./known-resolver.ts";

/** Run with CRASH_SEED set to what a run has printed, and images and moments are chosen as in that one. */
const seed = Number(process.env["CRASH_SEED"] ?? randomInt(2 ** 31));
/** Processes at a time, each with a directory of its own. */
const lanes = [0, 1];
const killsInLane = 100;
const timeout = 300_000;

/** Counts the phases that kills have interrupted, as the directory shows them. */
class Phases extends Map<string, number> {
  add(phase: string): void {
    this.set(phase, this.of(phase) + 1);
  }
  of(phase: string): number {
    return this.get(phase) ?? 0;
  }
  print(what: string): void {
    const counts = [...this].map(([phase, count]) => `${count} ${phase}`);
    console.log(`kills in ${what} with CRASH_SEED=${seed}: ${counts.join(", ")}`);
  }
}

const layersOf = ({ records }: StoreFiles): ReadonlySet<string> =>
  new Set(
    [...records.values()].flatMap(({ layers }) => layers.map(({ digest }) => digest.slice("sha256:".length))),
  );

it("a process that is killed in a conversion leaves nothing wrong", { timeout }, async () => {
  const bytes = 3_000_000;
  const compressions = ["none", "gzip", "zstd"] as const;
  const { work, digests } = await makeCrashStore(
    await temporaryDirectory(),
    Array.from({ length: 6 }, (_, i) => ({ name: `app-${i}`, bytes, compression: compressions[i % 3]! })),
  );
  // Room for two, so that there is always one to make, and one to evict for it.
  const maxBytes = 3 * bytes;
  const phases = new Phases();

  const phaseOf = (before: StoreFiles, after: StoreFiles, wanted: string): string => {
    if (after.records.has(wanted)) return "after the record";
    const [temporary] = after.temporary.toSorted((a, b) => b - a);
    const known = layersOf(before);
    if (after.blobs.some((name) => !known.has(name)))
      return temporary === undefined ? "between blob and record" : "while the record is written";
    if (temporary !== undefined) return temporary < bytes ? "while the file grows" : "before the blob";
    return after.records.size < before.records.size ? "after an eviction" : "before the file";
  };

  await Promise.all(
    lanes.map(async (lane) => {
      const random = randomFrom(seed + lane);
      const directory = join(await temporaryDirectory(), "store");
      const resolver = knownResolver(work.paths);
      const missing = async () => {
        const { records } = await lookInto(directory);
        return shuffled(work.images, random).toSorted(
          (a, b) => Number(records.has(a.name.join(":"))) - Number(records.has(b.name.join(":"))),
        );
      };
      await expectWhole({ resolver, directory, maxBytes, digests, random });
      const first = { ...work, directory, maxBytes, images: (await missing()).slice(0, 1) };
      await measure(first, "temporary");
      const images = (await missing()).slice(0, 1);
      const { pulled, changing } = await measure({ ...first, images }, "temporary");
      const spans = { start: new Span(pulled), temporary: new Span(changing) };
      for (let kill = 0; kill < killsInLane; kill++) {
        // Most of the time goes by before there is a file; that alone would be hit else.
        const since = kill % 4 === 0 ? "start" : "temporary";
        const before = await lookInto(directory);
        const wanted = await missing();
        await killAfter({ ...first, images: wanted }, since, spans[since].moment(random));
        const phase = phaseOf(before, await lookInto(directory), wanted[0]!.name.join(":"));
        phases.add(phase);
        spans[since].learn(phase === "after the record");
        await expectWhole({ resolver, directory, maxBytes, digests, random });
      }
    }),
  );
  phases.print("conversions");
  for (const phase of ["before the file", "while the file grows", "after the record"])
    expect(phases.of(phase), phase).toBeGreaterThan(0);
  expect(phases.size).toBeGreaterThan(3);
});

it("a process that is killed in an eviction leaves nothing wrong", { timeout }, async () => {
  const [count, small, large] = [16, 20_000, 310_000];
  const { work, digests } = await makeCrashStore(await temporaryDirectory(), [
    { name: "large", bytes: large, compression: "none" },
    ...Array.from({ length: count }, (_, i) => ({
      name: `small-${i}`,
      bytes: small,
      compression: "none" as const,
    })),
  ]);
  const [wanted, ...others] = work.images;
  // All small ones together with room to make the last, but nearly all of them have to go for the large one.
  const maxBytes = count * (small + 2_000) + 90_000;
  const full = join(await temporaryDirectory(), "store");
  const resolver = knownResolver(work.paths);
  await expectWhole({ resolver, directory: full, maxBytes, digests, random: Math.random });
  await measure({ ...work, directory: full, maxBytes, images: others }, "images");
  const { records } = await lookInto(full);
  expect(records.size).toBe(count);
  const phases = new Phases();
  const left = new Set<number>();

  await Promise.all(
    lanes.map(async (lane) => {
      const random = randomFrom(seed + lane);
      const directory = join(await temporaryDirectory(), "store");
      await cp(full, directory, { recursive: true, preserveTimestamps: true });
      const evicting = { ...work, directory, maxBytes, images: [wanted!] };
      const span = new Span((await measure(evicting, "images")).changing);
      for (let kill = 0; kill < killsInLane; kill++) {
        await refill(directory, full);
        await killAfter(evicting, "images", span.moment(random));
        const after = await lookInto(directory);
        const isLate = after.temporary.length > 0 || after.records.has(wanted!.name.join(":"));
        const isBetween = after.blobs.length > after.records.size;
        phases.add(isLate ? "after the last" : isBetween ? "between record and blob" : "between two blobs");
        if (!isLate) left.add(after.records.size);
        span.learn(isLate);
        await expectWhole({ resolver, directory, maxBytes, digests, random });
      }
    }),
  );
  phases.print("evictions");
  // Those between the record and the blob of one image come too, but are too short to be counted on.
  expect(phases.of("between two blobs") + phases.of("between record and blob")).toBeGreaterThan(10);
  expect(left.size).toBeGreaterThan(2);
});
