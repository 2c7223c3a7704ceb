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
const minuteMs = 60_000;

/** The API server's clock, moved by hand: the one that certificates are made by. */
class Clock {
  at = new Date("2026-12-01T12:00:00Z");
  readonly now = (): Date => this.at;
  forward(milliseconds: number): void {
    this.at = new Date(this.at.getTime() + milliseconds);
  }
}

async function openApi(clock = new Clock()): Promise<FakeApiServer> {
  const api = await FakeApiServer.start();
  api.clock = clock.now;
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

/** An authority with a key on the curve P-256, valid until 2036, as openssl makes it. */
const foreignAuthority = {
  "ca.crt": `-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIUB3rA/UJtjpxhG4Cp4DTVqfZ4Dr8wCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKY29tcGFueSBDQTAeFw0yNjExMjQxMjMxNDVaFw0zNjExMjEx
MjMxNDVaMBUxEzARBgNVBAMMCmNvbXBhbnkgQ0EwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT4gQVDGnJFx+YeXMeLZd2DY2zEzzjwC2rxwIZZSUzDQleQMBKV/yUt
+V+wXmaXp8Hsb8GnMdgwHoCi6hhgOuoYo1MwUTAdBgNVHQ4EFgQUO+JIfFXa+GdQ
t6b0OwURCINooJUwHwYDVR0jBBgwFoAUO+JIfFXa+GdQt6b0OwURCINooJUwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAkO2SOGctCcx8Uv9dDlPr
UD2Uao1Z40jemUUzwI7Im5ICIQCgzkO6k7AJIIe/D8pztKXiiCsnxK6iny/R6Bgu
RiFCLw==
-----END CERTIFICATE-----
`,
  "ca.key": `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdG+rQwwKyq4ptXxO
zV30IDpbzue+uLzHwG604crhCOKhRANCAAT4gQVDGnJFx+YeXMeLZd2DY2zEzzjw
C2rxwIZZSUzDQleQMBKV/yUt+V+wXmaXp8Hsb8GnMdgwHoCi6hhgOuoY
-----END PRIVATE KEY-----
`,
};

/** A replica of the webhook, as far as its certificates go; its wait for API servers is an hour of the clock. */
async function startReplica(api: FakeApiServer): Promise<Replica> {
  process.env["KUBECONFIG"] = api.kubeconfig;
  const replica: Replica = {
    served: undefined,
    pairs: [],
    state: "nothing yet",
    failures: 0,
    rounds: 0,
    distrust: () => distrust(api.bundles.at(-1) ?? "", replica.served?.certificatePem ?? "", api.clock()),
  };
  const cluster = await connectToCluster(names);
  const keeper = keepCertificates({
    api: cluster,
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
    // The pace of a real one, made a hundred times as fast.
    timers: { after: (milliseconds, action) => unrefTimers.after(milliseconds / 100, action) },
    settleMs: hourMs,
  });
  onTestFinished(() => {
    keeper.close();
    cluster.close();
  });
  return replica;
}

const issuerOf = ({ served }: Replica): string => new X509Certificate(served?.certificatePem ?? "").issuer;
const current = (api: FakeApiServer): X509Certificate => new X509Certificate(api.secretValue("ca.crt"));

describe("several replicas that start at once", () => {
  test("agree on one authority, and each serves a certificate of its own that the published bundle verifies", async () => {
    const clock = new Clock();
    const api = await openApi(clock);
    let go = (): void => undefined;
    api.pause = new Promise((resolve) => (go = resolve));
    const replicas = await Promise.all([1, 2, 3, 4].map(() => startReplica(api)));
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
    const replica = await startReplica(api);
    await until(() => replica.failures > 1);
    expect(replica.served).toBeUndefined();
    api.broken = undefined;
    await until(() => replica.state === true);
  });
});

describe("the published bundle", () => {
  test("is put back when the manifest is applied again, without a new certificate, and nothing else is touched", async () => {
    const api = await openApi();
    const replica = await startReplica(api);
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

  test("is left alone for a while when somebody else writes it again and again", async () => {
    const api = await openApi();
    const replica = await startReplica(api);
    await until(() => replica.state === true);
    const writes = (): number => api.requests.filter((line) => line.startsWith("PATCH ")).length;
    for (let times = 0; times < 40 && replica.state === true; times++) {
      const before = writes();
      api.installWebhooks();
      await until(() => writes() > before || replica.state !== true);
    }
    expect(replica.state).toBe("caBundle is empty");
    expect(writes()).toBeLessThan(15);
    expect(replica.failures).toBeGreaterThan(0);
  });

  test("cannot be written while there is no configuration, and the replica says so", async () => {
    const api = await openApi();
    api.objects.clear();
    const replica = await startReplica(api);
    await until(() => replica.state === "there is no MutatingWebhookConfiguration nix-closure");
    api.installWebhooks();
    await until(() => replica.state === true);
  });
});

describe("a change of the authority", () => {
  test("comes before its end; every certificate is believed at all times; the old one leaves at its own end", async () => {
    const clock = new Clock();
    const api = await openApi(clock);
    const replicas = await Promise.all([startReplica(api), startReplica(api)]);
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
    clock.forward(hourMs + minuteMs);
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
    const clock = new Clock();
    const api = await openApi(clock);
    const replica = await startReplica(api);
    await until(() => replica.state === true);
    const first = current(api);
    api.deleteSecret();
    await until(() => api.secret !== undefined && parseCertificates(api.bundles[0] ?? "").length === 2);
    expect(replica.distrust()).toBeUndefined();
    expect(parseCertificates(api.secretValue("previous.crt")).map(({ subject }) => subject)).toEqual([
      first.subject,
    ]);
    // The wait for API servers begins when the replica has seen what it published.
    const { rounds } = replica;
    await until(() => replica.rounds >= rounds + 2);
    clock.forward(hourMs + minuteMs);
    await until(() => issuerOf(replica) === current(api).subject);
    expect(replica.distrust()).toBeUndefined();
  });

  test("that cannot be written leaves the old one signing", async () => {
    const clock = new Clock();
    const api = await openApi(clock);
    const replica = await startReplica(api);
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

  test("comes again when the API server's clock was ahead for a while", async () => {
    const clock = new Clock();
    const api = await openApi(clock);
    const replicas = await Promise.all([startReplica(api), startReplica(api)]);
    await until(() => replicas.every(({ state }) => state === true));
    const right = clock.at;
    clock.forward(10_000 * hourMs);
    const ahead = current(api).fingerprint256;
    await until(() => current(api).fingerprint256 !== ahead);
    clock.at = right;
    await until(() => current(api).validFromDate <= right);
    await until(() => replicas.every((replica) => replica.distrust() === undefined));
  });

  test("by one that cannot sign here is undone", async () => {
    const api = await openApi();
    const replica = await startReplica(api);
    await until(() => replica.state === true);
    const first = current(api);
    // An administrator's own, with another kind of key.
    api.setSecret(foreignAuthority);
    await until(() => current(api).publicKey.asymmetricKeyType === "rsa");
    await until(() =>
      parseCertificates(api.bundles[0] ?? "").some((each) => each.fingerprint256 === first.fingerprint256),
    );
    await until(() => replica.distrust() === undefined);
  });

  test.for<[string, Readonly<Record<string, string>>]>([
    ["nothing", {}],
    ["nonsense", { "ca.crt": "x", "ca.key": "y" }],
    ["half a pair", { "ca.crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }],
  ])("mends a Secret that holds %s", async ([, data]) => {
    const clock = new Clock();
    const api = await openApi(clock);
    const replica = await startReplica(api);
    await until(() => replica.state === true);
    api.setSecret(data);
    await until(() => parseCertificates(api.bundles[0] ?? "").length === 2);
    expect(replica.distrust()).toBeUndefined();
    expect(current(api).ca).toBe(true);
  });
});
