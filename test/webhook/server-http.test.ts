import { once } from "node:events";
import { beforeAll, describe, expect, test } from "vitest";
import { hello } from "../service/demo-cache.ts";
import { ask, podWith, type ReviewClient, reviewOf } from "./https-client.ts";
import { makePair, type TestPair } from "./made-pair.ts";
import { openTls, startWebhook, type RunningWebhook } from "./running-webhook.ts";

let first: TestPair;
let second: TestPair;
beforeAll(async () => {
  [first, second] = await Promise.all([makePair(), makePair()]);
});

describe("a request that is no review is answered by HTTP, in words", () => {
  const review = reviewOf(podWith({ "nix.closure": hello }));
  const text = JSON.stringify(review);
  let running: RunningWebhook;

  async function expectAnswer(
    status: number,
    code: string,
    words: RegExp,
    send: (client: ReviewClient) => ReturnType<ReviewClient["send"]>,
  ): Promise<void> {
    running = await startWebhook(first);
    const answer = await send(running.client);
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
    const body = JSON.parse(answer.body) as { code: string; message: string };
    expect(body).toEqual({ code, message: expect.stringMatching(words) });
    expect(running.inFlight).toBe(0);
    expect(await running.client.review(review)).toMatchObject({ allowed: true });
  }

  test.each([
    ["text/plain"],
    ["application/x-www-form-urlencoded"],
    ["application/json-patch+json"],
    ["text/json"],
    [""],
  ])("415 for content type %o", async (type) => {
    await expectAnswer(415, "REVIEW_INVALID", /content type has to be application\/json/, (client) =>
      client.send(text, "/mutate", { "content-type": type }),
    );
  });

  test.each([["application/json"], ["application/json; charset=utf-8"], ["Application/JSON"]])(
    "%o is the right one",
    async (type) => {
      const { client } = await startWebhook(first);
      expect((await client.send(text, "/mutate", { "content-type": type })).status).toBe(200);
    },
  );

  const limit = 7 * 1024 * 1024;

  test("413 for a body over 7 MiB, and 7 MiB are taken", async () => {
    const chunked = { "transfer-encoding": "chunked" };
    await expectAnswer(413, "REVIEW_INVALID", /may have up to 7\.0 MiB/, (client) =>
      client.send(text.padEnd(limit + 1), "/mutate", chunked),
    );
    for (const headers of [chunked, {}])
      expect((await running.client.send(text.padEnd(limit), "/mutate", headers)).status).toBe(200);
  });

  test("413 for a length over 7 MiB, before the body is sent", async () => {
    const { port } = await startWebhook(first);
    const socket = await openTls(port, first);
    const head = "POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    socket.write(`${head}Content-Length: ${limit + 1}\r\n\r\n`);
    expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1\.1 413 /);
  });

  test.each<[string, string, RegExp]>([
    ["nothing", "", /it is empty/],
    ["half of a review", text.slice(0, 100), /JSON/],
    ["words", "hello", /JSON/],
    ["null", "null", /the body must be object/],
    ["a list", `[${text}]`, /the body must be object/],
    ["no members", "{}", /apiVersion, kind, request/],
    ["a review under another name", `{"__proto__": ${text}}`, /apiVersion, kind, request/],
    [
      "v1beta1",
      JSON.stringify({ ...review, apiVersion: "admission.k8s.io/v1beta1" }),
      /apiVersion must be "admission.k8s.io\/v1"/,
    ],
    [
      "another kind",
      JSON.stringify({ ...review, kind: "ConversionReview" }),
      /kind must be "AdmissionReview"/,
    ],
    ["no request", JSON.stringify({ ...review, request: undefined }), /properties request/],
    ["no uid", JSON.stringify(reviewOf({}, { uid: undefined })), /request must have required properties uid/],
    ["an empty uid", JSON.stringify(reviewOf({}, { uid: "" })), /request.uid must not have fewer than 1/],
    ["a uid that is no text", JSON.stringify(reviewOf({}, { uid: 7 })), /request.uid must be string/],
    ["no operation", JSON.stringify(reviewOf({}, { operation: undefined })), /properties operation/],
  ])("400 for %s", async (_, body, words) => {
    await expectAnswer(400, "REVIEW_INVALID", words, (client) => client.send(body));
  });

  test.each(["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])("405 for %s", async (method) => {
    const { port, client } = await startWebhook(first);
    const answer = await ask(port, "/mutate?timeout=10s", { method, ...client.options });
    expect([answer.status, answer.headers["allow"]]).toEqual([405, "POST"]);
    if (method !== "HEAD") expect(answer.body).toContain("POST an AdmissionReview");
  });

  test.each(["/", "/mutate/", "/mutated", "/validate", "/metrics", "/%zz"])("404 for %s", async (path) => {
    const { client } = await startWebhook(first);
    const answer = await client.send(text, path);
    expect([400, 404]).toContain(answer.status);
    if (path !== "/%zz")
      expect(answer).toMatchObject({ status: 404, body: expect.stringContaining("POST /mutate") });
  });
});

describe("TLS", () => {
  const protocolRefused = { code: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION" };
  // SECLEVEL=0, or the client itself refuses to offer 1.1.
  const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;

  test("1.1 is refused, 1.2 and 1.3 are spoken, before and after a reload", async () => {
    const { port, server } = await startWebhook(first);
    for (const by of [first, second]) {
      server.setKeyPair(by.pair);
      await expect(openTls(port, by, old)).rejects.toMatchObject(protocolRefused);
      for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
        const socket = await openTls(port, by, { minVersion: version, maxVersion: version });
        expect(socket.getProtocol()).toBe(version);
        expect(socket.getPeerCertificate().fingerprint256).toBe(by.pair.fingerprint);
      }
    }
  });

  test("1.3 alone stays alone after a reload", async () => {
    const { port, server } = await startWebhook(first, { minVersion: "TLSv1.3" });
    for (const by of [first, second]) {
      server.setKeyPair(by.pair);
      await expect(openTls(port, by, { maxVersion: "TLSv1.2" })).rejects.toMatchObject(protocolRefused);
      expect((await openTls(port, by)).getProtocol()).toBe("TLSv1.3");
    }
  });

  test("a pair that cannot serve is refused, and the old one serves on", async () => {
    const { port, server } = await startWebhook(first);
    const mixedUp = { ...first.pair, keyPem: second.pair.keyPem };
    expect(() => server.setKeyPair(mixedUp)).toThrow(/is not the private key/);
    expect((await openTls(port, first)).getPeerCertificate().fingerprint256).toBe(first.pair.fingerprint);
  });
});
