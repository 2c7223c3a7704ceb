import type { Resolver } from "../../src/resolver/resolver.ts";
import { createAdmission, type Admission, type AdmissionSettings } from "../../src/webhook/admission.ts";
import { demoClosure, demoTypes } from "./closures.ts";

/** Host part of our registry's references in all tests of patches. */
export const host = "localhost:5417";

export const testSettings: AdmissionSettings = {
  sources: [
    { name: "demo", namespaces: ["*"] },
    { name: "other", namespaces: ["*"] },
    { name: "team", namespaces: ["team-*", "build"] },
  ],
  defaultSource: "demo",
  host,
  strategy: "auto",
  maxImageBytes: 10 * 1024 ** 3,
};

/** The demo's binary cache under every source's name. It tells the types that it is asked for, and no more. */
const demoResolver: Pick<Resolver, "resolve" | "pathTypes"> = {
  resolve: async (_source, roots) => demoClosure(...roots),
  pathTypes: async (_source, paths) => new Map(paths.map((path) => [path, demoTypes.get(path)!])),
};

/** What the webhook and the command line put between an annotated Pod and its injected form. */
export function testAdmission(settings: Partial<AdmissionSettings> = {}): Admission {
  return createAdmission(demoResolver as Resolver, { ...testSettings, ...settings });
}
