import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { installPackages } from "../test/programs/debian-packages.ts";
import { findApp } from "../demo/apps.ts";
import { additionsOf, checkMounts, patchedPod, podOf } from "./admission-check.ts";
import { reviewUrl, Workshop } from "./admission-servers.ts";
import { median, type Figure } from "./figure.ts";
import { peerDirectory } from "./peers/build.ts";
import { podReviews } from "./pod-review.ts";
import { load, wrkPackage, type Load } from "./wrk.ts";

/** The Debian packages that have what this figure runs. */
export const programs = wrkPackage;

/** Whether the peer is built; else measuring begins with some minutes of it. */
export async function isBuilt(): Promise<boolean> {
  return existsSync(await peerDirectory("admission-go"));
}

/** As many as an API server has open in a busy moment. */
const connections = 16;
/** Reviews that are posted in turn, so that no answer can be remembered by its body. */
const reviewCount = 256;

interface Sample extends Load {
  /** Of the server. */
  readonly cpuSeconds: number;
}

/** The client takes the cipher that an API server would (Go's first of TLS 1.3), from each server. */
const openSslConfiguration = [
  "openssl_conf = main",
  "[main]",
  "ssl_conf = ssl",
  "[ssl]",
  "system_default = client",
  "[client]",
  "Ciphersuites = TLS_AES_128_GCM_SHA256",
  "",
].join("\n");

/**
 * Warm admissions a second of a Pod with the demo's Python closure, over TLS connections that are kept alive: our
 * service, a server that does nothing else than HTTPS, and the usual Go webhook, in turn.
 */
export async function measure({ quick }: { readonly quick: boolean }): Promise<Figure> {
  await installPackages(programs);
  const { storePath: root } = await findApp("python3-defaults");
  const reviews = podReviews({ root, strategy: "per-path" }, reviewCount);
  const [first = ""] = reviews;
  const podBytes = Buffer.byteLength(JSON.stringify(podOf(first)));
  assert.ok(podBytes >= 3300 && podBytes <= 3700, `the Pod has ${podBytes} bytes`);

  await using workshop = await Workshop.open();
  await using ours = await workshop.ours();
  const answer = await workshop.post(reviewUrl(ours), first);
  const additions = additionsOf(first, answer);
  await checkMounts(additions, root);
  await using bare = await workshop.bare(Buffer.byteLength(answer));
  await using controllerRuntime = await workshop.controllerRuntime(additions);
  const theirs = await workshop.post(reviewUrl(controllerRuntime), first);
  assert.deepEqual(changed(patchedPod(first, theirs)), changed(patchedPod(first, answer)));

  const requests = await workshop.write("reviews.jsonl", `${reviews.join("\n")}\n`);
  const env = { OPENSSL_CONF: await workshop.write("openssl.cnf", openSslConfiguration) };
  const servers = { ours, bare, controllerRuntime };
  const names = ["ours", "bare", "controllerRuntime"] as const;
  const run = async (name: (typeof names)[number], seconds: number): Promise<Sample> => {
    const before = servers[name].cpuSeconds();
    const sample = await load(reviewUrl(servers[name]), { connections, seconds, requests, env });
    return { ...sample, cpuSeconds: servers[name].cpuSeconds() - before };
  };

  const [rounds, seconds, warmUp] = quick ? [1, 3, 0] : [7, 5, 5];
  const loads = { ours: [] as Sample[], bare: [] as Sample[], controllerRuntime: [] as Sample[] };
  if (warmUp > 0) for (const name of names) await run(name, warmUp);
  for (let round = 0; round < rounds; round++) {
    for (const name of names) loads[name].push(await run(name, seconds));
    console.error(`admission: round ${round + 1} of ${rounds}`);
  }
  const rate = (name: (typeof names)[number]): readonly number[] =>
    loads[name].map((each) => each.requests / each.seconds);
  const ratio = (name: "bare" | "controllerRuntime"): number => {
    const theirRates = rate(name);
    return median(rate("ours").map((own, round) => own / (theirRates[round] ?? Number.NaN)));
  };
  return {
    name: "admission",
    rounds,
    goals: [
      { what: "ratio to a bare node:https server", measured: ratio("bare"), atLeast: 0.35 },
      { what: "ratio to controller-runtime", measured: ratio("controllerRuntime"), atLeast: 7 },
      { what: "p99, ms", measured: median(loads.ours.map(({ p99Ms }) => p99Ms)), atMost: 10 },
    ],
    measurements: {
      connections,
      volumes: additions.volumes.length,
      podBytes,
      reviewBytes: Buffer.byteLength(first),
      answerBytes: { ours: Buffer.byteLength(answer), controllerRuntime: Buffer.byteLength(theirs) },
      ...Object.fromEntries(
        names.map((name) => [
          name,
          {
            reviewsPerSecond: Math.round(median(rate(name))),
            p50Ms: median(loads[name].map(({ p50Ms }) => p50Ms)),
            p99Ms: median(loads[name].map(({ p99Ms }) => p99Ms)),
            // Which other programs on the machine disturb less.
            cpuMicrosecondsPerReview: Math.round(
              median(loads[name].map(({ cpuSeconds, requests }) => (1e6 * cpuSeconds) / requests)),
            ),
            rounds: rate(name).map(Math.round),
          },
        ]),
      ),
    },
  };
}

/** The parts of a Pod that injection is about. */
function changed({ metadata, spec }: ReturnType<typeof patchedPod>): object {
  const { annotations } = metadata;
  return { annotations, volumes: spec.volumes, containers: spec.containers };
}
