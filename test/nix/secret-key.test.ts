import { createPrivateKey, sign, verify } from "node:crypto";
import { describe, expect, it } from "vitest";

import { parseSecretKey, publicKeyOf } from "../../src/nix/secret-key.ts";
import { failureOf } from "./failure.ts";

/** RFC 8032, section 7.1, test 1. */
const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const publicHalf = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const base64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64");
const text = `test-1:${base64(seed + publicHalf)}`;

describe("a secret key", () => {
  it("is read as RFC 8032 has it, and its public key follows", () => {
    const key = parseSecretKey(text);
    expect(key.name).toBe("test-1");
    const wanted =
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    expect(sign(null, Buffer.of(), key.key).toString("hex")).toBe(wanted);
    const publicKey = publicKeyOf(key);
    expect(publicKey.text).toBe(`test-1:${base64(publicHalf)}`);
    expect(verify(null, Buffer.of(), publicKey.key, Buffer.from(wanted, "hex"))).toBe(true);
  });

  it("that `nix key generate-secret` printed has the public key that `nix key convert-secret-to-public` says", () => {
    const secret =
      "test-1:arQ4XwjvETFVyRfkL/4z64YsxwtGMu23ee6buiGU2cGEf+fBRwzZgys9U5Pgqws6MZb6kKHs6hJSWE1AZglMmw==";
    expect(publicKeyOf(parseSecretKey(secret)).text).toBe(
      "test-1:hH/nwUcM2YMrPVOT4KsLOjGW+pCh7OoSUlhNQGYJTJs=",
    );
  });

  it("may have white space around it, as files do", () => {
    expect(parseSecretKey(`\n ${text}\r\n`).name).toBe("test-1");
  });

  it("makes a key of Node's that nothing else needs", () => {
    expect(createPrivateKey(parseSecretKey(text).key.export({ format: "pem", type: "pkcs8" })).type).toBe(
      "private",
    );
  });
});

describe("what is no secret key is refused in words that do not show it:", () => {
  it.each([
    ["nothing", " \n", "it is empty"],
    ["a key without a name", base64(seed + publicHalf), 'there is no name before a ":"'],
    ["an empty name", `:${base64(seed + publicHalf)}`, 'there is no name before a ":"'],
    ["a public key", `test-1:${base64(publicHalf)}`, "it has 32 bytes, as a public key has"],
    ["a key that is cut off", text.slice(0, -8), "it has 60 bytes, not 64"],
    ["what is no base64", text.replace("nWGx", "n-_x"), 'what follows ":" is not base64'],
    ["a name with a blank", text.replace("test-1", "test 1"), "its name has white space"],
    [
      "a damaged seed",
      text.replace("nWGx", "nWGy"),
      "its second half is not the public key of the first one",
    ],
    ["a damaged public key", `test-1:${base64(seed + seed)}`, "its second half is not the public key"],
    ["two keys", `${text}\n${text}`, 'what follows ":" is not base64'],
    ["PEM", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n", 'there is no name before a ":"'],
  ])("%s", (_, wrong, reason) => {
    const { code, message } = failureOf(() => parseSecretKey(wrong));
    expect(code).toBe("SECRET_KEY_INVALID");
    expect(message).toContain(reason);
    expect(message).toContain("nix key generate-secret");
    for (const secret of [wrong.trim().slice(0, 60), wrong.trim().slice(-60)].filter((part) => part !== ""))
      expect(message).not.toContain(secret);
  });
});
