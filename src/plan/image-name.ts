import { imageNameInvalid } from "../errors.ts";
import { parseStoreHash, type StoreHash } from "../nix/store-path.ts";

/**
 * The version of the conversion from NARs to layers. It is part of every tag, so that nodes pull again when the form
 * of an image changes; the content of a store path never does.
 */
export const conversionVersion = 1;

/** What an image of our registry is, as its repository and tag say it. */
export type ImageName = PathImageName | StoreImageName | BaseImageName;

/** The content of one directory store path. */
export interface PathImageName {
  readonly kind: "path";
  readonly source: string;
  readonly hash: StoreHash;
  readonly version: number;
}

/** The part of a closure that has no volumes of its own, with a mount point for each path that has. */
export interface StoreImageName {
  readonly kind: "store";
  readonly source: string;
  /** Hash parts of the roots, ascending, none of them in another one's closure. */
  readonly roots: readonly StoreHash[];
  readonly version: number;
  /** Which paths have volumes of their own, as src/plan/decision.ts writes it. */
  readonly decision: string;
  /** 16 hexadecimal digits that tie the decision to one closure. */
  readonly check: string;
}

/** The image that `nix.closure/base` stands for. */
export interface BaseImageName {
  readonly kind: "base";
  readonly version: number;
}

/** What a repository alone says. */
export type RepositoryName =
  | Pick<PathImageName, "kind" | "source" | "hash">
  | Pick<StoreImageName, "kind" | "source" | "roots">
  | Pick<BaseImageName, "kind">;

/** The longest `<host>/<repository>` that registry clients take (containers/image, docker/reference: NameTotalLengthMax). */
const maxNameLength = 255;
/** Source names stay short, so that six roots fit into {@link maxNameLength} beside `localhost:5417`. */
export const sourceNamePattern = /^(?=.{1,30}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;

/** The repository and tag of an image. */
export function formatImageName(name: ImageName): { readonly repository: string; readonly tag: string } {
  switch (name.kind) {
    case "path":
      return { repository: `${name.source}/path/${name.hash}`, tag: String(name.version) };
    case "store":
      return {
        repository: `${name.source}/closure/${name.roots.join("_")}`,
        tag: `${name.version}-${name.decision}-${name.check}`,
      };
    case "base":
      return { repository: "base", tag: String(name.version) };
  }
}

/** The image reference of an image at a registry host: what a Pod's volume names. */
export function imageReference(host: string, name: ImageName): string {
  const { repository, tag } = formatImageName(name);
  return `${host}/${repository}:${tag}`;
}

/** How many roots fit into the repository name of a source's store images at a registry host. */
export function maxRoots(host: string, source: string): number {
  return Math.min(6, Math.floor((maxNameLength - `${host}/${source}/closure/`.length + 1) / 33));
}

/** Parses a repository; undefined if no image of ours can have it. */
export function parseRepository(repository: string): RepositoryName | undefined {
  if (repository === "base") return { kind: "base" };
  const [source, kind, last, ...more] = repository.split("/");
  if (source === undefined || last === undefined || more.length > 0 || !sourceNamePattern.test(source))
    return undefined;
  try {
    if (kind === "path") return { kind: "path", source, hash: parseStoreHash(last) };
    if (kind === "closure") {
      const roots = last.split("_").map(parseStoreHash);
      // One closure has one name: any other order or a repetition would be a second.
      if (roots.some((root, i) => i > 0 && root <= (roots[i - 1] ?? ""))) return undefined;
      return { kind: "store", source, roots };
    }
  } catch {
    return undefined;
  }
  return undefined;
}

/**
 * Parses repository and tag of an image of ours.
 * @throws imageNameInvalid (404) if they are not the canonical form of one.
 */
export function parseImageName(repository: string, tag: string): ImageName {
  const parsed = parseRepository(repository);
  const whole = `${repository}:${tag}`;
  if (parsed === undefined) {
    throw imageNameInvalid(
      whole,
      "repositories are <source>/path/<hash>, <source>/closure/<hash>[_<hash>...] and base",
    );
  }
  if (parsed.kind === "store") {
    const match = /^([1-9][0-9]{0,8})-(a|n|[op](?:[0-9A-Za-z]{2}){1,48})-([0-9a-f]{16})$/.exec(tag);
    const [, version, decision, check] = match ?? [];
    if (version === undefined || decision === undefined || check === undefined) {
      throw imageNameInvalid(whole, "the tag of a store image is <version>-<decision>-<check>");
    }
    return { ...parsed, version: Number(version), decision, check };
  }
  if (!/^[1-9][0-9]{0,8}$/.test(tag)) throw imageNameInvalid(whole, "the tag is a version, a number from 1");
  return { ...parsed, version: Number(tag) };
}
