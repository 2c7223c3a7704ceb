import type { Goal } from "../figure.ts";
import { kubelets } from "./bench-cluster.ts";
import type { PodStartReport, ReportRow } from "./report.ts";

/** What starts of Pods are held to. What was not measured has no goal. */
export function goalsOf(report: PodStartReport): readonly Goal[] {
  return [
    ...coldGoals(report),
    ...perPathGoals(report),
    ...warmGoals(report),
    ...secondAppGoals(report),
    ...slowGoals(report),
    ...estimateGoals(report),
  ];
}

/** The rows of one kind, with caches that answer at once unless said otherwise. */
function rowsOf(
  { rows }: PodStartReport,
  kind: Partial<Pick<ReportRow, "carrier" | "kubelet" | "paced" | "cacheMilliseconds">>,
): readonly ReportRow[] {
  const wanted = { cacheMilliseconds: 0, ...kind };
  return rows.filter(({ carrier, kubelet, paced, cacheMilliseconds }) => {
    const row: typeof wanted = { carrier, kubelet, paced, cacheMilliseconds };
    return Object.entries(wanted).every(([key, value]) => row[key as keyof typeof wanted] === value);
  });
}

const failures = (rows: readonly ReportRow[]): number =>
  rows.reduce((sum, { failedEvents }) => sum + failedEvents, 0);

function coldGoals(report: PodStartReport): readonly Goal[] {
  const rows = rowsOf(report, { carrier: "auto", kubelet: "stock", paced: true });
  if (rows.length === 0) return [];
  const all = [...rows, ...rowsOf(report, { carrier: "auto", kubelet: "stock", cacheMilliseconds: 20 })];
  return [
    ...rows.flatMap(({ workload, cold }): readonly Goal[] =>
      // Nothing is said of ten at once.
      cold?.ratio === undefined || workload.startsWith("ten Pods")
        ? []
        : [
            {
              what: `stock kubelet, cold: ratio to a plain image, ${workload}`,
              measured: cold.ratio,
              atMost: 1.5,
            },
          ],
    ),
    {
      what: "stock kubelet, default strategy: Failed events",
      measured: failures(all.filter(({ workload }) => !workload.startsWith("ten Pods"))),
      atMost: 0,
    },
  ];
}

function perPathGoals(report: PodStartReport): readonly Goal[] {
  const paced = rowsOf(report, { carrier: "per-path", kubelet: "stock", paced: true });
  const tuned = rowsOf(report, { carrier: "per-path", kubelet: "tuned" });
  const goals = paced.flatMap(({ workload, images, cold }): readonly Goal[] => {
    const free = tuned.find((row) => row.workload === workload)?.cold;
    if (cold === undefined || free === undefined) return [];
    const { registryPullQPS, registryBurst } = kubelets.stock;
    const expected = Math.max(0, images - registryBurst) * (1000 / registryPullQPS) + free.median;
    return [
      {
        what: `per-path, stock kubelet: off (images − 10) / 5 s and the tuned time, ${workload}, %`,
        measured: 100 * Math.abs(cold.median / expected - 1),
        atMost: 15,
      },
    ];
  });
  const largest = tuned.toSorted((a, b) => b.images - a.images)[0];
  return [
    ...goals,
    ...(paced.length === 0
      ? []
      : [{ what: "per-path, stock kubelet: Failed events", measured: failures(paced), atMost: 0 }]),
    ...(largest?.cold === undefined
      ? []
      : [
          {
            what: `per-path, registryPullQPS 0: ms an image, ${largest.images} images`,
            measured: largest.cold.median / largest.images,
            atMost: 60,
          },
        ]),
  ];
}

function warmGoals(report: PodStartReport): readonly Goal[] {
  return rowsOf(report, { carrier: "packed", kubelet: "stock", paced: true }).flatMap(({ workload, warm }) =>
    warm?.ratio === undefined
      ? []
      : [{ what: `packed, warm: ratio to a plain image, ${workload}`, measured: warm.ratio, atMost: 1.25 }],
  );
}

function secondAppGoals({ secondApp }: PodStartReport): readonly Goal[] {
  const ours = secondApp.find(({ carrier }) => carrier === "auto");
  if (ours?.times.ratio === undefined) return [];
  return [
    {
      what: "second app, 500 MB shared: times as fast as its plain image",
      measured: 1 / ours.times.ratio,
      atLeast: 4,
    },
    {
      what: "second app: bytes pulled against those of the images that were missing",
      measured: ours.sentBytes / ours.missingBytes,
      atMost: 1,
    },
  ];
}

function slowGoals(report: PodStartReport): readonly Goal[] {
  const fast = rowsOf(report, { carrier: "auto", kubelet: "stock", paced: true });
  return rowsOf(report, { carrier: "auto", kubelet: "stock", cacheMilliseconds: 20 }).flatMap(
    ({ workload, cold }) => {
      const same = fast.find((row) => row.workload === workload)?.cold;
      if (cold === undefined || same === undefined) return [];
      return [
        {
          what: `caches at 20 ms, cold: ratio to the same at 0 ms, ${workload}`,
          measured: cold.median / same.median,
          atMost: 1.3,
        },
      ];
    },
  );
}

function estimateGoals(report: PodStartReport): readonly Goal[] {
  const rows = rowsOf(report, { carrier: "auto" });
  const errors = report.estimates.flatMap(({ workload, kubelet, milliseconds }) => {
    const measured = rows.find((row) => row.workload === workload && row.kubelet === kubelet)?.cold;
    return measured === undefined
      ? []
      : [{ workload, error: 100 * Math.abs(milliseconds / measured.median - 1) }];
  });
  const worst = errors.toSorted((a, b) => b.error - a.error)[0];
  return worst === undefined
    ? []
    : [
        {
          what: `estimate of plan, cold: off at most, % (${worst.workload})`,
          measured: worst.error,
          atMost: 30,
        },
      ];
}
