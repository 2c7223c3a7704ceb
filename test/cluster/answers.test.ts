import { describe, expect, test } from "vitest";
import { type Answer, judge, type Verdict } from "./suite/answers.ts";
import { createTally, recoveryMs } from "./suite/tally.ts";

const created = (...volumes: readonly object[]): Answer => ({ status: 201, body: { spec: { volumes } } });
const refused = (status: number, message: string): Answer => ({ status, body: { kind: "Status", message } });
const image = { name: "v", image: { reference: "localhost:5417/demo/path/x:1" } };
const denial =
  'admission webhook "pods.nix.closure" denied the request: nix-closure: no such path [PATH_UNKNOWN]';
const unreachable =
  'Internal error occurred: failed calling webhook "pods.nix.closure": failed to call webhook: Post "https://nix-closure-webhook.nix-closure.svc:443/mutate?timeout=10s": connect: connection refused';
const policy =
  "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'nix-closure-injected' with binding 'nix-closure-injected' denied request: nix-closure: annotated, but without volumes";

describe("what an answer to the creation of a Pod means", () => {
  test.each<[Verdict, string, boolean, Answer]>([
    ["injected", "image volumes", true, created({ name: "tmp", emptyDir: {} }, image)],
    ["notInjected", "other volumes", true, created({ name: "tmp", emptyDir: {} })],
    ["notInjected", "no volumes", true, { status: 201, body: { spec: {} } }],
    ["refusedByUs", "the webhook's denial", true, refused(404, denial)],
    ["refusedByUs", "its denial with a server's status", true, refused(503, denial)],
    ["refusedByUs", "our policy's denial", true, refused(422, policy)],
    ["webhookUnreachable", "nobody there to call", true, refused(500, unreachable)],
    [
      "refusedOtherwise",
      "another webhook's denial",
      true,
      refused(403, 'admission webhook "x.example" denied the request: no'),
    ],
    [
      "refusedOtherwise",
      "another webhook is not there",
      true,
      refused(500, 'failed calling webhook "x.example": no'),
    ],
    ["refusedOtherwise", "no such namespace", true, refused(404, 'namespaces "x" not found')],
    ["unavailable", "too many requests", true, refused(429, "Too many requests, please try again later.")],
    ["unavailable", "no etcd", true, refused(500, "etcdserver: request timed out")],
    ["unavailable", "no connection", true, { error: "ECONNREFUSED: connect" }],
    ["plainCreated", "created", false, created()],
    ["plainRefused", "our webhook is not there", false, refused(500, unreachable)],
    ["plainRefused", "our denial", false, refused(503, denial)],
    ["plainRefused", "any other refusal", false, refused(403, "exceeded quota")],
    ["unavailable", "no connection", false, { error: "ECONNRESET: read" }],
    [
      "unavailable",
      "rights that are not read yet",
      false,
      refused(
        403,
        'pods is forbidden: User "kubernetes-admin" cannot create resource "pods" in API group "" in the namespace "x"',
      ),
    ],
    [
      "unavailable",
      "rules that are not read yet",
      true,
      refused(403, 'pods "x" is forbidden: not yet ready to handle request'),
    ],
    ["unavailable", "a proxy's page", false, { status: 502, body: "<html>Bad Gateway" }],
  ])("%s: %s (annotated: %s)", (expected, _why, annotated, answer) => {
    expect(judge(annotated, answer)).toBe(expected);
  });
});

describe("the tally", () => {
  test("has counts, latencies, and when annotated Pods were in trouble", () => {
    const tally = createTally(1000);
    tally.add(true, created(image), 1000, 1010);
    tally.add(true, refused(500, unreachable), 2000, 2001);
    tally.add(true, { error: "ECONNREFUSED: connect 127.0.0.1:1" }, 2500, 2600);
    tally.add(true, { error: "ECONNREFUSED: connect 127.0.0.1:2" }, 2400, 2700);
    tally.add(false, created(), 3000, 3004);
    tally.add(false, refused(403, "exceeded quota"), 9000, 9002);
    const counts = tally.counts(10_000);
    expect(counts).toMatchObject({
      annotated: 4,
      plain: 2,
      verdicts: {
        injected: 1,
        webhookUnreachable: 1,
        unavailable: 2,
        plainCreated: 1,
        plainRefused: 1,
        notInjected: 0,
      },
      latencies: { annotated: { p50: 10, max: 10 }, plain: { p50: 4, max: 4 } },
      trouble: { first: 2000, last: 2500 },
      durationMs: 9000,
    });
    expect(counts.messages).toMatchObject({ "ECONNREFUSED: connect <address>": 2, "exceeded quota": 1 });
    expect(recoveryMs(counts, 1900)).toBe(600);
  });

  test("without trouble there is nothing to recover from", () => {
    const tally = createTally(0);
    tally.add(true, created(image), 10, 20);
    expect(recoveryMs(tally.counts(30), 0)).toBe(0);
  });
});
