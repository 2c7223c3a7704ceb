import { expect, test } from "vitest";
import { allowsNamespace } from "../../src/webhook/policy.ts";

test.for<[patterns: readonly string[], namespace: string, allowed: boolean]>([
  [["*"], "default", true],
  [["default"], "default", true],
  [["default"], "default-2", false],
  [["default"], "a-default", false],
  [["team-*"], "team-web", true],
  [["team-*"], "team-", true],
  [["team-*"], "steam-web", false],
  [["*-prod"], "web-prod", true],
  [["*-prod"], "web-prod-2", false],
  [["a*b*c"], "axxbxxc", true],
  [["a*b*c"], "acb", false],
  [["build", "team-*"], "build", true],
  [["build", "team-*"], "other", false],
  [[], "default", false],
  [["a.c"], "abc", false],
  [["(a|b)"], "a", false],
])("%j, %s: %s", ([patterns, namespace, allowed]) => {
  expect(allowsNamespace(patterns, namespace)).toBe(allowed);
});
