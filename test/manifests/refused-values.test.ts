import { describe, expect, test } from "vitest";
import { renderChart } from "./chart.ts";
import { render } from "./chart-parts.ts";
import { kubernetesTools, toolsMissing } from "./kubernetes-tools.ts";

const tools = kubernetesTools();

const listening = (listen: string): object => ({ config: { registry: { listen } } });
const keeping = (directory: string): object => ({ config: { registry: { blobs: { directory } } } });
const nodeDirectory = (hostPath: string): object => ({ registry: { hostPath } });

describe.skipIf(tools === undefined)(`values${tools === undefined ? ` (${toolsMissing})` : ""}`, () => {
  const { helm } = tools ?? { helm: "" };

  test.for([
    ["an unknown key", { webhook: { replica: 3 } }, /'replica' not allowed/],
    ["an unknown key of the configuration", { config: { source: {} } }, /'source' not allowed/],
    [
      "a key of the configuration that the chart sets",
      { config: { admin: { listen: ":1" } } },
      /'admin' not allowed/,
    ],
    [
      "a certificate's file beside the chart's",
      { config: { webhook: { certFile: "/a" } } },
      /config\/webhook/,
    ],
    ["a source's name that no image can have", { config: { sources: { A_b: { caches: [] } } } }, /A_b/],
    [
      "a namespace pattern that is none",
      { config: { sources: { a: { caches: [], namespaces: ["team.*"] } } } },
      /namespaces\/0/,
    ],
    ...["https://registry.example.com/nix", "registry.example.com", "registry.example.com/nix:1"].map(
      (registry): [string, object, RegExp] => [
        `a repository of closures that is none: ${registry}`,
        { config: { sources: { a: { registry } } } },
        /sources\/a\/registry/,
      ],
    ),
    [
      "several sources and no default",
      { config: { sources: { a: { caches: [] }, b: { caches: [] } } } },
      /defaultSource is missing; .*: a, b/,
    ],
    [
      "a default that there is not",
      { config: { defaultSource: "x" } },
      /there is no source "x"; there are: nixos/,
    ],
    [
      "a source with caches, and nobody to make images of it",
      { registry: { enabled: false } },
      /registry\.enabled: without it nobody makes images of config\.sources\.nixos, which has caches; take /,
    ],
    ["the chart's own key for that", { config: { registry: { enabled: false } } }, /config\/registry/],
    ["a size that is none", { config: { registry: { blobs: { maxBytes: "20GB" } } } }, /maxBytes/],
    ["a wait that the API server does not take", { webhook: { timeoutSeconds: 31 } }, /maximum.*30/],
    ["TLS 1.2 as a number", { config: { webhook: { minTLSVersion: 1.2 } } }, /minTLSVersion/],
    ["a TLS version that there is not", { config: { webhook: { minTLSVersion: "1.1" } } }, /minTLSVersion/],
    ["an address without a port", listening("localhost"), /registry\/listen/],
    ["a port above all", listening("localhost:65536"), /registry\.listen: .*"localhost:65536".* 1 to 65535/],
    ["port 0", listening("localhost:0"), /registry\.listen: .* 1 to 65535/],
    ["a port in base 8", listening("localhost:05417"), /registry\.listen: .* 1 to 65535/],
    [
      "a reference's port above all",
      { config: { registry: { reference: "localhost:99999" } } },
      /registry\.reference: .* 1 to 65535/,
    ],
    ["one port for both", { registry: { adminPort: 5417 } }, /adminPort: 5417 is the registry's own port/],
    [
      "a label that Pods are found by",
      { registry: { podLabels: { "app.kubernetes.io/name": "x" } } },
      /chart's own/,
    ],
    [
      "a label that the webhook's Pods are found by",
      { webhook: { podLabels: { "app.kubernetes.io/component": "registry" } } },
      /webhook\.podLabels: app\.kubernetes\.io\/component is the chart's own/,
    ],
    [
      "a common label that Pods are found by",
      { commonLabels: { "app.kubernetes.io/component": "x" } },
      /commonLabels: .* is the chart's own/,
    ],
    [
      "a Pod Security level for both namespaces",
      { commonLabels: { "pod-security.kubernetes.io/enforce": "baseline" } },
      /commonLabels: pod-security/,
    ],
    [
      "a quota for no priority class",
      { criticalPodsQuota: true, webhook: { priorityClassName: "" } },
      /webhook\.priorityClassName, which is empty/,
    ],
    [
      "a quota for no priority class of the registry",
      { criticalPodsQuota: true, registry: { priorityClassName: "" } },
      /registry\.priorityClassName, which is empty/,
    ],
    [
      "one namespace for both parts",
      { registry: { namespace: "nix-closure" } },
      /registry\.namespace: "nix-closure" is the namespace of the webhook too/,
    ],
  ] as const)("%s is refused in words", ([, values, message]) => {
    expect(() => renderChart(helm, ["--values", "-"], JSON.stringify(values))).toThrow(message);
  });

  test.for([
    ":5417",
    "0.0.0.0:5417",
    "[::]:5417",
    "10.0.0.1:5417",
    "node:5417",
    "localhost.example.com:5417",
    "128.0.0.1:5417",
  ])("the registry is on the network, at %s, only if one says so", (listen) => {
    expect(() => render(listening(listen))).toThrow(
      /is not on the node's loopback .*registry\.allowNetwork: true/,
    );
    expect(() => render({ ...listening(listen), registry: { allowNetwork: true } })).not.toThrow();
  });

  test.for(["localhost:5417", "LOCALHOST:5417", "127.0.0.1:5417", "127.9.8.7:5417", "[::1]:5417"])(
    "the registry may be at %s",
    (listen) => {
      expect(() => render(listening(listen))).not.toThrow();
    },
  );

  test.for([
    "/etc/nix-closure",
    "/etc/nix-closure/blobs",
    "/etc/nix-closure/",
    "/etc//nix-closure",
    "/var/../etc/nix-closure",
    "/etc/nix-closure-credentials/blobs",
    "/etc",
    "/",
  ])("layers are not kept in %s, where the configuration is", (directory) => {
    expect(() => render(keeping(directory))).toThrow(/blobs\.directory: ".*" cannot be mounted beside \/etc/);
  });

  test.for(["/etc/nix-closure-blobs", "/data", "/var/lib/nix-closure"])(
    "layers may be kept in %s",
    (directory) => {
      expect(() => render(keeping(directory))).not.toThrow();
    },
  );

  test.for([
    "data",
    "/",
    "/var/lib/",
    "/var/../etc",
    "/var/./lib",
    "//var",
    "/var/lib data",
    "/..",
    "/.hidden",
  ])("%s is no directory of a node", (hostPath) => {
    expect(() => render(nodeDirectory(hostPath))).toThrow(/registry\/hostPath/);
  });

  test.for(["/proc", "/sys/fs", "/dev/shm", "/tmp", "/var/tmp/layers"])(
    "%s is no place for layers",
    (hostPath) => {
      expect(() => render(nodeDirectory(hostPath))).toThrow(
        /registry\.hostPath: ".*" is of the kernel, or writable/,
      );
    },
  );
});
