import { zstdDecompressSync } from "node:zlib";
import { baseName, storeHash } from "../../../src/nix/store-path.ts";
import { below, belowRoot, unpackLayer, unpackNar, type FileEntry } from "../../image/files.ts";
import type { TestPair } from "../../webhook/made-pair.ts";
import { lies, type LieCode } from "./lies/all.ts";
import type { Lie } from "./lies/lie.ts";
import { LyingCache, type LyingCacheOptions } from "./lying-cache.ts";
import type { Scene } from "./scenes.ts";
import { shortLimits, Trial, type Pulled, type Verdict } from "./trial.ts";

/** What came of a lie with one source. */
export interface Outcome {
  readonly verdict: Verdict;
  readonly pulled: Pulled;
  /** Whether the layer, if one came, holds what the victim truly holds, and nothing else of it. */
  readonly isTrue: boolean;
  /** The blobs that are in the store now. */
  readonly published: readonly string[];
}

export interface Findings {
  readonly scene: Scene;
  /** The lying cache is the only one. */
  readonly alone: Outcome;
  /** A second review after that. */
  readonly again: Verdict;
  /** The metrics after these. */
  readonly metrics: ReadonlyMap<string, number>;
  /** An honest cache comes after the lying one. */
  readonly followed: Outcome;
  readonly lying: LyingCache;
  readonly other: LyingCache;
  readonly honest: LyingCache;
  /** Lines of the log that should not be there, whatever a cache does. */
  readonly errors: readonly string[];
}

/**
 * Lets a cache tell a lie to a service, and looks what comes of it. All servers are gone afterwards.
 *
 * @param options.query of the first review, such as `?timeout=1s`.
 */
export async function tryLie(
  code: LieCode,
  pair: TestPair,
  options: LyingCacheOptions & { readonly query?: string } = {},
): Promise<Findings> {
  const lie: Lie = lies[code];
  const { scene } = lie;
  const { query, ...server } = options;
  await using lying = await LyingCache.start({ files: scene.files, ...server });
  await using other = await LyingCache.start({ files: scene.files });
  await using honest = await LyingCache.start({ files: scene.files });
  lie.tell(lying, other);
  const sources = { alone: [lying.url], followed: [lying.url, honest.url] };
  await using trial = await Trial.start(pair, sources, shortLimits);
  const outcomeOf = async (source: string, inTime?: string): Promise<Outcome> => {
    const verdict = await trial.review(source, scene.root, inTime);
    const image = imageOf(verdict, scene, source);
    const pulled = await trial.pull(image.repository, image.tag);
    const isTrue =
      pulled.status === 200 && "layer" in pulled && holdsTruth(pulled.layer, scene, honest, image);
    return { verdict, pulled, isTrue, published: await trial.published() };
  };
  const alone = await outcomeOf("alone", query);
  const metrics = await trial.metrics();
  const again = await trial.review("alone", scene.root);
  const followed = await outcomeOf("followed");
  const errors = trial.log
    .filter(({ level }) => level === "error" || level === "fatal")
    .map(({ msg }) => msg);
  return { scene, alone, again, metrics, followed, lying, other, honest, errors };
}

interface Image {
  readonly repository: string;
  readonly tag: string;
}

/** The image that carries the victim; where the admission names none, that of the victim alone. */
function imageOf({ images }: Verdict, { victim }: Scene, source: string): Image {
  const own = { repository: `${source}/path/${storeHash(victim)}`, tag: "1" };
  if (images.some(({ repository }) => repository === own.repository)) return own;
  return images.find(({ repository }) => repository.startsWith(`${source}/closure/`)) ?? own;
}

function holdsTruth(layer: Buffer, scene: Scene, honest: LyingCache, { repository }: Image): boolean {
  const file = honest.file(scene.nar);
  if (file === undefined) return false;
  const nar = unpackNar(Buffer.from(scene.nar.endsWith(".zst") ? zstdDecompressSync(file) : file));
  const entries = unpackLayer(layer);
  if (repository.includes("/path/")) return same(entries, belowRoot(nar));
  const name = baseName(scene.victim);
  const own = entries.filter(({ path }) => path === name || path.startsWith(`${name}/`));
  return same(own, below(name, nar));
}

function same(entries: readonly FileEntry[], expected: readonly FileEntry[]): boolean {
  return JSON.stringify(entries) === JSON.stringify(expected);
}
