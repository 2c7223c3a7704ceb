import assert from "node:assert/strict";

import { helperOf, loginInFile, parseAuthFile } from "../../../src/registry-client/auth-file.ts";
import { mutateJson } from "../json-mutator.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

const secret = "a-secret-password";
const auth = Buffer.from(`me:${secret}`).toString("base64");

/** A file of credentials gives a login or none, or is wrong in words that show no secret. */
function check(input: Uint8Array): Verdict {
  const text = Buffer.from(input).toString();
  try {
    const file = parseAuthFile("config.json", text);
    const login = loginInFile(file, "registry.example:5000", "team/app");
    const helper = helperOf(file, "docker.io");
    assert.ok(helper === undefined || /^[\w.-]+$/.test(helper));
    if (login?.kind === "password") assert.notEqual(login.user, "");
    return accepted(`${login?.kind} ${helper === undefined}`);
  } catch (error) {
    // Keys are shown: one that is a secret is nobody's but the fuzzer's.
    const inKeys = [...text.matchAll(/"((?:[^"\\]|\\.)*)"\s*:/g)].map(([, key = ""]) => key).join();
    for (const hidden of [secret, auth].filter((value) => !inKeys.includes(value))) {
      assert.ok(!String(error).includes(hidden));
    }
    return refused(error, "CREDENTIALS_INVALID");
  }
}

/** Files in which docker and podman keep credentials. */
export const authFile: FuzzTarget = {
  name: "auth-file",
  seeds: [
    { auths: { "registry.example:5000": { auth } } },
    { auths: { "https://registry.example:5000/v1/": { auth }, "registry.example:5000/team": { auth } } },
    { auths: { "*.example:5000": { username: "me", password: secret } }, credsStore: "desktop" },
    { auths: { "registry.example:5000": { identitytoken: "t" } }, credHelpers: { "docker.io": "a.b-c" } },
    { credHelpers: { "https://index.docker.io/v1/": "x" }, detachKeys: "ctrl-e" },
    {},
  ].map((seed) => Buffer.from(JSON.stringify(seed))),
  words: ["auths", "auth", "credHelpers", "credsStore", "registrytoken", "*", "/v2/", "https://", "null"],
  mutate: mutateJson,
  maxLength: 8 * 1024,
  maxMs: 500,
  check,
};
