/**
 * Images in a process that is to be killed: waits for the word, opens the store, and pulls one image after the other.
 * What it finds wrong it tells its parent.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";

import { createImages } from "../../src/image/create-images.ts";
import { type KnownPath, knownResolver } from "./known-resolver.ts";
import { pullLayer } from "./pull-layer.ts";

export interface CrashWork {
  readonly paths: readonly KnownPath[];
  readonly directory: string;
  readonly maxBytes: number;
  readonly images: readonly {
    readonly name: readonly [repository: string, tag: string];
    /** What the layer must have. */
    readonly digest: string;
  }[];
  /** Else it pulls them again and again, until it is killed. */
  readonly once: boolean;
}

/** `loaded`: the word may be given; `pulled`: the first image. */
export type CrashMessage =
  { readonly type: "loaded" | "pulled" } | { readonly type: "wrong"; readonly message: string };

const tell = (message: CrashMessage): void => void process.send?.(message);

tell({ type: "loaded" });
const [work] = (await once(process, "message")) as [CrashWork];
const resolver = knownResolver(work.paths);
try {
  const images = await createImages({ resolver, directory: work.directory, maxBytes: work.maxBytes });
  for (const { name, digest } of work.once ? work.images : again(work.images)) {
    const layer = await pullLayer(images, name);
    const found = `sha256:${createHash("sha256").update(layer).digest("hex")}`;
    if (found !== digest) throw new Error(`${name.join(":")} has ${found}, not ${digest}`);
    tell({ type: "pulled" });
  }
  await images.close();
} catch (error) {
  tell({ type: "wrong", message: String(error) });
}
process.disconnect();

function* again<T>(items: readonly T[]): Generator<T, never, undefined> {
  for (;;) yield* items;
}
