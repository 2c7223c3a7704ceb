/** `npm run cluster:up`: a Kubernetes of three nodes with the product on it. */
import { createOutput, duration, type Output } from "../../../demo/output.ts";
import { programsDirectory } from "./cluster.ts";
import { createCluster } from "./create.ts";
import { installProduct, kindOverlay } from "./install.ts";
import { kubeconfig } from "./kind.ts";
import { prepare } from "./prepare.ts";
import { wantedRelease } from "./versions.ts";

/** What can be done with the cluster. */
const tries = [
  { command: "kubectl apply -k manifests/examples", what: "hello, nginx, python and more" },
  { command: "kubectl -n nix-closure-examples get pods", what: "wait until they run" },
  { command: "kubectl -n nix-closure-examples logs job/hello", what: "a greeting" },
  { command: "kubectl -n nix-closure-examples port-forward service/nginx 8080:80", what: "then, elsewhere:" },
  { command: "curl http://127.0.0.1:8080", what: "nginx's page" },
  { command: "npm run cluster:down", what: "takes it all away" },
];

try {
  await up(createOutput(process.stdout));
} catch (error) {
  process.stderr.write(
    `\ncluster:up failed: ${error instanceof Error ? error.message : String(error)}\n` +
      "`npm run cluster:down` takes back what was started.\n",
  );
  process.exitCode = 1;
}

async function up(output: Output): Promise<void> {
  const started = Date.now();
  const release = wantedRelease(process.env);
  output.title(`A cluster of Kubernetes ${release.version}`);
  const prepared = await prepare(release, output);
  await createCluster(prepared, output);

  output.step(`kubectl apply -k ${kindOverlay}`);
  const before = Date.now();
  await installProduct();
  output.line(`webhook, registry and demo cache are ready after ${duration(Date.now() - before)}`);

  output.title(`Ready after ${Math.round((Date.now() - started) / 1000)} s. Try:`);
  output.line(`export KUBECONFIG=${kubeconfig} PATH=${programsDirectory}:$PATH`);
  for (const { command, what } of tries) output.line(`${command.padEnd(78)} # ${what}`);
}
