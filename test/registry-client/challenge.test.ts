import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseChallenges } from "../../src/registry-client/challenge.ts";

type Parsed = readonly (readonly [string, Readonly<Record<string, string>>])[];

function parsed(header: string | string[] | undefined): Parsed {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

describe("WWW-Authenticate", () => {
  test.for<[string, string | string[] | undefined, Parsed]>([
    ["is not there", undefined, []],
    ["is empty", "", []],
    [
      "is distribution's",
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
      [
        [
          "bearer",
          {
            realm: "https://auth.docker.io/token",
            service: "registry.docker.io",
            scope: "repository:a/b:pull,push",
          },
        ],
      ],
    ],
    ["is Basic", 'Basic realm="Registry Realm"', [["basic", { realm: "Registry Realm" }]]],
    ["is Basic without anything", "Basic", [["basic", {}]]],
    [
      "is not in quotes",
      "bearer Realm=https://a/token,service=b",
      [["bearer", { realm: "https://a/token", service: "b" }]],
    ],
    [
      "has blanks",
      'Bearer realm = "https://a" , service = "b"',
      [["bearer", { realm: "https://a", service: "b" }]],
    ],
    ["has escapes", 'Bearer realm="https://a/\\"b\\\\"', [["bearer", { realm: 'https://a/"b\\' }]]],
    [
      "has an empty value",
      'Bearer realm="https://a",service=""',
      [["bearer", { realm: "https://a", service: "" }]],
    ],
    [
      "has two challenges in one value",
      'Basic realm="a, b", Bearer realm="https://c",error="invalid_token"',
      [
        ["basic", { realm: "a, b" }],
        ["bearer", { realm: "https://c", error: "invalid_token" }],
      ],
    ],
    [
      "has two values",
      ["Negotiate", 'Bearer realm="https://c"'],
      [
        ["negotiate", {}],
        ["bearer", { realm: "https://c" }],
      ],
    ],
    ["has a quote without end", 'Bearer realm="https://a', [["bearer", { realm: "" }]]],
    ["is nothing that can be read", "=;=", []],
  ])("%s", ([, header, expected]) => {
    expect(parsed(header)).toEqual(expected);
  });

  test("can be anything, and is read in little time", () => {
    fc.assert(fc.property(fc.string(), (text) => void parseChallenges(text)));
    const parts = fc.array(fc.constantFrom("Bearer ", "Basic", "realm=", '"', "\\", ",", " ", "x", "="));
    fc.assert(fc.property(parts, (words) => void parseChallenges(words.join(""))));
    const started = process.cpuUsage();
    parseChallenges(`Bearer realm="${"\\".repeat(100_000)}`);
    parseChallenges("a ".repeat(50_000));
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1000).toBeLessThan(1000);
  });
});
