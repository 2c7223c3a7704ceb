import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer, get } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  developmentNames,
  writeDevelopmentCertificates,
  type DevelopmentCertificateOptions,
} from "../../../src/webhook/tls/development.ts";
import { parseKeyPair } from "../../../src/webhook/tls/key-pair.ts";
import { tlsOptions } from "../../../src/webhook/tls/server-options.ts";
import { ellipticCertificatePem, ellipticKeyPem } from "./elliptic-pair.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "nix-closure-certs-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const write = (options: Partial<DevelopmentCertificateOptions> = {}) =>
  writeDevelopmentCertificates(directory, { days: 30, now: new Date(), ...options });
const text = (name: string) => readFile(join(directory, name), "utf8");
const mode = async (name: string) => (await stat(join(directory, name))).mode & 0o777;
const readPair = async () =>
  parseKeyPair(
    { certificatePem: await text("tls.pem"), keyPem: await text("tls.key") },
    { certificate: "tls.pem", key: "tls.key" },
  );

describe("the files", () => {
  test("are a CA, a server certificate and its key, and nothing else", async () => {
    const written = await write();
    expect((await readdir(directory)).toSorted()).toEqual(["ca.pem", "tls.key", "tls.pem"]);
    expect(written).toMatchObject({
      caPath: join(directory, "ca.pem"),
      certificatePath: join(directory, "tls.pem"),
      keyPath: join(directory, "tls.key"),
    });
    expect(written).not.toHaveProperty("caKeyPath");
    expect(Buffer.from(written.caBundle, "base64").toString()).toBe(await text("ca.pem"));
    expect((await readPair()).notAfter).toEqual(written.notAfter);
    expect((await text("tls.pem")).match(/BEGIN/g)).toHaveLength(1);
  });

  test("keep the key from other users, whatever was there before", async () => {
    await write();
    expect(await mode("tls.key")).toBe(0o600);
    await writeFile(join(directory, "tls.key"), "", { mode: 0o644 });
    await write({ force: true, keepCaKey: true });
    expect(await mode("tls.key")).toBe(0o600);
    expect(await mode("ca.key")).toBe(0o600);
  });

  test("are put in place of a symbolic link, never through it", async () => {
    const target = join(directory, "target");
    await writeFile(target, "untouched");
    await symlink(target, join(directory, "tls.key"));
    await write({ force: true });
    expect(await readFile(target, "utf8")).toBe("untouched");
    await readPair();
  });

  test("serve HTTPS to a client that has ca.pem", async () => {
    await write();
    const server = createServer(tlsOptions(await readPair()), (_, response) => response.end("served"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const request = get({ host: "127.0.0.1", port, ca: await text("ca.pem"), agent: false });
    const [response] = await once(request, "response");
    expect(response.statusCode).toBe(200);
    response.destroy();
    server.close();
  });
});

describe("the names", () => {
  test("are by default those of this machine and of the Service in every form", async () => {
    const { names } = await write();
    expect(names).toEqual([
      "localhost",
      "127.0.0.1",
      "::1",
      "nix-closure-webhook",
      "nix-closure-webhook.nix-closure",
      "nix-closure-webhook.nix-closure.svc",
      "nix-closure-webhook.nix-closure.svc.cluster.local",
    ]);
    const certificate = new X509Certificate(await text("tls.pem"));
    for (const name of names) expect(certificate.checkHost(name) ?? certificate.checkIP(name)).toBe(name);
  });

  test("can be those of another Service", () => {
    expect(developmentNames("hook", "tools")).toContain("hook.tools.svc");
    expect(developmentNames("hook", "tools").join()).not.toContain("nix-closure");
  });

  test("can be given", async () => {
    await write({ names: ["registry.test", "10.0.0.7"] });
    const certificate = new X509Certificate(await text("tls.pem"));
    expect(certificate.subjectAltName).toBe("DNS:registry.test, IP Address:10.0.0.7");
  });

  test("are refused before anything is written", async () => {
    await expect(write({ names: ["not a name"] })).rejects.toMatchObject({ code: "CERTIFICATE_INVALID" });
    expect(await readdir(directory)).toEqual([]);
  });
});

describe("the CA's private key", () => {
  test("is kept if asked, and belongs to the CA", async () => {
    const written = await write({ keepCaKey: true });
    expect(written.caKeyPath).toBe(join(directory, "ca.key"));
    expect(
      new X509Certificate(await text("ca.pem")).checkPrivateKey(createPrivateKey(await text("ca.key"))),
    ).toBe(true);
  });

  test("of an earlier run does not outlive its CA", async () => {
    await write({ keepCaKey: true });
    await write();
    expect(await readdir(directory)).not.toContain("ca.key");
  });

  test("of another CA is not removed, not even by force", async () => {
    await writeFile(join(directory, "ca.key"), ellipticKeyPem);
    await write({ force: true });
    expect(await text("ca.key")).toBe(ellipticKeyPem);
  });
});

describe("files that are there already", () => {
  test("are replaced if an earlier run made them", async () => {
    await write({ keepCaKey: true });
    const first = await readPair();
    await write({ keepCaKey: true });
    expect((await readPair()).fingerprint).not.toBe(first.fingerprint);
  });

  test.each([
    ["ca.pem", ellipticCertificatePem],
    ["tls.pem", ellipticCertificatePem],
    ["tls.pem", "notes"],
    ["tls.key", ellipticKeyPem],
    ["tls.key", ""],
    ["ca.key", ellipticKeyPem],
  ])("are left alone if somebody else did: %s (case %#)", async (name, content) => {
    await write();
    await writeFile(join(directory, name), content);
    const ca = await text("ca.pem");
    await expect(write()).rejects.toMatchObject({
      code: "FILE_EXISTS",
      message: expect.stringContaining(`${join(directory, name)} exists`),
    });
    expect(await text(name)).toBe(content);
    expect(await text("ca.pem")).toBe(ca);
  });

  test("are overwritten by force", async () => {
    await writeFile(join(directory, "ca.pem"), ellipticCertificatePem);
    await writeFile(join(directory, "tls.key"), "notes");
    await write({ force: true });
    await readPair();
  });
});

describe("a directory", () => {
  test("is made if it is missing", async () => {
    const missing = join(directory, "a", "b");
    await writeDevelopmentCertificates(missing, { days: 1, now: new Date() });
    expect(await readdir(missing)).toContain("tls.key");
  });

  test("that is a file is an error in words", async () => {
    const file = join(directory, "file");
    await writeFile(file, "");
    await expect(
      writeDevelopmentCertificates(file, { days: 1, now: new Date(), force: true, keepCaKey: true }),
    ).rejects.toMatchObject({
      code: "FILE_UNWRITABLE",
      message: expect.stringContaining(`cannot write ${file}`),
    });
    await expect(writeDevelopmentCertificates(file, { days: 1, now: new Date() })).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
    });
  });

  test("holds no temporary file after a failure", async () => {
    await mkdir(join(directory, "tls.key"));
    await expect(write({ force: true })).rejects.toMatchObject({ code: "FILE_UNWRITABLE" });
    expect((await readdir(directory)).filter((name) => name.endsWith(".new"))).toEqual([]);
  });
});
