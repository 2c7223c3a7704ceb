import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, type ConnectionOptions, type Server, type TLSSocket } from "node:tls";
import Fastify from "fastify";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  createAuthority,
  issueServerCertificate,
  type Authority,
} from "../../../src/webhook/tls/authority.ts";
import type { KeyPair } from "../../../src/webhook/tls/key-pair.ts";
import { applyKeyPair, tlsOptions, type TlsSettings } from "../../../src/webhook/tls/server-options.ts";
import { ellipticCertificatePem, ellipticKeyPem } from "./elliptic-pair.ts";

let authority: Authority;
let before: KeyPair;
let after: KeyPair;
const opened: { end(): unknown }[] = [];

beforeAll(async () => {
  const now = new Date();
  authority = await createAuthority({ commonName: "test CA", days: 30, now });
  const names = { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], days: 7, now };
  [before, after] = await Promise.all([
    issueServerCertificate(authority, names),
    issueServerCertificate(authority, names),
  ]);
});

afterEach(() => {
  for (const each of opened.splice(0)) each.end();
});

/** A Fastify server on a free port, as the webhook is one. */
async function serve(pair: KeyPair, settings?: TlsSettings): Promise<{ port: number; server: Server }> {
  const app = Fastify({ https: tlsOptions(pair, settings), forceCloseConnections: true });
  app.get("/", async () => "served");
  await app.listen({ port: 0, host: "127.0.0.1" });
  opened.push({ end: () => app.close() });
  return { port: (app.server.address() as AddressInfo).port, server: app.server };
}

/** A verified connection; rejects with the alert or error of a handshake that fails. */
async function open(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: "localhost",
    ca: authority.certificatePem,
    ...options,
  });
  opened.push({ end: () => socket.destroy() });
  await once(socket, "secureConnect");
  return socket;
}

/** Sends a request on this connection, and returns the answer's body. */
async function get(socket: TLSSocket): Promise<string> {
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  let answer = "";
  while (!/\r\n\r\n.{6}/s.test(answer)) answer += String((await once(socket, "data"))[0]);
  return answer.slice(answer.indexOf("\r\n\r\n") + 4);
}

const fingerprint = (socket: TLSSocket) => socket.getPeerCertificate().fingerprint256;
const refused = { code: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION" };

describe("a server by default", () => {
  test("takes TLS 1.2 and 1.3, but not 1.1, before and after a reload", async () => {
    const { port, server } = await serve(before);
    for (const pair of [before, after]) {
      applyKeyPair(server, pair);
      expect((await open(port)).getProtocol()).toBe("TLSv1.3");
      expect((await open(port, { maxVersion: "TLSv1.2" })).getProtocol()).toBe("TLSv1.2");
      // SECLEVEL=0, or the client itself refuses to offer 1.1.
      const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
      await expect(open(port, old)).rejects.toMatchObject(refused);
    }
  });

  test.each(["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES128-SHA"])(
    "refuses %s (no forward secrecy, or no authenticated encryption), before and after a reload",
    async (ciphers) => {
      const { port, server } = await serve(before);
      for (const pair of [before, after]) {
        applyKeyPair(server, pair);
        await expect(open(port, { maxVersion: "TLSv1.2", ciphers })).rejects.toMatchObject({
          code: expect.stringMatching(/HANDSHAKE_FAILURE/),
        });
      }
    },
  );

  test("has certificates that a client with the CA believes by name and by address", async () => {
    const { port } = await serve(before);
    expect((await open(port, { servername: "localhost" })).authorized).toBe(true);
    expect((await open(port, { servername: "" })).authorized).toBe(true);
    await expect(open(port, { servername: "elsewhere" })).rejects.toMatchObject({
      code: "ERR_TLS_CERT_ALTNAME_INVALID",
    });
    await expect(open(port, { ca: ellipticCertificatePem })).rejects.toMatchObject({
      code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    });
  });
});

describe("a server for TLS 1.3 alone", () => {
  const settings: TlsSettings = { minVersion: "TLSv1.3" };

  test("still refuses TLS 1.2 after a reload", async () => {
    const { port, server } = await serve(before, settings);
    await expect(open(port, { maxVersion: "TLSv1.2" })).rejects.toMatchObject(refused);
    applyKeyPair(server, after, settings);
    expect(fingerprint(await open(port))).toBe(after.fingerprint);
    await expect(open(port, { maxVersion: "TLSv1.2" })).rejects.toMatchObject(refused);
  });
});

describe("a reload", () => {
  test("gives new connections the new certificate, while an open one lives on", async () => {
    const { port, server } = await serve(before);
    const early = await open(port);
    expect(await get(early)).toBe("served");

    applyKeyPair(server, after);

    const late = await open(port);
    expect(fingerprint(late)).toBe(after.fingerprint);
    expect(await get(late)).toBe("served");
    expect(await get(early)).toBe("served");
    expect(fingerprint(early)).toBe(before.fingerprint);
  });

  test("shows the new certificate to a client that comes back with a session of the old one", async () => {
    const { port, server } = await serve(before);
    const first = await open(port, { maxVersion: "TLSv1.2" });
    const session = first.getSession();
    expect((await open(port, { maxVersion: "TLSv1.2", session })).isSessionReused()).toBe(true);

    applyKeyPair(server, after);

    const second = await open(port, { maxVersion: "TLSv1.2", session });
    expect(second.isSessionReused()).toBe(false);
    expect(fingerprint(second)).toBe(after.fingerprint);
  });

  test("may change from RSA to an elliptic curve", async () => {
    const { port, server } = await serve(before);
    applyKeyPair(server, { certificatePem: ellipticCertificatePem, keyPem: ellipticKeyPem });
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      expect((await open(port, { maxVersion, ca: ellipticCertificatePem })).authorized).toBe(true);
    }
  });

  test.each<[string, () => { certificatePem: string; keyPem: string }]>([
    ["a certificate that is none", () => ({ ...after, certificatePem: "-----BEGIN CERTIFICATE-----\n" })],
    ["a key that is none", () => ({ ...after, keyPem: "" })],
    ["a key of another pair", () => ({ ...after, keyPem: before.keyPem })],
  ])("with %s leaves the old pair and the settings in force", async (_, pair) => {
    const settings: TlsSettings = { minVersion: "TLSv1.3" };
    const { port, server } = await serve(before, settings);
    expect(() => applyKeyPair(server, pair(), settings)).toThrow(
      expect.objectContaining({ code: "CERTIFICATE_INVALID" }),
    );
    expect(fingerprint(await open(port))).toBe(before.fingerprint);
    await expect(open(port, { maxVersion: "TLSv1.2" })).rejects.toMatchObject(refused);
  });
});
