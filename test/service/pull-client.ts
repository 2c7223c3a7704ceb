import { createHash } from "node:crypto";
import { once } from "node:events";
import { type Agent, get, type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/** What came of a pull. */
export interface Pull {
  /** Bytes of the layer. */
  readonly bytes: number;
  /** Answers in which the registry said that it could not, in their order; the pull began again after each. */
  readonly refusals: readonly number[];
  readonly seconds: number;
}

class Refused extends Error {
  readonly status: number;
  constructor(status: number, text: string) {
    super(`HTTP ${status}: ${text}`);
    this.status = status;
  }
}

/**
 * Pulls an image as a node does: tag, manifest, config, layer, each held against its digest.
 *
 * @throws for wrong bytes, a connection that breaks off, and the last refusal of too many.
 */
export async function pullImage(
  registry: string,
  image: { readonly repository: string; readonly tag: string },
  options: { readonly agent: Agent; readonly attempts: number },
): Promise<Pull> {
  const started = performance.now();
  const refusals: number[] = [];
  for (;;) {
    try {
      const bytes = await pullOnce(`${registry}/v2/${image.repository}`, image.tag, options.agent);
      return { bytes, refusals, seconds: (performance.now() - started) / 1000 };
    } catch (error) {
      if (!(error instanceof Refused) || refusals.length + 1 >= options.attempts) throw error;
      refusals.push(error.status);
      await delay(100);
    }
  }
}

async function pullOnce(base: string, tag: string, agent: Agent): Promise<number> {
  const read = async (path: string): Promise<Buffer> => {
    const { bytes } = await fetchWhole(base + path, agent);
    return bytes;
  };
  const index = JSON.parse((await read(`/manifests/${tag}`)).toString()) as {
    manifests: [{ digest: string }];
  };
  const { digest } = index.manifests[0];
  const manifestBytes = expectDigest(await read(`/manifests/${digest}`), digest);
  const manifest = JSON.parse(manifestBytes.toString()) as {
    config: { digest: string };
    layers: [{ digest: string; size: number }];
  };
  expectDigest(await read(`/blobs/${manifest.config.digest}`), manifest.config.digest);
  const [layer] = manifest.layers;
  expectDigest(await read(`/blobs/${layer.digest}`), layer.digest);
  return layer.size;
}

function expectDigest(bytes: Buffer, digest: string): Buffer {
  const found = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (found !== digest) throw new Error(`${digest} was answered with ${found}`);
  return bytes;
}

/** A whole answer; throws if it breaks off. */
export async function fetchWhole(
  url: string,
  agent: Agent,
): Promise<{ readonly bytes: Buffer; readonly headers: IncomingMessage["headers"] }> {
  const [response] = (await once(get(url, { agent }), "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  if (response.statusCode !== 200) throw new Refused(response.statusCode ?? 0, bytes.toString());
  return { bytes, headers: response.headers };
}
