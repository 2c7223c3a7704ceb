import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { NixClosureError } from "../../../src/errors.ts";
import { createAuthority, issueServerCertificate } from "../../../src/webhook/tls/authority.ts";
import { signCertificate } from "../../../src/webhook/tls/certificate.ts";
import { parseKeyPair, type KeyPair } from "../../../src/webhook/tls/key-pair.ts";
import { ellipticCertificatePem, ellipticKeyPem } from "./elliptic-pair.ts";

const files = { certificate: "/certs/tls.crt", key: "/certs/tls.key" };
const now = new Date("2026-11-24T10:30:15Z");
const names = { dnsNames: ["localhost"], ipAddresses: [] };

let authority: KeyPair;
let server: KeyPair;
let other: KeyPair;

beforeAll(async () => {
  authority = await createAuthority({ commonName: "test CA", days: 30, now });
  [server, other] = await Promise.all([
    issueServerCertificate(authority, { ...names, days: 7, now }),
    issueServerCertificate(authority, { ...names, days: 7, now }),
  ]);
});

const chain = () => server.certificatePem + authority.certificatePem;

describe("a pair that is taken", () => {
  test("tells its validity and its fingerprint", () => {
    expect(parseKeyPair(server, files)).toEqual({
      certificatePem: server.certificatePem,
      keyPem: server.keyPem,
      notBefore: new Date("2026-11-24T09:30:15Z"),
      notAfter: new Date("2026-12-01T10:30:15Z"),
      fingerprint: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/),
    });
  });

  test("is taken although it is expired; the caller compares notAfter", async () => {
    const past = new Date("2020-01-01T00:00:00Z");
    const oldAuthority = await createAuthority({ commonName: "old CA", days: 30, now: past });
    const expired = await issueServerCertificate(oldAuthority, { ...names, days: 7, now: past });
    expect(parseKeyPair(expired, files).notAfter).toEqual(new Date("2020-01-08T00:00:00Z"));
  });

  test.each<[string, () => { certificatePem: string; keyPem: string }]>([
    ["a chain", () => ({ certificatePem: chain(), keyPem: server.keyPem })],
    [
      "text around the blocks",
      () => ({ certificatePem: `CN=x\n${chain()}\nend`, keyPem: `key:\n${server.keyPem}` }),
    ],
    [
      "lines that end in CR LF",
      () => ({
        certificatePem: chain().replaceAll("\n", "\r\n"),
        keyPem: server.keyPem.replaceAll("\n", "\r\n"),
      }),
    ],
    [
      "a PKCS #1 key",
      () => ({
        certificatePem: chain(),
        keyPem: createPrivateKey(server.keyPem).export({ type: "pkcs1", format: "pem" }).toString(),
      }),
    ],
    ["an elliptic curve key", () => ({ certificatePem: ellipticCertificatePem, keyPem: ellipticKeyPem })],
  ])("may have %s", (_, pem) => {
    expect(parseKeyPair(pem(), files)).toMatchObject(pem());
  });
});

describe("a pair that is refused", () => {
  const damaged = (pem: string) => pem.replace(/\n[A-Za-z0-9+/]{20}/, "\n####################");
  test.each<[string, () => { certificatePem?: string; keyPem?: string }, string, string]>([
    ["an empty certificate", () => ({ certificatePem: "" }), files.certificate, "holds no certificate"],
    [
      "a key as certificate",
      () => ({ certificatePem: server.keyPem }),
      files.certificate,
      "holds no certificate",
    ],
    [
      "a certificate in DER",
      () => ({ certificatePem: "0\u0082\u0003" }),
      files.certificate,
      "holds no certificate",
    ],
    [
      "a damaged certificate",
      () => ({ certificatePem: damaged(server.certificatePem) }),
      files.certificate,
      "certificate 1",
    ],
    [
      "a damaged second one",
      () => ({ certificatePem: server.certificatePem + damaged(authority.certificatePem) }),
      files.certificate,
      "certificate 2",
    ],
    [
      "a chain that is cut off",
      () => ({ certificatePem: chain().slice(0, -40) }),
      files.certificate,
      "certificate 2 has no end",
    ],
    ["an empty key", () => ({ keyPem: "" }), files.key, "holds no private key"],
    ["a certificate as key", () => ({ keyPem: server.certificatePem }), files.key, "cannot be read"],
    ["a damaged key", () => ({ keyPem: damaged(server.keyPem) }), files.key, "cannot be read"],
    ["a key that is cut off", () => ({ keyPem: server.keyPem.slice(0, 800) }), files.key, "cannot be read"],
    [
      "the key of another",
      () => ({ keyPem: other.keyPem }),
      files.key,
      "is not the private key of the first",
    ],
    [
      "the CA first in the chain",
      () => ({ certificatePem: authority.certificatePem + server.certificatePem }),
      files.key,
      "is not the private key of the first",
    ],
    [
      "a key with a passphrase",
      () => ({
        keyPem: createPrivateKey(server.keyPem)
          .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" })
          .toString(),
      }),
      files.key,
      "passphrase",
    ],
    [
      "a PKCS #1 key with a passphrase",
      () => ({
        keyPem: createPrivateKey(server.keyPem)
          .export({ type: "pkcs1", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" })
          .toString(),
      }),
      files.key,
      "passphrase",
    ],
  ])("%s", (_, change, file, message) => {
    const pem = { certificatePem: server.certificatePem, keyPem: server.keyPem, ...change() };
    const error = refusal(pem);
    expect(error).toMatchObject({ code: "CERTIFICATE_INVALID" });
    expect(error.message).toContain(`certificate ${file}: `);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain("secret");
  });

  test("a key that is too short for TLS", () => {
    const short = generateKeyPairSync("rsa", {
      modulusLength: 1024,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    const certificatePem = signCertificate(
      {
        commonName: "short",
        publicKeyPem: short.publicKey,
        notBefore: server.notBefore,
        notAfter: server.notAfter,
        usage: { kind: "server", ...names },
      },
      authority,
    );
    expect(refusal({ certificatePem, keyPem: short.privateKey }).message).toContain("ee key too small");
  });

  test("half a file never passes for a whole one", () => {
    const whole = chain();
    const first = server.certificatePem.trimEnd().length;
    // A chain that ends within the next certificate's first line cannot be told from one that ends before it.
    const firstEnds = (length: number) =>
      length >= first && length <= first + "\n-----BEGIN CERTIFICATE----".length;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length }), (length) => {
        const pem = { certificatePem: whole.slice(0, length), keyPem: server.keyPem };
        if (firstEnds(length) || length >= whole.trimEnd().length) parseKeyPair(pem, files);
        else expect(refusal(pem).code).toBe("CERTIFICATE_INVALID");
      }),
      { numRuns: 200, examples: [[first - 1], [first], [whole.length - 2], [whole.length - 1]] },
    );
  });
});

function refusal(pem: { certificatePem: string; keyPem: string }): NixClosureError {
  try {
    parseKeyPair(pem, files);
  } catch (error) {
    if (error instanceof NixClosureError) return error;
    throw error;
  }
  throw new Error("the pair was taken");
}
