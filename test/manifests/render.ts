/** `npm run manifests`: renders the chart into the files of manifests/ that are applied without Helm. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { kubernetesTools, toolsMissing } from "./kubernetes-tools.ts";
import { chart, renderedFiles, renderFile } from "./chart.ts";

const tools = kubernetesTools();
if (tools === undefined) throw new Error(toolsMissing);
for (const file of renderedFiles) {
  writeFileSync(new URL(file.path, chart), renderFile(tools.helm, file));
  console.log(`rendered ${fileURLToPath(new URL(file.path, chart))}`);
}
