/** Sources in the configuration file. What is wrong with one goes to `problems`, after its key. */
import Type, { type Static } from "typebox";
import { isObjectName } from "./config-values.ts";
import { NixClosureError, quote } from "./errors.ts";
import { parsePublicKey } from "./nix/signature.ts";
import { parseReference } from "./oci/reference.ts";
import { sourceNamePattern } from "./plan/image-name.ts";

/** A source as written: of caches or of a registry; which keys go together is not the schema's to say. */
export const SourceFile = Type.Object(
  {
    caches: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
    registry: Type.Optional(Type.String()),
    publicKeys: Type.Optional(Type.Array(Type.String())),
    netrcFile: Type.Optional(Type.String()),
    bearerTokenFile: Type.Optional(Type.String()),
    dockerConfigFile: Type.Optional(Type.String()),
    caFile: Type.Optional(Type.String()),
    plainHTTP: Type.Optional(Type.Boolean()),
    pullSecret: Type.Optional(Type.String()),
    namespaces: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  },
  { additionalProperties: false },
);
export type SourceFile = Static<typeof SourceFile>;

/** What every source has. */
interface NamedSource {
  readonly name: string;
  readonly publicKeys: readonly string[];
  /** Namespaces that may use it, with `*` for any characters. */
  readonly namespaces: readonly string[];
}

/** Binary caches. */
export interface CacheSource extends NamedSource {
  /** Asked in this order: `file:///dir`, `http://...`, `https://...`. */
  readonly caches: readonly string[];
  readonly netrcFile?: string;
  readonly bearerTokenFile?: string;
}

/** A repository of an ordinary registry, where closures were pushed to. */
export interface RegistrySource extends NamedSource {
  /** `<host>/<repository>`. */
  readonly registry: string;
  /** Credentials in the form of docker's config.json. */
  readonly dockerConfigFile?: string;
  /** Certificates of authorities that the registry's certificate may lead to, PEM. */
  readonly caFile?: string;
  /** Plain HTTP, to any host. */
  readonly plainHTTP?: boolean;
  /** A Secret that Pods with closures of the source pull with. */
  readonly pullSecret?: string;
}

/** A named origin of closures. */
export type Source = CacheSource | RegistrySource;

/** The public cache of NixOS, the source when none is configured. */
export const nixos: Readonly<Record<string, SourceFile>> = {
  nixos: {
    caches: ["https://cache.nixos.org"],
    publicKeys: ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="],
  },
};

const ofCaches = ["netrcFile", "bearerTokenFile"] as const;
const ofRegistry = ["dockerConfigFile", "caFile", "plainHTTP", "pullSecret"] as const;

/**
 * Checks a source, and fills in the defaults.
 * @param reference the host part of our own registry's references.
 */
export function completeSource(
  name: string,
  file: SourceFile,
  reference: string,
  problems: string[],
): Source {
  const where = `sources.${name}`;
  if (!sourceNamePattern.test(name)) {
    problems.push(
      `${where}: a source's name has up to 30 lower-case letters and digits, with single dashes between`,
    );
  }
  checkKeys(file.publicKeys ?? [], where, problems);
  for (const namespace of file.namespaces ?? []) {
    if (!/^[a-z0-9*-]+$/.test(namespace))
      problems.push(`${where}.namespaces: ${quote(namespace)} is not a namespace`);
  }
  const { caches, registry, ...rest } = file;
  const common = { name, publicKeys: file.publicKeys ?? [], namespaces: file.namespaces ?? ["*"] };
  if (registry === undefined) {
    if (caches === undefined) problems.push(`${where} has neither caches nor registry; write one of them`);
    refuseKeys(file, ofRegistry, where, "a source with registry", problems);
    checkCaches(caches ?? [], where, problems);
    return { ...rest, ...common, caches: caches ?? [] };
  }
  if (caches !== undefined) problems.push(`${where} has both caches and registry; make two sources of them`);
  refuseKeys(file, ofCaches, where, "a source with caches", problems);
  if (common.publicKeys.length === 0) {
    problems.push(
      `${where}.publicKeys is missing; a closure in a registry is believed only with a signature by one of them`,
    );
  }
  checkRegistry(registry, reference, where, problems);
  if (file.pullSecret !== undefined && !isObjectName(file.pullSecret))
    problems.push(`${where}.pullSecret: ${quote(file.pullSecret)} is not a name in Kubernetes`);
  return { ...rest, ...common, registry };
}

function checkKeys(keys: readonly string[], where: string, problems: string[]): void {
  for (const key of keys) {
    try {
      parsePublicKey(key);
    } catch (error) {
      if (!(error instanceof NixClosureError)) throw error;
      problems.push(`${where}.publicKeys: ${error.message}`);
    }
  }
}

function checkCaches(caches: readonly string[], where: string, problems: string[]): void {
  for (const cache of caches) {
    if (!/^(https?:\/\/[^/]+|file:\/\/\/)/.test(cache) || !URL.canParse(cache)) {
      problems.push(`${where}.caches: ${quote(cache)} is not https://..., http://... or file:///...`);
    }
  }
}

function checkRegistry(registry: string, ours: string, where: string, problems: string[]): void {
  const wrong = (why: string): void => void problems.push(`${where}.registry: ${quote(registry)} ${why}`);
  if (registry.includes("://")) return wrong("is a URL; write <host>/<repository>");
  try {
    const { host, tag, digest } = parseReference(registry);
    const port = Number(/:([0-9]+)$/.exec(host)?.[1] ?? 1);
    if (tag !== undefined || digest !== undefined) wrong("has a tag or digest; write <host>/<repository>");
    else if (port < 1 || port > 65535) wrong("has a port that is not from 1 to 65535");
    else if (host.toLowerCase() === ours.toLowerCase())
      wrong("is on the registry that nodes ask for images of caches (registry.reference)");
  } catch (error) {
    if (!(error instanceof NixClosureError)) throw error;
    problems.push(`${where}.registry: ${error.message}`);
  }
}

/** Refuses keys that are right, and of no use here: nobody is to believe that they have an effect. */
function refuseKeys(
  file: SourceFile,
  keys: readonly (keyof SourceFile)[],
  where: string,
  owner: string,
  problems: string[],
): void {
  for (const key of keys) if (file[key] !== undefined) problems.push(`${where}.${key} is for ${owner}`);
}
