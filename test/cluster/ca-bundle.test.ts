import { applyPatch } from "fast-json-patch";
import { X509Certificate } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { WebhookConfiguration } from "../../src/cluster/api-server.ts";
import { bundlePatch, distrust, publishedState } from "../../src/cluster/ca-bundle.ts";
import { createAuthority, type Authority } from "../../src/webhook/tls/authority.ts";
import { issueFor } from "../../src/cluster/server-certificate.ts";
import type { KeyPair } from "../../src/webhook/tls/key-pair.ts";

const names = {
  namespace: "nix-closure",
  service: "nix-closure-webhook",
  webhookConfiguration: "nix-closure",
  secret: "nix-closure-ca",
};
const service = { namespace: names.namespace, name: names.service };
const now = new Date("2026-12-01T12:00:00Z");
const later = (hours: number) => new Date(now.getTime() + hours * 3_600_000);

let authority: Authority;
let other: Authority;
let served: KeyPair;
beforeAll(async () => {
  authority = await createAuthority({ commonName: "one", days: 10, now });
  other = await createAuthority({ commonName: "two", days: 10, now });
  served = await issueFor(authority, names, 86_400_000, now);
});

describe("the patch", () => {
  const configuration: WebhookConfiguration = {
    webhooks: [
      { name: "a.example.com", service: { namespace: "else", name: names.service }, caBundle: "theirs" },
      { name: "pods.nix.closure", service, caBundle: "" },
      { name: "url.example.com", caBundle: "" },
      { name: "more.nix.closure", service, caBundle: "old" },
    ],
  };

  test("touches our entries only, and only where they stand", () => {
    const patch = bundlePatch(configuration, names, "new");
    const value = Buffer.from("new").toString("base64");
    const target = {
      webhooks: configuration.webhooks.map(({ name }) => ({ name, clientConfig: {} as object })),
    };
    applyPatch(target, [...patch], true);
    expect(target.webhooks).toEqual([
      { name: "a.example.com", clientConfig: {} },
      { name: "pods.nix.closure", clientConfig: { caBundle: value } },
      { name: "url.example.com", clientConfig: {} },
      { name: "more.nix.closure", clientConfig: { caBundle: value } },
    ]);
    expect(() => applyPatch({ webhooks: target.webhooks.toReversed() }, [...patch], true)).toThrow(
      "Test operation failed",
    );
  });

  test("is empty where nothing is to be done", () => {
    const done = { webhooks: configuration.webhooks.map((webhook) => ({ ...webhook, caBundle: "new" })) };
    expect(bundlePatch(done, names, "new")).toEqual([]);
  });
});

describe("a server's certificate is believed", () => {
  test("by who trusts its authority, also among others and between noise", () => {
    const bundle = `# ours\n${other.certificatePem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${authority.certificatePem}`;
    expect(distrust(bundle, served.certificatePem, now)).toBeUndefined();
  });

  test.for<[string, () => string, Date, RegExp]>([
    ["nothing", () => "", now, /caBundle is empty/],
    ["no certificate", () => "nonsense", now, /caBundle is empty/],
    ["another authority", () => other.certificatePem, now, /does not verify/],
    ["its authority, too late", () => authority.certificatePem, later(25), /expired at 2026-12-02T12:00:00/],
    ["its authority, too early", () => authority.certificatePem, later(-2), /not valid before/],
  ])("not by who trusts %s", ([, bundle, at, reason]) => {
    expect(distrust(bundle(), served.certificatePem, at)).toMatch(reason);
  });

  test("not by an authority of the same name with another key", async () => {
    const { subject } = new X509Certificate(authority.certificatePem);
    const twin = await createAuthority({ commonName: "one", days: 10, now });
    expect(new X509Certificate(twin.certificatePem).subject).not.toBe(subject);
    expect(distrust(twin.certificatePem, served.certificatePem, now)).toMatch(/does not verify/);
  });
});

describe("what is published", () => {
  test.for<[string, () => readonly string[] | undefined, true | RegExp]>([
    ["nothing is there", () => undefined, /no MutatingWebhookConfiguration nix-closure/],
    ["no entry is ours", () => [], /leads to Service nix-closure\/nix-closure-webhook/],
    [
      "one of two entries is wrong",
      () => [authority.certificatePem, other.certificatePem],
      /does not verify/,
    ],
    ["all is well", () => [authority.certificatePem], true],
  ])("%s", ([, bundles, wanted]) => {
    const state = publishedState(bundles(), names, served, now);
    if (wanted === true) expect(state).toBe(true);
    else expect(state).toMatch(wanted);
  });
});
