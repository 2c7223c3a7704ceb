import { describe, expect, test } from "vitest";
import { parseConfig } from "../../src/config.ts";
import { demoKey } from "../nix/demo-cache.ts";
import { findObject } from "./chart.ts";
import { configOf, only, podOf, render } from "./chart-parts.ts";
import { kubernetesTools, toolsMissing } from "./kubernetes-tools.ts";
import { podSpecs } from "./pod-specs.ts";

const certManager = { webhook: { certManager: { enabled: true } } };

const tools = kubernetesTools();

describe.skipIf(tools === undefined)(
  `configuration${tools === undefined ? ` (${toolsMissing})` : ""}`,
  () => {
    test("both parts take their configuration, and agree on it", () => {
      const values = {
        config: {
          sources: {
            demo: { caches: ["http://cache.demo.svc"], publicKeys: [], namespaces: ["team-*"] },
            shop: { caches: ["https://shop.example.com"], netrcFile: "/etc/nix-closure-credentials/netrc" },
            pushed: {
              registry: "registry.example.com/nix",
              publicKeys: [demoKey],
              dockerConfigFile: "/etc/nix-closure-credentials/config.json",
              caFile: "/etc/nix-closure-credentials/ca.pem",
              pullSecret: "regcred",
              namespaces: ["team-*"],
            },
          },
          defaultSource: "shop",
          plan: { maxPaths: 100 },
          kubelet: { registryPullQPS: 0 },
          webhook: { minTLSVersion: "1.3" },
          cluster: { certificateValidity: "1h" },
          log: { level: "debug" },
        },
      };
      const rendered = render(values);
      const ofWebhook = configOf(rendered, "nix-closure");
      const ofRegistry = configOf(rendered, "nix-closure-registry");
      expect(ofWebhook.sources).toEqual(ofRegistry.sources);
      expect(ofWebhook.registry).toEqual(ofRegistry.registry);
      expect(ofWebhook).toMatchObject({
        defaultSource: "shop",
        plan: { maxPaths: 100 },
        kubelet: { registryPullQPS: 0 },
        webhook: { minTLSVersion: "1.3", certificate: "own" },
        admin: { listen: { port: 5418 } },
        cluster: {
          namespace: "nix-closure",
          service: "nix-closure-webhook",
          webhookConfiguration: "nix-closure",
          secret: "nix-closure-ca",
          certificateValidityMs: 3_600_000,
        },
        log: { level: "debug" },
      });
      expect(ofRegistry).toMatchObject({
        admin: { listen: { host: "127.0.0.1", port: 5418 } },
        cluster: undefined,
      });
    });

    test("without values, the configuration is the product's own", () => {
      const defaults = parseConfig("", "defaults");
      const { sources, defaultSource, registry: blobs, plan } = configOf(render({}), "nix-closure-registry");
      expect({ sources, defaultSource, blobs, plan }).toEqual({
        sources: defaults.sources,
        defaultSource: defaults.defaultSource,
        blobs: defaults.registry,
        plan: defaults.plan,
      });
    });

    test("Pods start again for what is read at the start, and for nothing else", () => {
      const checksums = (config: object): readonly (string | undefined)[] =>
        podSpecs(render({ config })).map(({ annotations }) => annotations["checksum/config-at-start"]);
      const before = checksums({});
      expect(before.every((checksum) => /^[0-9a-f]{16}$/.test(checksum ?? ""))).toBe(true);
      expect(checksums({ sources: { a: { caches: ["https://a"] } }, plan: { maxPaths: 3 } })).toEqual(before);
      expect(
        checksums({ registry: { reference: "localhost:5417", blobs: { maxBytes: "1Gi" } } }),
      ).not.toEqual(before);
      expect(checksums({ log: { level: "debug" } }).some((checksum) => before.includes(checksum))).toBe(
        false,
      );
    });

    test("with cert-manager, its certificate is for the names that the API server calls", () => {
      const rendered = render(certManager);
      const { cluster, webhook: settings } = configOf(rendered, "nix-closure");
      expect(cluster).toBeDefined();
      expect(settings.certificate).toEqual({
        certFile: "/etc/nix-closure-tls/tls.crt",
        keyFile: "/etc/nix-closure-tls/tls.key",
      });
      const certificate = findObject(rendered, "Certificate", "nix-closure-webhook").spec as {
        dnsNames: string[];
        secretName: string;
      };
      expect(certificate.dnsNames).toContain("nix-closure-webhook.nix-closure.svc");
      expect(podOf(rendered, "nix-closure-webhook").volumes).toContainEqual({
        name: "tls",
        secret: { secretName: certificate.secretName },
      });
      const { metadata } = findObject(rendered, "MutatingWebhookConfiguration", "nix-closure");
      expect(metadata.annotations?.["cert-manager.io/inject-ca-from"]).toBe(
        "nix-closure/nix-closure-webhook",
      );
    });

    test("the next certificate of the authority verifies what the one before it signed", () => {
      const { spec } = findObject(render(certManager), "Certificate", "nix-closure-authority");
      expect(spec).toMatchObject({
        isCA: true,
        commonName: "nix-closure",
        privateKey: { algorithm: "ECDSA", size: 256, rotationPolicy: "Never" },
      });
    });

    test("credentials are where the configuration looks for them, in both parts", () => {
      const rendered = render({ credentialsSecret: "caches" });
      for (const [name, optional] of [
        ["nix-closure-webhook", {}],
        // Of a source in a registry it needs none.
        ["nix-closure-registry", { optional: true }],
      ] as const) {
        const spec = podOf(rendered, name);
        expect(spec.volumes).toContainEqual({
          name: "credentials",
          secret: { secretName: "caches", ...optional },
        });
        expect(only(spec).volumeMounts).toContainEqual({
          name: "credentials",
          mountPath: "/etc/nix-closure-credentials",
          readOnly: true,
        });
      }
    });
  },
);
