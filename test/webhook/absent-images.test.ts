/** Clusters without a registry of ours, and base images of their own. */
import { describe, expect, test } from "vitest";
import { parsePod, type Pod } from "../../src/patch/pod.ts";
import type { AdmissionSettings } from "../../src/webhook/admission.ts";
import { demoPath } from "../patch/closures.ts";
import { testAdmission, testSettings } from "../patch/test-admission.ts";

const hello = demoPath("hello-app");
const without = { hasRegistry: false, baseImage: undefined } satisfies Partial<AdmissionSettings>;
const base = "registry.example.com/nix:base-1@sha256:" + "0".repeat(64);

function podWith(annotations: Readonly<Record<string, string>>, ...images: readonly string[]): Pod {
  const containers = images.map((image, i) => ({ name: `app${i}`, image }));
  return parsePod({ metadata: { annotations }, spec: { containers } });
}

describe("without a registry of ours", () => {
  test("a closure that was pushed is injected", async () => {
    const { pod } = (await testAdmission(without).inject(
      podWith({ "nix.closure": `shop:${hello}` }, "debian:12"),
      "default",
    ))!;
    expect(pod.spec.volumes?.length).toBeGreaterThan(0);
    for (const { image } of pod.spec.volumes ?? []) expect(image?.reference).toMatch(/@sha256:[0-9a-f]{64}$/);
  });

  test("a source of caches is refused, with those that can be taken", async () => {
    const pod = podWith({ "nix.closure": `demo:${hello}` }, "debian:12");
    await expect(testAdmission(without).inject(pod, "default")).rejects.toMatchObject({
      code: "REGISTRY_ABSENT",
      status: 422,
      message: expect.stringMatching(
        /^images of the source demo, which has caches, .* \(registry\.enabled: false .* "nix-closure push", .* such as shop/,
      ) as string,
    });
    const sources = testSettings.sources.filter(({ repository }) => repository === undefined);
    await expect(testAdmission({ ...without, sources }).inject(pod, "default")).rejects.toMatchObject({
      message: expect.stringMatching(/ a source that has a registry$/) as string,
    });
  });

  test("so it is in a Pod that was injected before", async () => {
    const pod = podWith({ "nix.closure": `demo:${hello}` }, "debian:12");
    const before = (await testAdmission().inject(pod, "default"))!;
    expect(before.volumes).toBeGreaterThan(0);
    await expect(testAdmission(without).inject(before.pod, "default")).rejects.toMatchObject({
      code: "REGISTRY_ABSENT",
    });
  });

  test("the base image is refused for each container that has it, all in one message", async () => {
    const pod = podWith(
      { "container.nix.closure/app0": `demo:${hello}` },
      "nix.closure/base",
      "debian:12",
      "nix.closure/base",
    );
    const error = await testAdmission(without)
      .inject(pod, "default")
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "ANNOTATIONS_INVALID" });
    const { message } = error as Error;
    expect(message.match(/\[REGISTRY_ABSENT\]/g)).toHaveLength(3);
    for (const words of ["the source demo", "of the container app0", "of the container app2", "baseImage"])
      expect(message).toContain(words);
    expect(message).not.toContain("app1");
  });

  test("a Pod that asks for nothing is nobody's business", async () => {
    expect(await testAdmission(without).inject(podWith({}, "nix.closure/base"), "default")).toBeUndefined();
  });
});

describe("a base image of the configuration's", () => {
  const admission = testAdmission({ hasRegistry: false, baseImage: base });
  const pod = podWith({ "nix.closure": `shop:${hello}` }, "nix.closure/base", "debian:12");

  test("stands in for the placeholder, with the profile in its PATH", async () => {
    const injected = (await admission.inject(pod, "default"))!.pod;
    expect(injected.spec.containers).toMatchObject([
      {
        image: base,
        imagePullPolicy: "IfNotPresent",
        env: [
          {
            name: "PATH",
            value: expect.stringMatching(/^\/nix\/var\/nix\/profiles\/default\/bin:/) as string,
          },
        ],
      },
      { image: "debian:12" },
    ]);
  });

  test("is known again in a Pod that has it, which stays as it is", async () => {
    const { pod: once } = (await admission.inject(pod, "default"))!;
    expect((await admission.inject(once, "default"))!.pod).toBe(once);
    const lost = {
      ...once,
      spec: {
        ...once.spec,
        containers: once.spec.containers.with(0, { ...once.spec.containers[0]!, env: [] }),
      },
    };
    expect((await admission.inject(lost, "default"))!.pod.spec.containers).toEqual(once.spec.containers);
    expect(admission.patchAtOnce(once, "default", 4096)).toBeUndefined();
  });

  test("is in the patch that is made once for all Pods like it", async () => {
    const made = (await admission.patch(pod, "default"))!;
    const again = podWith({ "nix.closure": `shop:${hello}` }, "nix.closure/base", "debian:12");
    expect(admission.patchAtOnce(again, "default", 4096)?.encoded).toEqual(made.encoded);
    expect(Buffer.from(made.encoded!.toString(), "base64").toString()).toContain(base);
  });
});
