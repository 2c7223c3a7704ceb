import assert from "node:assert/strict";

import { parseChallenges } from "../../../src/registry-client/challenge.ts";
import { describeErrorAnswer, errorCodes } from "../../../src/registry-client/error-answer.ts";
import { accepted, type FuzzTarget, type Verdict } from "../target.ts";

/** What a registry answers can be anything: challenges are found in it, and words, of bounded length. */
function check(input: Uint8Array): Verdict {
  const challenges = parseChallenges(Buffer.from(input).toString("latin1"));
  for (const { scheme, parameters } of challenges) {
    assert.match(scheme, /^[^\s",=]+$/);
    assert.equal(scheme, scheme.toLowerCase());
    for (const name of parameters.keys()) assert.equal(name, name.toLowerCase());
  }
  const words = describeErrorAnswer({ status: 400, bytes: input });
  assert.ok(words.length < 4000, `${words.length} characters`);
  assert.ok(
    [...words].every((character) => character >= " "),
    "a control character",
  );
  for (const code of errorCodes({ status: 400, bytes: input })) assert.match(code, /^\w{0,64}$/);
  return accepted(`${challenges.length} ${challenges[0]?.parameters.size} ${words.slice(0, 12)}`);
}

/** WWW-Authenticate, and bodies of errors. */
export const registryAnswer: FuzzTarget = {
  name: "registry-answer",
  seeds: [
    'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
    'Basic realm="a, \\"b\\"", Bearer realm=https://c,error=invalid_token',
    "Negotiate, NTLM",
    '{"errors":[{"code":"DENIED","message":"no","detail":"x"},{"code":"UNKNOWN"}]}',
    '{"error":"invalid_grant","error_description":"expired"}',
    '{"details":"incorrect username or password"}',
    "<html><body>Bad gateway</body></html>",
    "too many requests",
  ].map((seed) => Buffer.from(seed)),
  words: ['"', "\\", "=", ",", " ", "Bearer ", "realm", "errors", "[", "{", "null", "\u0000", "é"],
  maxLength: 8 * 1024,
  maxMs: 500,
  check,
};
