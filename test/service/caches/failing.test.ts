import { beforeAll, expect, test } from "vitest";
import { makePair, type TestPair } from "../../webhook/made-pair.ts";
import { titleOf, tryRow, type Refusal, type Row } from "./rows.ts";
import { failingNars } from "./lies/failing-nars.ts";
import { failing } from "./lies/failing.ts";

let pair: TestPair;
beforeAll(async () => {
  pair = await makePair();
});

const gone: Refusal = [
  "CACHE_UNAVAILABLE",
  /could not be asked .*(Timeout|no whole answer|did not answer before)/,
  "try again",
];
const rows: readonly Row[] = [
  {
    lie: "narinfo-slow",
    about: "narinfo",
    admission: ["RESOLVE_TIMEOUT", "did not become known within 0.5 s", "the walk goes on", "try again"],
    again: "allowed",
    pull: "served",
    moves: ["info hit", "narinfo hit"],
    query: "?timeout=1s",
  },
  { lie: "everything-hangs", about: "info", admission: gone, pull: gone, moves: ["info error"] },
  { lie: "narinfo-hangs", about: "narinfo", admission: gone, pull: gone, moves: ["narinfo error"] },
  { lie: "narinfo-drips", about: "narinfo", admission: gone, pull: gone, moves: ["narinfo error"] },
  {
    lie: "narinfo-reset",
    about: "narinfo",
    admission: ["CACHE_UNAVAILABLE", /(ECONNRESET|other side closed).* at the (third|fourth) attempt/],
    again: ["CACHE_UNAVAILABLE", /at the (third|fourth) attempt|did not answer before/],
    pull: ["CACHE_UNAVAILABLE", /at the (third|fourth) attempt|did not answer before/],
    moves: ["narinfo error"],
  },
  ...(["narinfo-endless", "narinfo-bomb"] as const).map((lie): Row => {
    const refusal: Refusal = ["CACHE_INVALID_ANSWER", "it has more than 1048576 bytes, the limit"];
    return { lie, about: "narinfo", admission: refusal, pull: refusal, moves: ["narinfo error"] };
  }),
  {
    lie: "status-500",
    about: "narinfo",
    admission: ["CACHE_UNAVAILABLE", /HTTP 500, at the (third|fourth) attempt/, "try again"],
    pull: ["CACHE_UNAVAILABLE", /HTTP 500, at the (third|fourth) attempt/],
    moves: ["narinfo error"],
  },
  ...(
    [
      ["status-429-seconds", "HTTP 429, and a pause of 86400 s is asked for"],
      ["status-429-date", "HTTP 429, and a pause of 86400 s is asked for"],
      ["status-429-huge", "HTTP 429, and a pause of more than a day is asked for"],
      ["status-429-negative", "(HTTP 429)"],
    ] as const
  ).map(([lie, words]): Row => {
    const refusal: Refusal = ["CACHE_UNAVAILABLE", words, "try again"];
    return { lie, about: "narinfo", admission: refusal, pull: refusal, moves: ["narinfo error"] };
  }),
  {
    lie: "status-403",
    about: "narinfo",
    admission: ["PATH_UNKNOWN", "is not in", "copy it there with"],
    pull: ["PATH_UNKNOWN", "is not in"],
    moves: ["narinfo missing"],
  },
  {
    lie: "status-401",
    about: "narinfo",
    admission: ["CACHE_ACCESS_DENIED", "refused our credentials (HTTP 401)", "bearerTokenFile"],
    pull: ["CACHE_ACCESS_DENIED", "refused our credentials (HTTP 401)"],
    moves: ["narinfo error"],
  },
  {
    lie: "length-too-long",
    about: "narinfo",
    admission: ["CACHE_UNAVAILABLE", /other side closed|ECONNRESET/],
    again: ["CACHE_UNAVAILABLE", /other side closed|ECONNRESET|did not answer before/],
    pull: ["CACHE_UNAVAILABLE", /other side closed|ECONNRESET|did not answer before/],
    moves: ["narinfo error"],
  },
  {
    lie: "length-too-short",
    about: "narinfo",
    admission: ["CACHE_INVALID_ANSWER", "has no newline at its end; is it cut off?"],
    pull: ["CACHE_INVALID_ANSWER", "is it cut off?"],
    moves: ["narinfo hit"],
  },
  ...(
    [
      ["encoding-wrong", "incorrect header check"],
      ["encoding-unknown", 'its content encoding "x-odd" is not known'],
      ["encoding-cut", "unexpected end of file"],
    ] as const
  ).map(([lie, words]): Row => {
    const refusal: Refusal = ["CACHE_INVALID_ANSWER", "the narinfo of", words];
    return { lie, about: "narinfo", admission: refusal, pull: refusal, moves: ["narinfo error"] };
  }),
  {
    lie: "nar-403",
    about: "nar",
    admission: ["NAR_MISSING", "has the narinfo", "but not its NAR", "copy it there again"],
    pull: ["NAR_MISSING", "but not its NAR"],
    moves: ["nar missing", "path error"],
  },
  {
    lie: "nar-500",
    about: "nar",
    admission: ["CACHE_UNAVAILABLE", "the NAR of", "HTTP 500, at the"],
    pull: ["CACHE_UNAVAILABLE", "HTTP 500, at the"],
    moves: ["nar error", "path error"],
  },
  { lie: "nar-hangs-at-once", about: "nar", admission: gone, pull: gone, moves: ["nar error", "path error"] },
  { lie: "nar-hangs", about: "nar", admission: "allowed", pull: gone, moves: ["nar hit", "path error"] },
  {
    lie: "nar-drips",
    about: "nar",
    admission: "allowed",
    pull: ["CACHE_UNAVAILABLE", /only \d+ bytes came in \d+ s/],
    moves: ["nar hit", "path error"],
  },
  {
    lie: "nar-drips-at-once",
    about: "nar",
    admission: ["CACHE_UNAVAILABLE", /not even its start came in 1\.5 s|only \d+ bytes came in \d+ s/],
    pull: ["DECOMPRESSION_FAILED", "no frame"],
    moves: ["nar hit", "path error"],
  },
  {
    lie: "nar-reset",
    about: "nar",
    admission: "allowed",
    pull: ["CACHE_UNAVAILABLE", /ECONNRESET|other side closed/],
    moves: ["nar hit", "path error"],
  },
  {
    lie: "nar-encoding-wrong",
    about: "nar",
    admission: ["CACHE_INVALID_ANSWER", "the NAR of", "incorrect header check"],
    pull: ["CACHE_INVALID_ANSWER", "incorrect header check"],
    moves: ["nar hit", "path error"],
  },
  {
    lie: "nar-cut-off",
    about: "nar",
    admission: "allowed",
    pull: ["NAR_INVALID", "malformed NAR at byte 65536", "it ends where"],
    moves: ["nar hit", "path error"],
  },
  {
    lie: "nar-cut-off-compressed",
    about: "nar",
    admission: ["CACHE_INVALID_ANSWER", "its first bytes cannot be decompressed with zstd"],
    pull: ["DECOMPRESSION_FAILED", "unexpected end of file"],
    moves: ["nar hit", "path error"],
  },
  {
    lie: "nar-endless",
    about: "nar",
    admission: "allowed",
    pull: ["DECOMPRESSION_FAILED", "no frame"],
    moves: ["nar hit", "path error"],
  },
  ...(["listing-500", "listing-hangs", "listing-endless"] as const).map((lie): Row => ({
    lie,
    about: "nar",
    admission: "allowed",
    pull: "served",
    moves: ["listing error", "nar hit", "path ok"],
  })),
  {
    lie: "info-elsewhere",
    about: "info",
    admission: ["CACHE_INVALID_ANSWER", 'its StoreDir is "/gnu/store"', "take it out of the source"],
    pull: ["CACHE_INVALID_ANSWER", 'its StoreDir is "/gnu/store"'],
    moves: ["info hit"],
  },
  {
    lie: "info-loops",
    about: "info",
    admission: ["CACHE_LEADS_AWAY", "the redirects go in a circle"],
    pull: ["CACHE_LEADS_AWAY", "the redirects go in a circle"],
    moves: ["info error"],
  },
];

// Side by side, against limits of half a second by the clock on the wall.
test.concurrent.for(rows.map((row) => [titleOf(row), row] as const))("%s", { retry: 2 }, async ([, row]) => {
  await tryRow(row, pair);
});

test("there is a row for each of these failures", () => {
  expect(rows.map(({ lie }) => lie).sort()).toEqual(Object.keys({ ...failing, ...failingNars }).sort());
});
