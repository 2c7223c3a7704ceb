import { describe, expect, test } from "vitest";
import { companionVersions, wantedRelease } from "./versions.ts";

describe("the release of Kubernetes", () => {
  test("is 1.36 unless another one is named", () => {
    expect(wantedRelease({})).toMatchObject({ major: "1", minor: "36", chosen: false });
  });

  test.each(["1.35.4", "v1.35.4"])("%s is named by KUBERNETES_VERSION", (text) => {
    expect(wantedRelease({ KUBERNETES_VERSION: text })).toEqual({
      version: "1.35.4",
      major: "1",
      minor: "35",
      patch: "4",
      chosen: true,
    });
  });

  test.each(["1.36", "latest", "", "1.36.3-rc.1"])("%j is none", (text) => {
    expect(() => wantedRelease({ KUBERNETES_VERSION: text })).toThrow(/KUBERNETES_VERSION is ".*"; write/);
  });
});

describe("etcd and CoreDNS", () => {
  // What `kubeadm config images list` of each release prints.
  const images = (etcd: string, coredns: string): readonly string[] => [
    "registry.k8s.io/kube-apiserver:v1.36.3",
    `registry.k8s.io/coredns/coredns:${coredns}`,
    "registry.k8s.io/pause:3.10.2",
    `registry.k8s.io/etcd:${etcd}`,
  ];

  test.each([
    ["1.35.4", "3.6.6-0", "v1.13.1", { etcd: "v3.6.6", coredns: "v1.13.1" }],
    ["1.36.3", "3.6.8-0", "v1.14.2", { etcd: "v3.6.8", coredns: "v1.14.2" }],
    ["1.37.2", "3.7.0-0", "v1.14.6", { etcd: "v3.7.0", coredns: "v1.14.6" }],
  ])("are those that the kubeadm of %s asks for", (_release, etcd, coredns, expected) => {
    expect(companionVersions(images(etcd, coredns))).toEqual(expected);
  });

  test("an image without a version that is a Go module's is an error", () => {
    expect(() => companionVersions(images("latest", "v1.14.2"))).toThrow("kubeadm lists no etcd image");
    expect(() => companionVersions([])).toThrow("kubeadm lists no etcd image");
  });
});
