import { parseClosureName } from "../../src/closure-index/closure-name.ts";
import type { NamedClosure } from "../../src/closure-index/name-document.ts";
import { namedImages, type NamedImages } from "../../src/closure-index/named-images.ts";
import type { System } from "../../src/closure-index/system.ts";
import { nameNotPushed, nameWithoutRegistry } from "../../src/errors.ts";
import { sha256Digest } from "../../src/oci/digest.ts";
import { demoPath } from "./closures.ts";
import { pushedSources } from "./pushed-sources.ts";

/** What a name stands for in the tests' registries: systems, and whether roots are directories. */
const names: Readonly<Record<string, { readonly systems: readonly System[]; readonly profile: boolean }>> = {
  "web-1.2": { systems: ["aarch64-linux", "x86_64-linux"], profile: true },
  "web-1.3": { systems: ["aarch64-linux", "x86_64-linux"], profile: true },
  "intel-only": { systems: ["x86_64-linux"], profile: true },
  "arm-only": { systems: ["aarch64-linux"], profile: true },
  script: { systems: ["aarch64-linux", "x86_64-linux"], profile: false },
};
const roots = { "aarch64-linux": demoPath("hello-app"), "x86_64-linux": demoPath("nginx-app-1.0") };

/** Those that any node of the tests can have. */
export const demoNames: readonly string[] = ["web-1.2", "intel-only", "script"];

const known = new Map<string, NamedImages>();

/** What a resolver says of a name, always the same object. */
export function demoNamedImages(source: string, name: string): NamedImages {
  const { repository } = pushedSources.find((one) => one.name === source) ?? {};
  if (repository === undefined) throw nameWithoutRegistry(name, source);
  const stands = names[name];
  if (stands === undefined) throw nameNotPushed(name, repository);
  const key = `${repository}:${name}`;
  const images = known.get(key) ?? makeNamedImages(repository, name, stands);
  known.set(key, images);
  return images;
}

/** @param stamp tells two from each other that stand under one name, one after the other. */
export function makeNamedImages(
  repository: string,
  name: string,
  { systems, profile }: { readonly systems: readonly System[]; readonly profile: boolean },
  stamp = "",
): NamedImages {
  const manifest = (...words: readonly string[]) => {
    const text = [name, ...words, stamp].join(" ");
    return { digest: sha256Digest(Buffer.from(text)), size: text.length };
  };
  const closures = systems.map((system, at): NamedClosure => ({
    system,
    root: roots[system],
    paths: 5 + at,
    narSize: 2_000_000 - at,
    document: manifest(system, "document"),
    store: manifest(system, "store"),
    ...(profile && { profile: manifest(system, "profile") }),
  }));
  return namedImages(repository, { name: parseClosureName(name), closures });
}
