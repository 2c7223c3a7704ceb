import { createPrivateKey, X509Certificate } from "node:crypto";
import forge from "node-forge";
import { beforeAll, describe, expect, test } from "vitest";
import {
  createAuthority,
  issueServerCertificate,
  type Authority,
} from "../../../src/webhook/tls/authority.ts";
import type { KeyPair } from "../../../src/webhook/tls/key-pair.ts";
import { ellipticCertificatePem, ellipticKeyPem } from "./elliptic-pair.ts";

const now = new Date("2026-11-24T10:30:15.678Z");
const dnsNames = [
  "nix-closure-webhook",
  "nix-closure-webhook.nix-closure",
  "nix-closure-webhook.nix-closure.svc",
  "nix-closure-webhook.nix-closure.svc.cluster.local",
];
const ipAddresses = ["127.0.0.1", "::1", "2001:db8::1:0:5", "fe80::"];

let authority: Authority;
let otherAuthority: Authority;
let server: KeyPair;

beforeAll(async () => {
  [authority, otherAuthority] = await Promise.all([
    createAuthority({ commonName: "nix-closure CA", days: 365, now }),
    createAuthority({ commonName: "nix-closure CA", days: 365, now }),
  ]);
  server = await issueServerCertificate(authority, { dnsNames, ipAddresses, days: 7, now });
});

const read = (pair: KeyPair) => new X509Certificate(pair.certificatePem);

/** Whether the certificate holds these DER bytes; hexadecimal, blanks ignored. */
function holds(pair: KeyPair, der: string): boolean {
  return read(pair).raw.includes(Buffer.from(der.replaceAll(" ", ""), "hex"));
}

const oid = {
  basicConstraints: "06 03 551d13",
  keyUsage: "06 03 551d0f",
  subjectKeyId: "06 03 551d0e",
  authorityKeyId: "06 03 551d23",
};
const critical = "01 01 ff";

describe("the authority", () => {
  test("is a CA that signs itself, and that may sign no other CA", () => {
    const certificate = read(authority);
    expect(certificate.ca).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    // OCTET STRING { SEQUENCE { BOOLEAN true, INTEGER 0 } }
    expect(holds(authority, `${oid.basicConstraints} ${critical} 04 08 30 06 0101ff 020100`)).toBe(true);
    // OCTET STRING { BIT STRING keyCertSign, cRLSign }
    expect(holds(authority, `${oid.keyUsage} ${critical} 04 04 03 02 01 06`)).toBe(true);
  });

  test("has another subject in each generation", () => {
    expect(read(authority).subject).toMatch(/^CN=nix-closure CA [0-9a-f]{8}$/);
    expect(read(otherAuthority).subject).not.toBe(read(authority).subject);
  });

  test("begins an hour back, for clients with a late clock, in whole seconds", () => {
    expect(authority.notBefore.toISOString()).toBe("2026-11-24T09:30:15.000Z");
    expect(authority.notAfter.toISOString()).toBe("2027-11-24T10:30:15.000Z");
  });

  test("can be valid beyond 2050, where X.509 changes its form of time", async () => {
    const old = await createAuthority({ commonName: "nix-closure CA", days: 36_500, now });
    expect(old.notAfter.toISOString()).toBe("2126-10-31T10:30:15.000Z");
  });
});

describe("the server certificate", () => {
  test.each(dnsNames)("is valid for %s", (name) => {
    expect(read(server).checkHost(name, { subject: "never" })).toBe(name);
  });

  test.each(ipAddresses)("is valid for %s", (address) => {
    expect(read(server).checkIP(address)).toBe(address);
  });

  test("is valid for nothing else", () => {
    expect(read(server).checkHost("nix-closure-webhook.other.svc")).toBeUndefined();
    expect(read(server).checkIP("127.0.0.2")).toBeUndefined();
  });

  test("is signed by its authority and by no other", () => {
    const certificate = read(server);
    expect(certificate.checkIssued(read(authority))).toBe(true);
    expect(certificate.verify(read(authority).publicKey)).toBe(true);
    expect(certificate.checkIssued(read(otherAuthority))).toBe(false);
    expect(certificate.verify(read(otherAuthority).publicKey)).toBe(false);
  });

  test("is for servers alone, and no CA", () => {
    expect(read(server).ca).toBe(false);
    expect(read(server).keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(holds(server, `${oid.basicConstraints} ${critical} 04 02 30 00`)).toBe(true);
    // OCTET STRING { BIT STRING digitalSignature, keyEncipherment }
    expect(holds(server, `${oid.keyUsage} ${critical} 04 04 03 02 05 a0`)).toBe(true);
  });

  test("names its own key and its authority's", () => {
    expect(keyId(server)).not.toBe(keyId(authority));
    // OCTET STRING { SEQUENCE { [0] key identifier } }
    expect(holds(server, `${oid.authorityKeyId} 04 18 30 16 80 14 ${keyId(authority)}`)).toBe(true);
  });

  test("has a key of 2048 bits that belongs to it", () => {
    expect(read(server).publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 2048 });
    expect(read(server).checkPrivateKey(createPrivateKey(server.keyPem))).toBe(true);
    expect(read(server).checkPrivateKey(createPrivateKey(authority.keyPem))).toBe(false);
  });

  test("has a positive serial number of 16 bytes that no other certificate has", async () => {
    const again = await issueServerCertificate(authority, { dnsNames, ipAddresses, days: 7, now });
    const serials = [authority, otherAuthority, server, again].map((pair) => read(pair).serialNumber);
    expect(new Set(serials).size).toBe(4);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  test("ends with its authority at the latest", async () => {
    const pair = await issueServerCertificate(authority, { dnsNames, ipAddresses, days: 1000, now });
    expect(pair.notAfter).toEqual(authority.notAfter);
  });

  test("lists a name once that is given twice", async () => {
    const pair = await issueServerCertificate(authority, {
      dnsNames: ["localhost", "localhost"],
      ipAddresses: ["127.0.0.1", "127.0.0.1"],
      days: 7,
      now,
    });
    expect(read(pair).subjectAltName).toBe("DNS:localhost, IP Address:127.0.0.1");
  });

  test("can be issued by an authority made elsewhere, whose key identifier is not a hash of its key", async () => {
    const foreign = forge.pki.certificateFromPem(authority.certificatePem);
    foreign.setExtensions([
      { name: "basicConstraints", critical: true, cA: true },
      { name: "subjectKeyIdentifier", value: "\x04\x04\x01\x02\x03\x04" },
    ]);
    foreign.sign(forge.pki.privateKeyFromPem(authority.keyPem), forge.md.sha256.create());
    const signer = { ...authority, certificatePem: forge.pki.certificateToPem(foreign) };
    const pair = await issueServerCertificate(signer, { dnsNames, ipAddresses, days: 7, now });
    expect(holds(pair, `${oid.authorityKeyId} 04 08 30 06 80 04 01020304`)).toBe(true);
    expect(read(pair).checkIssued(read(signer))).toBe(true);
  });

  test("can be issued by an authority that was stored with its key in PKCS #1 form", async () => {
    const pkcs1 = createPrivateKey(authority.keyPem).export({ type: "pkcs1", format: "pem" }).toString();
    const pair = await issueServerCertificate(
      { ...authority, keyPem: pkcs1 },
      { dnsNames, ipAddresses, days: 7, now },
    );
    expect(read(pair).verify(read(authority).publicKey)).toBe(true);
  });
});

/** The subject key identifier, hexadecimal: OCTET STRING { OCTET STRING of 20 bytes }. */
function keyId(pair: KeyPair): string {
  const header = Buffer.from(`${oid.subjectKeyId} 04 16 04 14`.replaceAll(" ", ""), "hex");
  const { raw } = read(pair);
  const start = raw.indexOf(header) + header.length;
  expect(start).toBeGreaterThan(header.length);
  return raw.subarray(start, start + 20).toString("hex");
}

describe("what no certificate can be made for", () => {
  test.each([
    ["no days", { days: 0 }, "valid for 0 days"],
    ["a negative validity", { days: -1 }, "valid for -1 days"],
    ["no number of days", { days: Number.NaN }, "valid for NaN days"],
    ["more than a century", { days: 36_501 }, "up to 36500"],
    ["a name with a comma", { commonName: "a, b" }, "no name for a CA"],
    ["a name out of ASCII", { commonName: "Büro" }, "no name for a CA"],
    ["a name that is too long", { commonName: "x".repeat(56) }, "no name for a CA"],
  ])("an authority with %s", async (_, change, message) => {
    await expect(
      createAuthority({ commonName: "nix-closure CA", days: 1, now, ...change }),
    ).rejects.toMatchObject({
      code: "CERTIFICATE_INVALID",
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ["no name at all", { dnsNames: [], ipAddresses: [] }, "at least one"],
    ["an empty name", { dnsNames: [""] }, "not a DNS name"],
    ["a wildcard", { dnsNames: ["*.svc"] }, "not a DNS name"],
    ["an address as name", { dnsNames: ["127.0.0.1"] }, "not a DNS name"],
    ["a name with a NUL", { dnsNames: ["localhost\0.example"] }, "not a DNS name"],
    ["a name with a port", { dnsNames: ["localhost:443"] }, "not a DNS name"],
    ["a name with an underscore", { dnsNames: ["a_b"] }, "not a DNS name"],
    ["a label of 64 characters", { dnsNames: ["x".repeat(64)] }, "not a DNS name"],
    ["a name as address", { ipAddresses: ["localhost"] }, "not an IP address"],
    ["an address with a zone", { ipAddresses: ["fe80::1%eth0"] }, "not an IP address"],
    ["no days", { days: 0 }, "valid for 0 days"],
  ])("a server with %s", async (_, change, message) => {
    const options = { dnsNames, ipAddresses, days: 1, now, ...change };
    await expect(issueServerCertificate(authority, options)).rejects.toMatchObject({
      code: "CERTIFICATE_INVALID",
      message: expect.stringContaining(message),
    });
  });

  test.each<[string, () => Authority, Date, string]>([
    ["that is no CA", () => server, now, "is not a CA's"],
    [
      "that is expired",
      () => authority,
      new Date("2027-11-24T10:30:15Z"),
      "is expired since 2027-11-24T10:30:15",
    ],
    [
      "with the key of another",
      () => ({ ...authority, keyPem: otherAuthority.keyPem }),
      now,
      "is not the private key",
    ],
    [
      "with an elliptic curve key",
      () => ({ ...authority, certificatePem: ellipticCertificatePem, keyPem: ellipticKeyPem }),
      now,
      "only RSA",
    ],
  ])("a server under an authority %s", async (_, signer, at, message) => {
    await expect(
      issueServerCertificate(signer(), { dnsNames, ipAddresses, days: 1, now: at }),
    ).rejects.toMatchObject({ code: "CERTIFICATE_INVALID", message: expect.stringContaining(message) });
  });
});
