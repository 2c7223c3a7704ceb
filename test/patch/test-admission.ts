import type { Closure } from "../../src/nix/closure.ts";
import type { NixClosureError } from "../../src/errors.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { createAdmission, type Admission, type AdmissionSettings } from "../../src/webhook/admission.ts";
import { demoClosure, demoTypes } from "./closures.ts";
import { demoNamedImages } from "./named-closures.ts";
import { demoPushedImages, pushedSources } from "./pushed-sources.ts";

/** Host part of our registry's references in all tests of patches. */
export const host = "localhost:5417";

export const testSettings: AdmissionSettings = {
  sources: [
    { name: "demo", namespaces: ["*"] },
    { name: "other", namespaces: ["*"] },
    { name: "team", namespaces: ["team-*", "build"] },
    ...pushedSources,
  ],
  defaultSource: "demo",
  host,
  hasRegistry: true,
  baseImage: `${host}/base:1`,
  strategy: "auto",
  maxVolumes: 48,
  kubelet: { registryPullQPS: 5, registryBurst: 10 },
  maxImageBytes: 10 * 1024 ** 3,
  slowStartWarnings: false,
};

/**
 * The demo's closures under every source's name, from its binary cache or pushed. It tells the types that it is asked
 * for, and no more.
 * @param closures what it knows, by the roots.
 */
function demoResolver(
  closures: Map<string, Closure>,
): Pick<Resolver, "known" | "resolve" | "knownName" | "named" | "pathTypes" | "pushedImages"> {
  const asked = new Set<string>();
  return {
    knownName: (source, name) => (asked.has(`${source}:${name}`) ? demoNamedImages(source, name) : undefined),
    named: async (source, name) => {
      asked.add(`${source}:${name}`);
      return demoNamedImages(source, name);
    },
    known: (_source, roots) => closures.get(roots.join()),
    resolve: async (_source, roots) => {
      const closure = closures.get(roots.join()) ?? demoClosure(...roots);
      closures.set(roots.join(), closure);
      return closure;
    },
    pathTypes: async (_source, paths) => new Map(paths.map((path) => [path, demoTypes.get(path)!])),
    pushedImages: demoPushedImages,
  };
}

/** What the webhook and the command line put between an annotated Pod and its injected form. */
export function testAdmission(
  settings: Partial<AdmissionSettings> = {},
  closures = new Map<string, Closure>(),
  refusal?: () => NixClosureError | undefined,
): Admission {
  const resolver = demoResolver(closures) as Resolver;
  return createAdmission(resolver, { ...testSettings, ...settings }, refusal);
}
