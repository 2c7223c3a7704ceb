import { inNode } from "../../test/cluster/suite/node.ts";

/** What a pull of some images takes: the bytes of each document and layer, by digest. */
export type ImageParts = ReadonlyMap<string, number>;

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

/** A manifest, or an index of them. */
interface Document {
  readonly manifests?: readonly (Descriptor & { readonly platform?: { readonly architecture: string } })[];
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
}

const accept = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

/** Asks the registries on a node what images consist of. @param references on the node's own loopback, with tags */
export async function partsOf(node: string, references: readonly string[]): Promise<ImageParts> {
  const parts = new Map<string, number>();
  const answers = await fetchInNode(node, references.map(manifestUrl));
  const second: string[] = [];
  for (const [index, answer] of answers.entries()) {
    const reference = references[index] ?? "";
    parts.set(reference, answer.length);
    const document = JSON.parse(answer) as Document;
    addParts(document, parts);
    const architecture = process.arch === "arm64" ? "arm64" : "amd64";
    for (const { digest, size, platform } of document.manifests ?? []) {
      if (platform?.architecture !== architecture || parts.has(digest)) continue;
      parts.set(digest, size);
      second.push(manifestUrl(`${reference.slice(0, reference.lastIndexOf(":"))}@${digest}`));
    }
  }
  for (const answer of await fetchInNode(node, second)) addParts(JSON.parse(answer) as Document, parts);
  return parts;
}

/** Bytes of the parts that others do not have. */
export function bytesBeyond(parts: ImageParts, others: ImageParts = new Map()): number {
  return [...parts].reduce((sum, [part, size]) => sum + (others.has(part) ? 0 : size), 0);
}

function addParts({ config, layers = [] }: Document, parts: Map<string, number>): void {
  for (const { digest, size } of [...(config === undefined ? [] : [config]), ...layers])
    parts.set(digest, size);
}

function manifestUrl(reference: string): string {
  const [, host, repository, tag] = /^([^/]+)\/(.+?)(?:@|:(?=[^:/]+$))(.+)$/.exec(reference) ?? [];
  if (host === undefined) throw new Error(`${reference} is not a reference with a tag or digest`);
  return `http://${host}/v2/${repository}/manifests/${tag}`;
}

async function fetchInNode(node: string, urls: readonly string[]): Promise<readonly string[]> {
  if (urls.length === 0) return [];
  // An end that no document has: they are one line of JSON each, or an indented one.
  const end = "\n--end--\n";
  const script = `for url in ${urls.join(" ")}; do
    curl --silent --fail --max-time 60 --header 'accept: ${accept}' "$url" || exit 1
    printf '${end.replaceAll("\n", "\\n")}'
  done`;
  return (await inNode(node, "bash", "-c", script)).split(end).slice(0, -1);
}
