/** What the figure pod-start is made of, without a cluster. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mergeResults } from "../bench/plot.ts";
import { cachedClosure } from "../bench/pod-start/bench-cache.ts";
import { startCaches } from "../bench/pod-start/cache-servers.ts";
import { renderStarts } from "../bench/pod-start/chart.ts";
import { firstApp, mainClosures, secondApp, syntheticPaths } from "../bench/pod-start/closures.ts";
import { goalsOf } from "../bench/pod-start/goals.ts";
import { bytesBeyond } from "../bench/pod-start/image-bytes.ts";
import { syntheticNar } from "../bench/pod-start/path-contents.ts";
import { writeClosureImage } from "../bench/pod-start/plain-image.ts";
import type { Pod, WatchEvent } from "../bench/pod-start/pod-api.ts";
import { type PodSource, PodWatch } from "../bench/pod-start/pod-watch.ts";
import type { PodStartReport, ReportRow } from "../bench/pod-start/report.ts";
import { blocks, chooseRows, rowName } from "../bench/pod-start/rows.ts";
import { podStartTable } from "../bench/pod-start/table.ts";
import { resultsOf } from "../bench/results.ts";
import { demoCache } from "../demo/configuration.ts";
import { sniffPathType } from "../src/nix/nar-reader.ts";
import type { StorePath } from "../src/nix/store-path.ts";

describe("rows", () => {
  const all = blocks.flatMap(({ rows }) => rows);

  test("have names that tell them apart", () => {
    const names = all.map(rowName);
    expect(new Set(names).size).toBe(names.length);
  });

  test("of the default strategy have a plain image to be compared with in the same block", () => {
    for (const { rows } of blocks) {
      for (const { workload, node } of rows.filter(({ carrier }) => carrier === "auto")) {
        const isBase = (row: (typeof rows)[number]): boolean =>
          row.carrier === "plain" && row.workload === workload && row.node === node;
        expect(rows.filter(isBase), workload.name).toHaveLength(1);
      }
    }
  });

  test("are chosen by name", () => {
    const [block] = chooseRows(blocks, /^python, (plain|auto)$/, 2);
    expect(block?.rows.map(rowName)).toEqual(["python, plain", "python, auto"]);
    expect(block?.rows.map(({ rounds }) => rounds)).toEqual([2, 2]);
    expect(chooseRows(blocks, /no such row/, undefined)).toEqual([]);
  });
});

describe("synthetic closures", () => {
  const references = new Map(syntheticPaths.map((path) => [path.storePath, path.references]));
  const closureOf = (roots: readonly StorePath[]): ReadonlySet<StorePath> => {
    const found = new Set(roots);
    for (const path of found) for (const next of references.get(path) ?? []) found.add(next);
    return found;
  };

  test("have as many paths as their names say, with one reference out of them, to what their Pods run", () => {
    for (const { name, roots } of mainClosures.filter((closure) => /^\d+ paths$/.test(closure.name))) {
      const known = [...closureOf(roots)].filter((path) => references.has(path));
      // hello's closure has five.
      expect(known.length + 5).toBe(Number.parseInt(name, 10));
      expect(closureOf(roots).size).toBe(known.length + 1);
    }
  });

  test("of two apps differ in their roots alone", () => {
    const first = closureOf(firstApp.roots);
    const second = closureOf(secondApp(1).roots);
    expect([...second].filter((path) => !first.has(path))).toEqual(secondApp(1).roots);
    expect(second.size).toBe(first.size);
  });

  test("have NARs of the wanted type and size, the same each time", () => {
    for (const type of ["directory", "regular"] as const) {
      const path = { ...syntheticPaths[0]!, type };
      const nar = syntheticNar(path, 100_000);
      expect(sniffPathType(nar)).toBe(type);
      expect(nar.length).toBeGreaterThan(100_000);
      expect(nar.length).toBeLessThan(105_000);
      expect(syntheticNar(path, 100_000).equals(nar)).toBe(true);
    }
  });
});

describe("with files", () => {
  let directory = "";
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "nix-closure-bench-test-"));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  test("a plain image holds the closure's files, and its digests are right", async () => {
    const [hello] = mainClosures;
    const closure = await cachedClosure(demoCache, hello?.roots ?? []);
    expect(closure).toHaveLength(5);
    await writeClosureImage(directory, demoCache, closure);
    const read = async (name: string): Promise<Buffer> => readFile(join(directory, name));
    const digest = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    const [layer, config] = [await read("layer"), await read("config.json")];
    const manifest = JSON.parse((await read("manifest.json")).toString()) as object;
    const tar = gunzipSync(layer);
    expect(manifest).toMatchObject({
      config: { digest: digest(config), size: config.length },
      layers: [{ digest: digest(layer), size: layer.length }],
    });
    expect(JSON.parse(config.toString())).toMatchObject({ rootfs: { diff_ids: [digest(tar)] } });
    expect(tar.length).toBeGreaterThan(closure.reduce((sum, { narSize }) => sum + narSize, 0) * 0.95);
    expect(tar.includes("nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app/bin/run")).toBe(true);
    expect(tar.includes("etc/passwd")).toBe(true);
  });

  test("caches give the same files, one of them later, and nothing from elsewhere", async () => {
    await writeFile(join(directory, "abc.narinfo"), "text");
    await using caches = await startCaches(directory, "127.0.0.1");
    for (const [source, leastMs] of [
      ["fast", 0],
      ["slow", 19],
    ] as const) {
      const begun = performance.now();
      const answer = await fetch(`${caches.urls[source]}/abc.narinfo`);
      expect(await answer.text()).toBe("text");
      expect(performance.now() - begun).toBeGreaterThan(leastMs);
    }
    for (const path of ["/other", "/..%2fabc.narinfo", "/"]) {
      const answer = await fetch(`${caches.urls.fast}${path}`);
      await answer.text();
      expect(answer.status, path).toBe(404);
    }
  });
});

const times = (median: number, ratio?: number): NonNullable<ReportRow["cold"]> => ({
  median,
  min: median - 100,
  max: median + 100,
  rounds: [median - 100, median, median + 100],
  ...(ratio === undefined ? {} : { ratio }),
});

const row = (fields: Partial<ReportRow>): ReportRow => ({
  name: "python, auto",
  workload: "python",
  carrier: "auto",
  strategy: "packed",
  kubelet: "stock",
  paced: true,
  cacheMilliseconds: 0,
  images: 9,
  imageBytes: 48e6,
  failedEvents: 0,
  seenMilliseconds: 2000,
  ...fields,
});

const report: PodStartReport = {
  rows: [
    row({ name: "python, plain", carrier: "plain", images: 1, cold: times(1000), warm: times(500) }),
    row({ cold: times(1400, 1.4), warm: times(600, 1.2) }),
    row({
      name: "python, packed",
      carrier: "packed",
      sameAs: "auto",
      cold: times(1400, 1.4),
      warm: times(600, 1.2),
    }),
    row({ name: "python, per-path", carrier: "per-path", images: 22, failedEvents: 2, cold: times(4400) }),
    row({
      name: "hello, auto",
      workload: "hello",
      strategy: "per-path",
      cold: times(700, 0.9),
      failedEvents: 1,
    }),
    row({ name: "python, auto, 20 ms", cacheMilliseconds: 20, cold: times(2100) }),
    row({
      name: "python, per-path, tuned",
      carrier: "per-path",
      kubelet: "tuned",
      paced: false,
      images: 22,
      cold: times(1600),
    }),
    row({
      name: "python, per-path, unpaced",
      carrier: "per-path",
      paced: false,
      images: 22,
      failedEvents: 9,
      cold: times(88_000),
    }),
  ],
  secondApp: [
    {
      carrier: "plain",
      firstMilliseconds: 9000,
      times: times(8000, 1),
      failedEvents: 0,
      sentBytes: 0,
      missingBytes: 2e8,
    },
    {
      carrier: "auto",
      firstMilliseconds: 9000,
      times: times(1000, 0.125),
      failedEvents: 0,
      sentBytes: 21_000,
      missingBytes: 20_000,
    },
  ],
  refused: [],
  estimates: [{ workload: "python", kubelet: "stock", milliseconds: 1050 }],
};

describe("what is made of a report", () => {
  test("goals, of what was measured", () => {
    const goals = goalsOf(report).map(({ what, measured, atMost, atLeast }) => [
      what,
      Math.round(measured * 1000) / 1000,
      atMost ?? atLeast,
    ]);
    expect(goals).toEqual([
      ["stock kubelet, cold: ratio to a plain image, python", 1.4, 1.5],
      ["stock kubelet, cold: ratio to a plain image, hello", 0.9, 1.5],
      ["stock kubelet, default strategy: Failed events", 1, 0],
      // (22 - 10) / 5 s and 1.6 s are 4 s.
      ["per-path, stock kubelet: off (images − 10) / 5 s and the tuned time, python, %", 10, 15],
      ["per-path, stock kubelet: Failed events", 2, 0],
      ["per-path, registryPullQPS 0: ms an image, 22 images", 72.727, 60],
      ["packed, warm: ratio to a plain image, python", 1.2, 1.25],
      ["second app, 500 MB shared: times as fast as its plain image", 8, 4],
      ["second app: bytes pulled against those of the images that were missing", 1.05, 1],
      ["caches at 20 ms, cold: ratio to the same at 0 ms, python", 1.5, 1.3],
      ["estimate of plan, cold: off at most, % (python)", 25, 30],
    ]);
    expect(goalsOf({ rows: [], secondApp: [], refused: [], estimates: [] })).toEqual([]);
  });

  test("a table with the rows of a closure together", () => {
    const lines = podStartTable(report).split("\n");
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    const cells = lines.slice(2).map((line) =>
      line
        .split("|")
        .map((cell) => cell.trim())
        .slice(1, -1),
    );
    expect(cells.map(([closure, carrier]) => [closure, carrier])).toEqual([
      ["python", "plain"],
      ["", "auto"],
      ["", "packed (as auto)"],
      ["", "per-path"],
      ["", "auto"],
      ["", "per-path"],
      ["", "per-path"],
      ["hello", "auto"],
      ["second app", "plain"],
      ["", "auto"],
    ]);
    expect(cells[1]).toEqual([
      "",
      "auto",
      "stock",
      "0 ms",
      "9",
      "48",
      "1.40 (1.30 to 1.50, 3)",
      "1.40",
      "0.60 (0.50 to 0.70, 3)",
      "1.20",
      "0",
    ]);
  });

  test("a picture, the same each time", () => {
    const picture = renderStarts(report);
    expect(renderStarts(report)).toBe(picture);
    expect(picture.match(/class="plain" /g)).toHaveLength(2);
    expect(picture.match(/class="ours" /g)).toHaveLength(9);
    // A start of 88 seconds ends where the scale does.
    const lengths = [...picture.matchAll(/class="ours" [^>]*width="([\d.]+)"/g)].map(([, length]) =>
      Number(length),
    );
    expect(Math.max(...lengths)).toBe(468);
  });
});

describe("a watch", () => {
  const pod = (name: string, phase: string): Pod => ({
    metadata: { name, uid: name },
    spec: { containers: [] },
    status: { phase },
  });
  /** An API server whose watch sends what it is told to, and whose list has what it is given. */
  const fake = (): PodSource & {
    items: Pod[];
    lists: number;
    readonly send: (event: WatchEvent | "end") => void;
  } => {
    let stream = new PassThrough();
    return {
      items: [],
      lists: 0,
      send: (event) => (event === "end" ? stream.end() : stream.write(`${JSON.stringify(event)}\n`)),
      async list() {
        this.lists++;
        return { items: this.items, metadata: { resourceVersion: String(this.lists) } };
      },
      async watch(_namespace, _version, signal) {
        stream = new PassThrough();
        signal.addEventListener("abort", () => stream.destroy(new Error("aborted")));
        return stream;
      },
    };
  };
  const phaseOf = (name: string, phase: string) => (pods: ReadonlyMap<string, Pod>) =>
    pods.get(name)?.status.phase === phase;

  test("tells of Pods that were there, have come, have changed and are gone", async () => {
    const api = fake();
    api.items = [pod("old", "Running")];
    await using watch = await PodWatch.open(api, "bench");
    await watch.until("old", phaseOf("old", "Running"), 5000);
    const changed = watch.until("new", phaseOf("new", "Running"), 5000);
    const gone = watch.until("no old", (pods) => !pods.has("old"), 5000);
    api.send({ type: "ADDED", object: pod("new", "Pending") });
    api.send({ type: "MODIFIED", object: pod("new", "Running") });
    api.send({ type: "DELETED", object: pod("old", "Running") });
    await Promise.all([changed, gone]);
  });

  test("that the API server ends goes on with what there is then", async () => {
    const api = fake();
    await using watch = await PodWatch.open(api, "bench");
    const found = watch.until("missed", phaseOf("missed", "Running"), 5000);
    api.items = [pod("missed", "Running")];
    api.send("end");
    await found;
    expect(api.lists).toBe(2);
  });

  test("fails with how the Pods are, or with what was seen", async () => {
    const api = fake();
    api.items = [pod("stuck", "Pending")];
    await using watch = await PodWatch.open(api, "bench");
    await expect(watch.until("a start", phaseOf("stuck", "Running"), 20)).rejects.toThrow(
      /not within 0.02 s: a start: .*stuck.*Pending/,
    );
    const seen = watch.until(
      "a start",
      () => {
        throw new Error("it ended with 1");
      },
      5000,
    );
    await expect(seen).rejects.toThrow("it ended with 1");
  });
});

test("bytes beyond what others have", () => {
  const parts = new Map([
    ["a", 1],
    ["b", 20],
    ["c", 300],
  ]);
  expect(bytesBeyond(parts)).toBe(321);
  expect(bytesBeyond(parts, new Map([["b", 20]]))).toBe(301);
});

test("figures of several runs are shown together, the last of each name", () => {
  const figure = (name: string, rounds: number) => ({ name, rounds, goals: [], measurements: {} });
  const runs = [
    resultsOf([figure("walk", 1), figure("growth", 1)], false),
    resultsOf([figure("pod-start", 2), figure("walk", 2)], false),
  ];
  expect(mergeResults(runs).figures.map(({ name, rounds }) => [name, rounds])).toEqual([
    ["walk", 2],
    ["growth", 1],
    ["pod-start", 2],
  ]);
  const other = { ...runs[0]!, machine: { ...runs[0]!.machine, cpu: "another" } };
  expect(() => mergeResults([other, ...runs])).toThrow("several machines");
  expect(() => mergeResults([])).toThrow("no results");
});
