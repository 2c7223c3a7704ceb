import type { Images } from "../../src/image/images.ts";
import type { Digest } from "../../src/oci/digest.ts";

/** The bytes of an image's layer, found by its tag and then by digests. */
export async function pullLayer(
  images: Images,
  [repository, tag]: readonly [repository: string, tag: string],
): Promise<Buffer> {
  const index = parse((await images.resolveTag(repository, tag)).bytes) as {
    manifests: [{ digest: Digest }];
  };
  const manifest = await images.document(repository, index.manifests[0].digest);
  if (manifest === undefined) throw new Error("no manifest");
  const { layers } = parse(manifest.bytes) as { layers: [{ digest: Digest }] };
  const blob = await images.blob(repository, layers[0].digest);
  if (blob === undefined) throw new Error("no layer");
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of blob.read() as AsyncIterable<Uint8Array>) chunks.push(chunk);
  } finally {
    await blob.close();
  }
  return Buffer.concat(chunks);
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}
