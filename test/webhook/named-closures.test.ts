/** Pods with names that are pushed again between one review and the next. */
import { describe, expect, test } from "vitest";
import type { NamedImages } from "../../src/closure-index/named-images.ts";
import type { Pod } from "../../src/patch/pod.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { createAdmission, type Admission } from "../../src/webhook/admission.ts";
import { expectSound, jsonCopy } from "../patch/invariants.ts";
import { demoNamedImages, makeNamedImages } from "../patch/named-closures.ts";
import { testAdmission, testSettings } from "../patch/test-admission.ts";

const repository = "registry.example.com/nix";
const stands = { systems: ["aarch64-linux", "x86_64-linux"], profile: true } as const;
const first = makeNamedImages(repository, "web", stands, "first");
const second = makeNamedImages(repository, "web", stands, "second");

/** An admission whose name stands for what `now` says; `known` is whether it is at hand. */
function admissionWith(): Admission & { now: NamedImages; known: boolean; asked: number } {
  const state = { now: first, known: true, asked: 0 };
  const resolver: Pick<Resolver, "named" | "knownName"> = {
    named: async () => {
      state.asked++;
      return state.now;
    },
    knownName: () => (state.known ? state.now : undefined),
  };
  return Object.assign(state, createAdmission(resolver as Resolver, testSettings));
}

function podWith(annotations: object = {}, spec: object = {}): Pod {
  return {
    metadata: { annotations: { "nix.closure": "shop:web", ...annotations } },
    spec: { containers: [{ name: "app", image: "debian:13" }], ...spec },
  };
}

const referencesOf = ({ spec }: Pod): readonly (string | undefined)[] =>
  (spec.volumes ?? []).map(({ image }) => image?.reference);
const ofName = ({ store, profile }: NamedImages): readonly string[] =>
  [store, profile!].map((digest) => `${repository}@${digest}`);
const statusOf = ({ metadata }: Pod): unknown =>
  JSON.parse(metadata.annotations!["nix.closure/status"] ?? "null");

describe("a Pod that comes again", () => {
  test("stays as it is while its name stands for the same", async () => {
    const admission = admissionWith();
    const { pod } = (await admission.inject(podWith(), "default"))!;
    expect(referencesOf(pod)).toEqual(ofName(first));
    expect((await admission.inject(pod, "default"))!.pod).toBe(pod);
  });

  test("gets all of what its name stands for now, and its status says so", async () => {
    const admission = admissionWith();
    const { pod } = (await admission.inject(podWith(), "default"))!;
    admission.now = second;
    const again = (await admission.inject(jsonCopy(pod), "default"))!;
    expect(referencesOf(again.pod)).toEqual(ofName(second));
    const [container] = again.pod.spec.containers;
    const names = again.pod.spec.volumes!.map(({ name }) => name);
    expect(container!.volumeMounts!.map(({ name, mountPath }) => [name, mountPath])).toEqual([
      [names[0], "/nix/store"],
      [names[1], "/nix/var/nix/profiles/default"],
    ]);
    expect(statusOf(again.pod)).toMatchObject({ volumes: 2, strategy: "bundle" });
    expect((await admission.inject(again.pod, "default"))!.pod).toBe(again.pod);
  });

  test("never has the store of one push and the profile of another", async () => {
    const admission = admissionWith();
    const { pod } = (await admission.inject(podWith(), "default"))!;
    const mixed = jsonCopy(pod);
    const other = makeNamedImages(repository, "web", stands, "second");
    Object.assign(mixed.spec.volumes![1]!, { image: { reference: `${repository}@${other.profile}` } });
    const again = (await admission.inject(mixed, "default"))!.pod;
    expect(referencesOf(again)).toEqual(ofName(first));
  });

  test("has its volumes and mounts put back where they were lost, and no other ones", async () => {
    const admission = testAdmission();
    const asked = { ...podWith(), metadata: { annotations: { "nix.closure": "shop:web-1.2" } } };
    const { pod } = (await admission.inject(asked, "default"))!;
    const lost = jsonCopy(pod);
    (lost.spec.volumes as unknown[]).pop();
    await expectSound(lost, (await admission.inject(lost, "default"))!, admission);
    const unmounted = jsonCopy(pod);
    (unmounted.spec.containers[0]!.volumeMounts as unknown[]).pop();
    const again = (await admission.inject(unmounted, "default"))!.pod;
    expect(again.spec).toEqual(pod.spec);
  });

  test("gives its profile up when it is to have none, and gets it elsewhere", async () => {
    const admission = testAdmission();
    const asked = (profile: string): Pod => ({
      ...podWith(),
      metadata: { annotations: { "nix.closure": "shop:web-1.2", "nix.closure/profile": profile } },
    });
    const { pod } = (await admission.inject(asked("/app"), "default"))!;
    const changed = { ...jsonCopy(pod), metadata: asked("none").metadata };
    const again = (await admission.inject(changed, "default"))!.pod;
    expect(referencesOf(again)).toEqual([`${repository}@${demoNamedImages("shop", "web-1.2").store}`]);
    expect(again.spec.containers[0]!.volumeMounts!.map(({ mountPath }) => mountPath)).toEqual(["/nix/store"]);
  });
});

describe("a patch that was prepared", () => {
  test("serves as long as the name is known and stands for the same", async () => {
    const admission = admissionWith();
    const patch = await admission.patch(podWith(), "default");
    expect(admission.asked).toBe(1);
    expect(admission.patchAtOnce(podWith(), "default", 4096)?.encoded).toEqual(patch!.encoded);
    admission.known = false;
    expect(admission.patchAtOnce(podWith(), "default", 4096)).toBeUndefined();
    admission.known = true;
    admission.now = second;
    expect(admission.patchAtOnce(podWith(), "default", 4096)).toBeUndefined();
    const moved = await admission.patch(podWith(), "default");
    expect(moved!.encoded).not.toEqual(patch!.encoded);
    expect(admission.patchAtOnce(podWith(), "default", 4096)?.encoded).toEqual(moved!.encoded);
    expect(admission.asked).toBe(2);
  });

  test("is that of a Pod with the same node selector, which a name of one system changes", async () => {
    const admission = admissionWith();
    admission.now = makeNamedImages(repository, "web", { systems: ["x86_64-linux"], profile: true });
    const selectors = [undefined, {}, { disk: "ssd" }, { "kubernetes.io/arch": "amd64" }];
    for (const nodeSelector of selectors) {
      const pod = podWith({}, nodeSelector === undefined ? {} : { nodeSelector });
      const patch = await admission.patch(pod, "default");
      expect(admission.patchAtOnce(jsonCopy(pod), "default", 4096)?.encoded).toEqual(patch!.encoded);
      const injected = (await admission.inject(pod, "default"))!.pod;
      expect(injected.spec.nodeSelector).toEqual({ ...nodeSelector, "kubernetes.io/arch": "amd64" });
    }
    const arm = podWith({}, { nodeSelector: { "kubernetes.io/arch": "arm64" } });
    expect(admission.patchAtOnce(arm, "default", 4096)).toBeUndefined();
    await expect(admission.patch(arm, "default")).rejects.toMatchObject({ code: "SYSTEM_NOT_PUSHED" });
  });
});

test("the images of a name are taken from what the Pod's other closures may have", async () => {
  const kubelet = { registryPullQPS: 5, registryBurst: 6 };
  const admission = testAdmission({ slowStartWarnings: true, kubelet });
  const both = podWith(
    {
      "nix.closure": "shop:web-1.2",
      "container.nix.closure/side": "demo:/nix/store/q0ningk88png4ipb9hm8ja6av167wdzk-nginx-app-1.0",
    },
    {
      containers: [
        { name: "app", image: "debian:13" },
        { name: "side", image: "debian:13" },
      ],
    },
  );
  const { pod, warnings } = (await admission.inject(both, "default"))!;
  // A burst of six, less the containers' image and one in reserve.
  expect(pod.spec.volumes).toHaveLength(4);
  expect(warnings).toEqual([]);
});

test("namespaces that may not use the source are refused before anything is asked", async () => {
  const sources = testSettings.sources.map((source) => ({ ...source, namespaces: ["team-*"] }));
  const admission = createAdmission({} as Resolver, { ...testSettings, sources });
  await expect(admission.inject(podWith(), "default")).rejects.toMatchObject({
    code: "NAMESPACE_NOT_ALLOWED",
  });
});
