import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cli, scratch } from "./fake-process.ts";

const certificate = async (file: string) => new X509Certificate(await readFile(file));

describe("certs", () => {
  test("writes a CA, and a certificate by it for the usual names; says where, and the caBundle", async () => {
    const out = join(await scratch(), "new", "certs");
    const { code, stdout, stderr } = await cli(["certs", "--out", out]);
    expect([code, stderr]).toEqual([0, ""]);
    expect((await readdir(out)).sort()).toEqual(["ca.pem", "tls.key", "tls.pem"]);
    expect((await stat(join(out, "tls.key"))).mode & 0o777).toBe(0o600);
    const [ca, server] = [await certificate(join(out, "ca.pem")), await certificate(join(out, "tls.pem"))];
    expect(server.verify(ca.publicKey)).toBe(true);
    expect(server.checkHost("nix-closure-webhook.nix-closure.svc")).toBeDefined();
    expect(server.checkIP("127.0.0.1")).toBeDefined();
    const days = (server.validToDate.getTime() - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29.9);
    expect(days).toBeLessThanOrEqual(30);

    const lines = new Map(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => [line.slice(0, 20).trimEnd(), line.slice(20)]),
    );
    expect([...lines.keys()]).toEqual([
      "CA certificate",
      "server certificate",
      "private key",
      "names",
      "caBundle",
    ]);
    expect(lines.get("server certificate")).toBe(
      `${join(out, "tls.pem")}, valid until ${server.validToDate.toISOString()}`,
    );
    expect(Buffer.from(lines.get("caBundle")!, "base64").toString()).toBe(
      await readFile(join(out, "ca.pem"), "utf8"),
    );
  });

  test("takes names, days, and the Service's name; keeps the CA's key if asked", async () => {
    const out = await scratch();
    const flags = [
      "--days",
      "2",
      "--name",
      "a.example",
      "--name",
      "192.0.2.7",
      "--service",
      "hook",
      "--namespace",
      "ns",
    ];
    const { code, stdout } = await cli(["certs", "--out", out, ...flags, "--keep-ca-key"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`CA private key      ${join(out, "ca.key")}\n`);
    const server = await certificate(join(out, "tls.pem"));
    for (const name of ["a.example", "hook.ns.svc", "hook.ns.svc.cluster.local", "localhost"])
      expect(server.checkHost(name), name).toBeDefined();
    expect(server.checkIP("192.0.2.7")).toBeDefined();
    expect(server.checkHost("nix-closure-webhook.nix-closure.svc")).toBeUndefined();
    expect((server.validToDate.getTime() - Date.now()) / 86_400_000).toBeLessThanOrEqual(2);
    expect(await readFile(join(out, "ca.key"), "utf8")).toContain("PRIVATE KEY");
  });

  test("replaces its own files, but those of others only by force", async () => {
    const out = await scratch();
    await cli(["certs", "--out", out]);
    const before = await readFile(join(out, "tls.pem"), "utf8");
    expect((await cli(["certs", "--out", out])).code).toBe(0);
    expect(await readFile(join(out, "tls.pem"), "utf8")).not.toBe(before);

    await writeFile(join(out, "tls.key"), "mine");
    const refused = await cli(["certs", "--out", out]);
    expect(refused).toMatchObject({
      code: 3,
      stdout: "",
      stderr: expect.stringMatching(/--force.*\[FILE_EXISTS/),
    });
    expect(await readFile(join(out, "tls.key"), "utf8")).toBe("mine");
    expect((await cli(["certs", "--out", out, "--force"])).code).toBe(0);
    expect(await readFile(join(out, "tls.key"), "utf8")).toContain("PRIVATE KEY");
  });

  // Nobody can make a directory in sysfs, and there is no file to be read first.
  test.skipIf(process.platform !== "linux")("says what it cannot write (skipped without sysfs)", async () => {
    const { code, stdout, stderr } = await cli(["certs", "--out", "/sys/certs"]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/cannot write \/sys\/certs: .*\[FILE_UNWRITABLE/);
  });
});
