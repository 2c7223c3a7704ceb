/**
 * Image references in the grammar of github.com/distribution/reference 0.6 (regexp.go, normalize.go), with one
 * thing left out: a reference always names its host, there is no default one.
 */
import { NixClosureError, referenceInvalid } from "../errors.ts";
import { type Digest, parseDigest } from "./digest.ts";

/** A reference, taken apart. */
export interface Reference {
  /** Registry host with its port, if any: `localhost:5417`, `[::1]:5417`, `registry.example.com`. */
  readonly host: string;
  /** Path components joined by "/", without the host. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** reference.go, RepositoryNameTotalLengthMax: containerd and CRI-O hold host and repository together to it. */
const maxNameLength = 255;

/** A name of 255, ":" and a tag of 128, "@" and a digest of 71: anything longer is wrong whatever it says. */
const maxReferenceLength = maxNameLength + 1 + 128 + 1 + 71;

const domainComponent = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const hostPattern = new RegExp(
  `^(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
);
const pathComponent = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const repositoryPattern = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`);
const tagPattern = /^\w[\w.-]{0,127}$/;

/** Whether `text` is a repository name without a host, at most 255 characters. */
export function isRepository(text: string): boolean {
  return text.length <= maxNameLength && repositoryPattern.test(text);
}

/** Whether `text` is a tag, at most 128 characters. */
export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/**
 * Takes `<host>/<repository>[:<tag>][@<digest>]` apart.
 *
 * @throws referenceInvalid
 */
export function parseReference(text: string): Reference {
  if (text.length > maxReferenceLength) {
    throw referenceInvalid(
      text,
      `it has ${text.length} characters, at most ${maxReferenceLength} are allowed`,
    );
  }
  const [rest, digestText] = splitAt(text, text.indexOf("@"));
  const colon = rest.lastIndexOf(":");
  // A ":" before the last "/" belongs to the host's port.
  const [name, tag] = splitAt(rest, colon > rest.lastIndexOf("/") ? colon : -1);
  const [host, repository] = splitAt(name, name.indexOf("/"));

  if (repository === undefined || !isHost(host)) {
    throw referenceInvalid(
      text,
      "it names no registry host; write <host>/<repository>, as in docker.io/library/nginx",
    );
  }
  if (!hostPattern.test(host)) throw referenceInvalid(text, "its host is not a domain name or an IP address");
  if (!repositoryPattern.test(repository)) throw referenceInvalid(text, repositoryReason(repository));
  if (name.length > maxNameLength) {
    throw referenceInvalid(
      text,
      `host and repository have ${name.length} characters, at most ${maxNameLength} are allowed`,
    );
  }
  if (tag !== undefined && !isTag(tag)) {
    throw referenceInvalid(
      text,
      "its tag is not 1 to 128 letters, digits, '_', '.' and '-', or starts with '.' or '-'",
    );
  }
  return {
    host,
    repository,
    ...(tag !== undefined && { tag }),
    ...(digestText !== undefined && { digest: digestWithin(text, digestText) }),
  };
}

/**
 * The text of a reference, in the form that parseReference reads.
 *
 * @throws referenceInvalid when a part is malformed, or when host and repository together exceed 255 characters
 */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  const text = `${reference.host}/${reference.repository}${tag}${digest}`;
  parseReference(text);
  return text;
}

/** normalize.go, splitDockerDomain: without one of these marks a first component is a path on docker.io. */
function isHost(component: string): boolean {
  return /[.:]/.test(component) || component === "localhost" || component.toLowerCase() !== component;
}

function repositoryReason(repository: string): string {
  return repository.toLowerCase() === repository
    ? "its repository is not lower-case letters and digits with single separators '.', '_', '__' or '-' between them"
    : "its repository has upper-case letters; only lower case is allowed there";
}

function digestWithin(text: string, digest: string): Digest {
  try {
    return parseDigest(digest);
  } catch (error) {
    const why = error instanceof NixClosureError ? error.message : String(error);
    throw referenceInvalid(text, why).causedBy(error);
  }
}

/** The text before and after the character at `index`; all of it and undefined where index is -1. */
function splitAt(text: string, index: number): readonly [string, string | undefined] {
  return index === -1 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)];
}
