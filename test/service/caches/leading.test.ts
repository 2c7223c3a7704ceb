import { networkInterfaces } from "node:os";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuthority, issueServerCertificate } from "../../../src/webhook/tls/authority.ts";
import { makePair, type TestPair } from "../../webhook/made-pair.ts";
import { leading } from "./lies/leading.ts";
import type { LyingCache } from "./lying-cache.ts";
import { titleOf, tryRow, type Refusal, type Row } from "./rows.ts";

/** An address of this machine that only the network has, not loopback. */
const outside = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;

const trusted = getCACertificates("default");
let pair: TestPair;
let tls: { readonly cert: string; readonly key: string };
beforeAll(async () => {
  pair = await makePair();
  const now = new Date();
  const authority = await createAuthority({ commonName: "caches test", days: 1, now });
  const names = { dnsNames: ["localhost"], ipAddresses: [] };
  const { certificatePem, keyPem } = await issueServerCertificate(authority, { ...names, days: 1, now });
  tls = { cert: certificatePem, key: keyPem };
  setDefaultCACertificates([...trusted, authority.certificatePem]);
});
afterAll(() => setDefaultCACertificates(trusted));

/** A lead that is followed. */
function followed(lie: Row["lie"]): Row {
  return {
    lie,
    about: "narinfo",
    admission: "allowed",
    pull: "served",
    moves: ["narinfo hit", "nar hit", "path ok"],
  };
}

/** A lead that is refused, from a narinfo's URL, a redirect of it, or one of its NAR. */
function refused(lie: Row["lie"], about: Row["about"], ...words: string[]): Row {
  const refusal: Refusal = ["CACHE_LEADS_AWAY", "which is refused", ...words];
  const moves = { info: [], narinfo: ["narinfo error"], nar: [] }[about];
  return { lie, about, admission: refusal, pull: refusal, moves };
}

const schemes = "a cache on the network may lead to http and https only";
const linkLocal = "it is a link-local address, and the cache itself is not at one";
const loopback = "it is a loopback address, and the cache itself is not at one";

const fromLoopback: readonly Row[] = [
  followed("url-other"),
  followed("redirect-other"),
  followed("redirect-back"),
  refused("url-file", "nar", '"file:///etc/passwd"', schemes),
  refused("redirect-file", "narinfo", '"file:///etc/passwd"', schemes),
  refused("nar-redirect-file", "nar", '"file:///etc/passwd"', schemes),
  refused("url-link-local", "nar", "169.254.169.254", linkLocal),
  refused("redirect-link-local", "narinfo", "169.254.169.254", linkLocal),
  refused("nar-redirect-link-local", "nar", "169.254.169.254", linkLocal),
  refused("url-credentials", "nar", "it holds credentials"),
  refused("redirect-circle", "narinfo", "the redirects go in a circle"),
  refused("nar-redirect-endless", "nar", "that is more than 5 redirects in a row"),
];

const fromOutside: readonly Row[] = [
  refused("url-loopback", "nar", loopback),
  refused("redirect-loopback", "narinfo", loopback),
  refused("nar-redirect-loopback", "nar", loopback),
  {
    lie: "late-redirect-loopback",
    about: "nar",
    admission: "allowed",
    pull: ["CACHE_LEADS_AWAY", loopback],
    moves: ["nar hit", "path error"],
  },
];

const fromHttps: readonly Row[] = [
  refused("url-http", "nar", "it goes from https to http"),
  refused("redirect-http", "narinfo", "it goes from https to http"),
  {
    ...refused("nar-redirect-http", "nar", "it goes from https to http"),
    // Threads do not know the test's authority; that they refuse it too: test/resolver/https.test.ts.
    pull: ["CACHE_UNAVAILABLE", "certificate"],
  },
];

/** Credentials stay with the origin that they are for, and messages have none. */
function expectDiscretion(row: Row, lying: LyingCache, other: LyingCache): void {
  const back = (path: string): boolean => path.endsWith("?again");
  for (const { path, authorization } of lying.requests) {
    expect(authorization, path).toBe(back(path) ? undefined : "Bearer secret");
  }
  for (const { path, authorization } of other.requests) expect(authorization, path).toBeUndefined();
  if (row.pull === "served") expect(other.requests.length).toBeGreaterThan(0);
  else expect(other.requests).toEqual([]);
}

function title(row: Row): readonly [string, Row] {
  return [titleOf(row), row];
}

// Side by side, against limits of half a second by the clock on the wall.
const options = { retry: 2 };

test.concurrent.for(fromLoopback.map(title))("%s", options, async ([, row]) => {
  const { lying, other, alone } = await tryRow(row, pair);
  expectDiscretion(row, lying, other);
  expect(alone.verdict.message).not.toMatch(/secret|password/);
});

describe("on the network", () => {
  const needs = outside === undefined ? " (this machine has no address but loopback)" : "";
  test.skipIf(outside === undefined).concurrent.for(fromOutside.map(title))(
    `%s${needs}`,
    options,
    async ([, row]) => {
      const { lying, other } = await tryRow(row, pair, { host: outside ?? "" });
      expectDiscretion(row, lying, other);
    },
  );
});

describe("over https", () => {
  test.concurrent.for(fromHttps.map(title))("%s", options, async ([, row]) => {
    const { lying, other } = await tryRow(row, pair, { tls });
    expectDiscretion(row, lying, other);
  });
});

test("there is a row for each of these leads", () => {
  const rows = [...fromLoopback, ...fromOutside, ...fromHttps];
  expect(rows.map(({ lie }) => lie).sort()).toEqual(Object.keys(leading).sort());
});
