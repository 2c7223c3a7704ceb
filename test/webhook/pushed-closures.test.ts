import { expect, test } from "vitest";
import type { PushedImages } from "../../src/closure-index/pushed-images.ts";
import type { Closure } from "../../src/nix/closure.ts";
import { parsePod, type Pod } from "../../src/patch/pod.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { createAdmission, type Admission, type AdmissionSettings } from "../../src/webhook/admission.ts";
import { demoClosure, demoPath, demoTypes } from "../patch/closures.ts";
import { pushDemoClosure, pushedSources } from "../patch/pushed-sources.ts";
import { testSettings } from "../patch/test-admission.ts";
import type { PushedPlan } from "../plan/pushed-closures.ts";

const nginx = demoPath("nginx-app-1.0");
const [shop] = pushedSources;

/** An admission whose source `shop` has every closure with some plans. */
function admissionWith(
  plans: readonly PushedPlan[],
  settings: Partial<AdmissionSettings> = {},
): Admission & { readonly asked: string[] } {
  const asked: string[] = [];
  const images = new WeakMap<Closure, PushedImages>();
  const closures = new Map<string, Closure>();
  const resolver: Pick<Resolver, "known" | "resolve" | "pathTypes" | "pushedImages"> = {
    known: (_source, roots) => closures.get(roots.join()),
    resolve: async (_source, roots) => {
      const closure = closures.get(roots.join()) ?? demoClosure(...roots);
      closures.set(roots.join(), closure);
      images.set(closure, pushDemoClosure(closure, { ...shop!, plans }));
      return closure;
    },
    pathTypes: async (source, paths) => {
      asked.push(...paths.map((path) => `${source} ${path}`));
      return new Map(paths.map((path) => [path, demoTypes.get(path)!]));
    },
    pushedImages: (source, closure) => (source === "shop" ? images.get(closure) : undefined),
  };
  return { ...createAdmission(resolver as Resolver, { ...testSettings, ...settings }), asked };
}

function podWith(annotations: Readonly<Record<string, string>>, images = ["debian:12"]): Pod {
  return parsePod({
    metadata: { annotations },
    spec: { containers: images.map((image, i) => ({ name: `app${i}`, image })) },
  });
}

const pod = podWith({ "nix.closure": `shop: ${nginx}` });
const referencesOf = ({ spec }: Pod): readonly (string | undefined)[] =>
  (spec.volumes ?? []).map(({ image }) => image?.reference);

async function injected(admission: Admission, asked: Pod): Promise<Pod> {
  return (await admission.inject(asked, "default"))!.pod;
}

test("a Pod stays as it is when its closure was pushed again with more plans, or others that it has no volume of", async () => {
  const before = await injected(admissionWith([5]), pod);
  expect(before.spec.volumes).toHaveLength(5);
  for (const plans of [[5], [5, "bundle"], ["per-path", 4, 5]] as const)
    expect(await injected(admissionWith(plans), before)).toBe(before);
});

test("a Pod gets today's plan when its closure was pushed again without the one that it has", async () => {
  const before = await injected(admissionWith([5]), pod);
  const after = await injected(admissionWith(["bundle"]), before);
  expect(after.spec.volumes).toHaveLength(2);
  expect(referencesOf(after)).toEqual(
    expect.arrayContaining([...referencesOf(await injected(admissionWith(["bundle"]), pod))]),
  );
  expect(after.spec.imagePullSecrets).toEqual([{ name: "shop-registry" }]);
});

test("a Pod with all path images is whole, whatever store images there are", async () => {
  const before = await injected(
    admissionWith(["per-path"], { maxVolumes: 48, kubelet: { registryPullQPS: 0, registryBurst: 1 } }),
    pod,
  );
  expect(before.spec.volumes).toHaveLength(14);
  expect(await injected(admissionWith(["bundle"]), before)).toBe(before);
});

test("no type of a path is asked for, nor for a Pod with volumes", async () => {
  const admission = admissionWith([5]);
  const before = await injected(admission, pod);
  await injected(admission, before);
  expect(admission.asked).toEqual([]);
  await injected(
    admission,
    podWith({ "nix.closure": `shop: ${nginx}`, "container.nix.closure/app0": nginx }),
  );
  expect(new Set(admission.asked.map((text) => text.split(" ")[0]))).toEqual(new Set(["demo"]));
});

test("a plan that was not pushed is refused, with what was", async () => {
  const bundle = podWith({ "nix.closure": `shop: ${nginx}`, "nix.closure/strategy": "bundle" });
  await expect(admissionWith([5]).inject(bundle, "default")).rejects.toMatchObject({
    code: "PLAN_NOT_PUSHED",
    status: 422,
    message: expect.stringMatching(
      /with plans of 5, 14 images, .* "--plan bundle" among its plans/,
    ) as string,
  });
  await expect(admissionWith([5], { strategy: "bundle" }).inject(pod, "default")).rejects.toMatchObject({
    code: "PLAN_NOT_PUSHED",
  });
});

test("a Pod with more images than it has room for gets a warning, once and on its prepared patch too", async () => {
  const admission = admissionWith([5]);
  const crowded = podWith({ "nix.closure": `shop: ${nginx}` }, ["a", "b", "c", "d", "e"]);
  const first = await admission.patch(crowded, "default");
  expect(first!.warnings).toEqual([
    expect.stringMatching(
      /^every plan that nginx-app-1\.0 was pushed with has 5 images or more, .* room for 4: /,
    ),
  ]);
  expect(admission.patchAtOnce(crowded, "default", 4096)).toMatchObject({ warnings: first!.warnings });
  const { pod: after, warnings } = (await admission.inject(crowded, "default"))!;
  expect(warnings).toHaveLength(1);
  expect((await admission.inject(after, "default"))!.warnings).toEqual([]);
});

test("a slow start is warned of as kubelets treat pulls that nobody paces", async () => {
  const perPath = podWith({ "nix.closure": `shop: ${nginx}`, "nix.closure/strategy": "per-path" });
  const warningsOf = async (plans: readonly PushedPlan[]): Promise<readonly string[]> =>
    (await admissionWith(plans, { slowStartWarnings: true }).inject(perPath, "default"))!.warnings;
  expect(await warningsOf(["per-path", 5])).toEqual([
    expect.stringMatching(/^the Pod's 14 image volumes take about 14 s .* they are at most 5, about 1 s$/),
  ]);
  expect(await warningsOf(["per-path", 3])).toEqual([
    expect.stringMatching(/ they are at most 3, about 1 s$/),
  ]);
  expect(await warningsOf(["per-path"])).toEqual([]);
});

test("namespaces that may not use the source are refused before anything is asked", async () => {
  const sources = testSettings.sources.map((source) => ({ ...source, namespaces: ["team-*"] }));
  const admission = createAdmission({} as Resolver, { ...testSettings, sources });
  await expect(admission.inject(pod, "default")).rejects.toMatchObject({ code: "NAMESPACE_NOT_ALLOWED" });
});

test("a closure whose images are not known is not planned as one of caches", async () => {
  const resolver: Pick<Resolver, "resolve" | "pushedImages"> = {
    resolve: async (_source, roots) => demoClosure(...roots),
    pushedImages: () => undefined,
  };
  const admission = createAdmission(resolver as Resolver, testSettings);
  await expect(admission.inject(pod, "default")).rejects.toMatchObject({ code: "INTERNAL" });
});
