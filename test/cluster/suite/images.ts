import { inNode } from "./node.ts";
import { kubectl, waitFor } from "./kubectl.ts";
import { registryNamespace, registryOn } from "./product.ts";

const ownRegistry = "localhost:5417";

/** Images that a node has from its own registry, or from another. */
export async function ownImages(node: string, host = ownRegistry): Promise<readonly string[]> {
  const names = await inNode(node, "ctr", "--namespace", "k8s.io", "images", "list", "--quiet");
  return names.split("\n").filter((name) => name.startsWith(`${host}/`));
}

/** Takes the images of its own registry, or of another, from a node, so that it pulls them again. */
export async function forgetImages(node: string, host?: string): Promise<void> {
  const images = await ownImages(node, host);
  if (images.length === 0) return;
  await inNode(node, "ctr", "--namespace", "k8s.io", "images", "remove", "--sync", ...images);
}

/** Makes a node as if it had never run anything of ours: neither it nor its registry has an image. */
export async function makeCold(node: string): Promise<void> {
  const { metadata } = await registryOn(node);
  await kubectl(["delete", "pod", metadata.name, "--namespace", registryNamespace]);
  await waitFor("the next registry", async () => {
    const next = await registryOn(node);
    return next.metadata.name !== metadata.name;
  });
  await forgetImages(node);
}
