import { join } from "node:path";
import { engineOf, programsDirectory, recordedCluster } from "../kind/cluster.ts";
import { createKind } from "../kind/kind.ts";

/** Puts an image of the cluster's Docker daemon on all nodes. */
export async function loadImage(image: string): Promise<void> {
  const cluster = await recordedCluster();
  if (cluster === undefined) throw new Error("there is no cluster; run `npm run cluster:up`");
  await createKind(join(programsDirectory, "kind"), engineOf(cluster)).load(cluster.name, image);
}
