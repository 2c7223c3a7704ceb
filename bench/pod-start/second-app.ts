import { firstApp, secondApp } from "./closures.ts";
import { bytesBeyond, type ImageParts } from "./image-bytes.ts";
import type { Session } from "./session.ts";
import type { Start } from "./start.ts";
import { type Carrier, podsOf } from "./workloads.ts";

const carriers = ["plain", "auto"] as const satisfies readonly Carrier[];

/** Starts of an app on a node that has run another one with the same 500 MB. */
export interface SecondAppSamples {
  readonly carrier: (typeof carriers)[number];
  /** The other app's start, cold. Milliseconds. */
  readonly firstMilliseconds: number;
  readonly samples: readonly (Start & {
    /** What the node did not have, as a pull takes it. */
    readonly missingBytes: number;
  })[];
}

/**
 * The first app once, cold, by our strategy and as a plain image; then in each round a second one: by our strategy one
 * that was never seen, as a plain image the same one, which is removed in between.
 */
export async function measureSecondApp(
  session: Session,
  rounds: number,
): Promise<readonly SecondAppSamples[]> {
  const node = session.cluster.nodes.stock;
  const podsFor = (carrier: Carrier, round: number): ReturnType<typeof podsOf> => {
    const closure = round === 0 ? firstApp : carrier === "plain" ? secondApp(1) : secondApp(round);
    return podsOf({ name: closure.name, closures: [closure] }, { carrier, source: "fast", node });
  };
  const first = new Map<Carrier, { readonly start: Start; readonly parts: ImageParts }>();
  await session.makeCold("stock", { registry: true });
  for (const carrier of carriers) {
    const start = await session.start("stock", podsFor(carrier, 0));
    first.set(carrier, { start, parts: await session.partsOf("stock", start.imageReferences) });
    console.error(`pod-start:   first app, ${carrier}: cold ${start.milliseconds} ms`);
  }
  const except = await session.contents("stock", "first-app");
  const samples = new Map(carriers.map((carrier) => [carrier, [] as SecondAppSamples["samples"][number][]]));
  for (let round = 1; round <= rounds; round++) {
    for (const carrier of round % 2 === 0 ? carriers.toReversed() : carriers) {
      await session.makeCold("stock", { registry: false, except });
      const pods = podsFor(carrier, round);
      if (carrier !== "plain" && pods[0] !== undefined) await session.admit(pods[0]);
      const start = await session.start("stock", pods);
      const parts = await session.partsOf("stock", start.imageReferences);
      const missingBytes = bytesBeyond(parts, first.get(carrier)?.parts);
      samples.get(carrier)?.push({ ...start, missingBytes });
      console.error(
        `pod-start:   second app, ${carrier}: ${start.milliseconds} ms, ${start.sentBytes} bytes of ${missingBytes} that were missing`,
      );
    }
    console.error(`pod-start: second app: round ${round} of ${rounds}`);
  }
  return carriers.map((carrier) => ({
    carrier,
    firstMilliseconds: first.get(carrier)?.start.milliseconds ?? Number.NaN,
    samples: samples.get(carrier) ?? [],
  }));
}
