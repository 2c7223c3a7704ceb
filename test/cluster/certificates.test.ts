import { X509Certificate } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import { parseCertificates } from "../../src/cluster/authorities.ts";
import { distrust } from "../../src/cluster/ca-bundle.ts";
import { keepCertificates } from "../../src/cluster/certificates.ts";
import { connectToCluster } from "../../src/cluster/kubernetes-client.ts";
import { createLogger } from "../../src/log.ts";
import { unrefTimers } from "../../src/reload.ts";
import type { KeyPair } from "../../src/webhook/tls/key-pair.ts";
import { until } from "../service/demo-cache.ts";
import { FakeApiServer } from "./fake-api-server.ts";

const names = {
  namespace: "nix-closure",
  service: "nix-closure-webhook",
  webhookConfiguration: "nix-closure",
  secret: "nix-closure-ca",
};
const hourMs = 3_600_000;

/** A clock that is moved by hand; all replicas of a test have the same. */
class Clock {
  at = new Date("2026-12-01T12:00:00Z");
  readonly now = (): Date => this.at;
  forward(milliseconds: number): void {
    this.at = new Date(this.at.getTime() + milliseconds);
  }
}

async function openApi(): Promise<FakeApiServer> {
  const api = await FakeApiServer.start();
  onTestFinished(() => api[Symbol.asyncDispose]());
  api.installWebhooks();
  return api;
}

interface Replica {
  served: KeyPair | undefined;
  /** All that were served, in order. */
  readonly pairs: KeyPair[];
  state: true | string;
  failures: number;
  /** How often it has brought everything in order. */
  rounds: number;
  /** Why a client that trusts what is published would not believe it; undefined: it would. */
  distrust(): string | undefined;
}

/** A replica of the webhook, as far as its certificates go; its wait for API servers is an hour of the clock. */
async function startReplica(api: FakeApiServer, clock: Clock): Promise<Replica> {
  process.env["KUBECONFIG"] = api.kubeconfig;
  const replica: Replica = {
    served: undefined,
    pairs: [],
    state: "nothing yet",
    failures: 0,
    rounds: 0,
    distrust: () => distrust(api.bundles.at(-1) ?? "", replica.served?.certificatePem ?? "", clock.at),
  };
  const keeper = keepCertificates({
    api: await connectToCluster(names),
    names,
    caValidityMs: 90 * hourMs,
    certificateValidityMs: 30 * hourMs,
    onCertificate(pair) {
      replica.served = pair;
      replica.pairs.push(pair);
    },
    observer: {
      published(state) {
        replica.state = state;
        replica.rounds++;
      },
      authority: () => undefined,
      failed: () => replica.failures++,
      bundleWritten: () => undefined,
    },
    log: createLogger({ level: "silent" }),
    clock: clock.now,
    // The pace of a real one, made a hundred times as fast.
    timers: { after: (milliseconds, action) => unrefTimers.after(milliseconds / 100, action) },
    settleMs: hourMs,
  });
  onTestFinished(() => keeper.close());
  return replica;
}

const issuerOf = ({ served }: Replica): string => new X509Certificate(served?.certificatePem ?? "").issuer;
const current = (api: FakeApiServer): X509Certificate => new X509Certificate(api.secretValue("ca.crt"));

describe("several replicas that start at once", () => {
  test("agree on one authority, and each serves a certificate of its own that the published bundle verifies", async () => {
    const api = await openApi();
    const clock = new Clock();
    let go = (): void => undefined;
    api.pause = new Promise((resolve) => (go = resolve));
    const replicas = await Promise.all([1, 2, 3, 4].map(() => startReplica(api, clock)));
    go();
    await until(() => replicas.every(({ state }) => state === true));

    expect(api.bundles).toEqual([api.secretValue("ca.crt")]);
    expect(new Set(replicas.map(issuerOf))).toEqual(new Set([current(api).subject]));
    expect(new Set(replicas.map(({ served }) => served?.fingerprint)).size).toBe(4);
    for (const replica of replicas) expect(replica.distrust()).toBeUndefined();
    const certificate = new X509Certificate(replicas[0]?.served?.certificatePem ?? "");
    for (const host of ["nix-closure-webhook.nix-closure.svc", "nix-closure-webhook.nix-closure"])
      expect(certificate.checkHost(host, { subject: "never" })).toBe(host);
    // Nobody's server key is in the Secret, only the authority's.
    expect(Object.keys(api.secret?.["data"] ?? {}).toSorted()).toEqual(["ca.crt", "ca.key", "previous.crt"]);
  });

  test("wait for an API server that does not answer yet", async () => {
    const api = await openApi();
    api.broken = 500;
    const replica = await startReplica(api, new Clock());
    await until(() => replica.failures > 1);
    expect(replica.served).toBeUndefined();
    api.broken = undefined;
    await until(() => replica.state === true);
  });
});

describe("the published bundle", () => {
  test("is put back when the manifest is applied again, without a new certificate, and nothing else is touched", async () => {
    const api = await openApi();
    const replica = await startReplica(api, new Clock());
    await until(() => replica.state === true);
    const theirs = {
      name: "a.example.com",
      clientConfig: { service: { namespace: "else", name: "x" }, caBundle: "dGhlaXJz" },
    };
    api.installWebhooks(theirs);
    await until(() => api.bundles[1] === api.secretValue("ca.crt"));
    expect(api.bundles[0]).toBe("theirs");
    await until(() => replica.state === true);
    expect(replica.pairs).toHaveLength(1);
  });

  test("cannot be written while there is no configuration, and the replica says so", async () => {
    const api = await openApi();
    api.objects.clear();
    const replica = await startReplica(api, new Clock());
    await until(() => replica.state === "there is no MutatingWebhookConfiguration nix-closure");
    api.installWebhooks();
    await until(() => replica.state === true);
  });
});

describe("a change of the authority", () => {
  test("comes before its end; every certificate is believed at all times; the old one leaves at its own end", async () => {
    const api = await openApi();
    const clock = new Clock();
    const replicas = await Promise.all([startReplica(api, clock), startReplica(api, clock)]);
    await until(() => replicas.every(({ state }) => state === true));
    const first = current(api);
    /** Both have seen things as they are at this time: one round may have begun before. */
    const looked = async (): Promise<void> => {
      const before = replicas.map(({ rounds }) => rounds);
      await until(() => replicas.every(({ rounds }, index) => rounds >= before[index]! + 2));
      for (const replica of replicas) expect(replica.distrust()).toBeUndefined();
    };

    // One certificate after the other by the same authority, until two thirds of its 90 hours are over.
    for (let hours = 0; hours < 54; hours += 9) {
      clock.forward(9 * hourMs);
      await looked();
      expect(current(api).fingerprint256).toBe(first.fingerprint256);
    }
    expect(replicas[0]?.pairs.length).toBe(3);

    clock.forward(7 * hourMs);
    await looked();
    await until(() => current(api).fingerprint256 !== first.fingerprint256);
    const second = current(api);
    await until(() => parseCertificates(api.bundles[0] ?? "").length === 2);
    await looked();
    // Published, but perhaps not yet seen everywhere: the old certificates stay.
    for (const replica of replicas) expect(issuerOf(replica)).toBe(first.subject);
    clock.forward(hourMs);
    await until(() => replicas.every((replica) => issuerOf(replica) === second.subject));
    await looked();

    for (let hours = 0; hours < 36; hours += 9) {
      clock.forward(9 * hourMs);
      await looked();
    }
    expect(clock.at > first.validToDate).toBe(true);
    await until(() => api.bundles[0] === api.secretValue("ca.crt"));
    expect(current(api).fingerprint256).toBe(second.fingerprint256);
  });

  test("can be asked for by deleting the Secret; the old one is believed meanwhile", async () => {
    const api = await openApi();
    const clock = new Clock();
    const replica = await startReplica(api, clock);
    await until(() => replica.state === true);
    const first = current(api);
    api.deleteSecret();
    await until(() => api.secret !== undefined && parseCertificates(api.bundles[0] ?? "").length === 2);
    expect(replica.distrust()).toBeUndefined();
    expect(parseCertificates(api.secretValue("previous.crt")).map(({ subject }) => subject)).toEqual([
      first.subject,
    ]);
    clock.forward(hourMs);
    await until(() => issuerOf(replica) === current(api).subject);
    expect(replica.distrust()).toBeUndefined();
  });

  test("that cannot be written leaves the old one signing", async () => {
    const api = await openApi();
    const clock = new Clock();
    const replica = await startReplica(api, clock);
    await until(() => replica.state === true);
    const first = current(api);
    api.readOnly = true;
    for (let hours = 0; hours < 81; hours += 9) {
      clock.forward(9 * hourMs);
      const { rounds } = replica;
      await until(() => replica.rounds >= rounds + 2);
      expect(replica.distrust()).toBeUndefined();
    }
    expect(issuerOf(replica)).toBe(first.subject);
    api.readOnly = false;
    await until(() => current(api).fingerprint256 !== first.fingerprint256);
  });

  test.for<[string, Readonly<Record<string, string>>]>([
    ["nothing", {}],
    ["nonsense", { "ca.crt": "x", "ca.key": "y" }],
    ["half a pair", { "ca.crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }],
  ])("mends a Secret that holds %s", async ([, data]) => {
    const api = await openApi();
    const clock = new Clock();
    const replica = await startReplica(api, clock);
    await until(() => replica.state === true);
    api.setSecret(data);
    await until(() => parseCertificates(api.bundles[0] ?? "").length === 2);
    expect(replica.distrust()).toBeUndefined();
    expect(current(api).ca).toBe(true);
  });
});
