import type { Output } from "../../../demo/output.ts";
import { checkNodes } from "./check-nodes.ts";
import { copyKubectl } from "./cluster.ts";
import type { Prepared } from "./prepare.ts";
import { buildProductImage, productImage } from "./product-image.ts";

/** Makes the cluster anew, with the product's image on its nodes. */
export async function createCluster(prepared: Prepared, output: Output): Promise<void> {
  const { engine, kind, config, nodeImage, base } = prepared;
  output.step(`kind create cluster, and image ${productImage}`);
  sayConfig(prepared, output);
  await kind.delete(config.clusterName);
  // One waits for nodes to start, the other compiles.
  const [built] = await Promise.all([
    buildProductImage(engine, base),
    kind.create({ config: config.file, image: nodeImage }),
  ]);
  output.line(
    `image ${built ? `built from the Containerfile on ${base ?? "its own base"}` : "is up to date"}`,
  );
  await kind.load(config.clusterName, productImage);
  await settleCluster(prepared, output);
}

/** Says which configuration kind gets. */
function sayConfig({ config }: Pick<Prepared, "config">, output: Output): void {
  output.line("kind-config.yaml");
  for (const addition of config.additions) output.line(`+ ${addition}`);
}

/** Waits until the nodes of a cluster that kind has made can be used. */
export async function settleCluster(prepared: Prepared, output: Output): Promise<void> {
  const { engine, config } = prepared;
  if (engine.kind === "machine") await copyKubectl(engine, `${config.clusterName}-control-plane`);
  output.line(`${await checkNodes()} nodes are ready; Pods on them reach each other`);
}
