import { kubectl } from "./kubectl.ts";
import { productImage } from "./product-image.ts";

/** From the start of the cluster until its nodes are ready, and of the Pods until they are. */
const patience = "180s";
const app = "cluster-check";

/** A Pod on each node that serves a page from the product's image. */
const manifest = {
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name: app },
  spec: {
    selector: { matchLabels: { app } },
    template: {
      metadata: { labels: { app } },
      spec: {
        tolerations: [{ operator: "Exists" }],
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: "page",
            image: productImage,
            imagePullPolicy: "Never",
            command: ["node", "-e", 'require("http").createServer((_, r) => r.end("here")).listen(8080)'],
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
};

/** A node's Pod. */
interface CheckPod {
  readonly metadata: { readonly name: string };
  readonly status: { readonly podIP: string };
}

/**
 * Waits until all nodes are ready, a Pod runs on each, and each of these reaches all others.
 *
 * @returns number of nodes
 * @throws Error if that does not come true
 */
export async function checkNodes(): Promise<number> {
  await kubectl(["wait", "--for=condition=Ready", "nodes", "--all", `--timeout=${patience}`]);
  await kubectl(["apply", "-f", "-"], JSON.stringify(manifest));
  await kubectl(["rollout", "status", `daemonset/${app}`, `--timeout=${patience}`]);
  const { items } = JSON.parse(await kubectl(["get", "pods", "-l", `app=${app}`, "-o", "json"])) as {
    items: readonly CheckPod[];
  };
  const addresses = items.map(({ status }) => status.podIP);
  const fetchAll = `Promise.all(${JSON.stringify(addresses)}.map((a) => fetch("http://" + a + ":8080")))`;
  await Promise.all(
    items.map(({ metadata }) => kubectl(["exec", metadata.name, "--", "node", "-e", fetchAll])),
  );
  await kubectl(["rollout", "status", "deployment/coredns", "-n", "kube-system", `--timeout=${patience}`]);
  await kubectl(["delete", "daemonset", app, "--wait=false"]);
  return items.length;
}
