import { beforeAll, expect, test } from "vitest";
import { makePair, type TestPair } from "../../webhook/made-pair.ts";
import { lying } from "./lies/lying.ts";
import { LyingCache } from "./lying-cache.ts";
import { titleOf, tryRow, type Refusal, type Row } from "./rows.ts";
import { orphanScene } from "./scenes.ts";
import { Trial } from "./trial.ts";

let pair: TestPair;
beforeAll(async () => {
  pair = await makePair();
});

/** A lie that shows in the narinfo, at the admission and at the pull alike. */
function shown(lie: Row["lie"], moves: string, ...refusal: Refusal): Row {
  return { lie, about: "narinfo", admission: refusal, pull: refusal, moves: [moves] };
}

/** A lie that shows in the whole NAR alone. */
function hidden(lie: Row["lie"], ...pull: Refusal): Row {
  return { lie, about: "nar", admission: "allowed", pull, moves: ["nar hit", "path error"] };
}

const rows: readonly Row[] = [
  shown("narinfo-other", "narinfo hit", "PATH_MISMATCH", "with the narinfo of", "check the path's name"),
  shown("narinfo-html", "narinfo hit", "CACHE_INVALID_ANSWER", 'malformed narinfo: line 1 has no ":"'),
  ...(["narhash-wrong", "narsize-wrong", "references-less", "references-more"] as const).map((lie) =>
    shown(lie, "narinfo hit", "PATH_UNTRUSTED", "its signature by nixlab-1 is wrong"),
  ),
  shown(
    "key-unknown",
    "narinfo hit",
    "PATH_UNTRUSTED",
    "it is signed by evil-1; trusted: nixlab-1, test-1",
    "add its public key to the source",
  ),
  shown("key-name-forged", "narinfo hit", "PATH_UNTRUSTED", "its signature by test-1 is wrong"),
  shown("unsigned", "narinfo hit", "PATH_UNTRUSTED", "it has no signature", "nix store sign"),
  shown("reference-missing", "narinfo missing", "PATH_UNKNOWN", "is not in", "copy it there with"),
  shown("address-changed", "narinfo hit", "PATH_UNTRUSTED", "does not follow from its content address"),
  ...(
    [
      ["address-other-content-flat", "does not have the hash of its content address"],
      ["address-other-content-text", "does not have the hash of its content address"],
      ["address-executable-flat", "is an executable file, and its content address (flat) covers no more"],
      ["address-directory-flat", "is a directory, and its content address (flat) covers no more"],
    ] as const
  ).map(([lie, words]): Row => ({
    ...hidden(lie, "CONTENT_ADDRESS_MISMATCH", words, "it has no signature; nothing was published"),
    // What is hashed so is a file, which has its place in the store image.
    moves: ["store error"],
  })),
  hidden(
    "address-other-content-recursive",
    "CONTENT_ADDRESS_MISMATCH",
    "does not have the hash of its content address, and it has no signature",
  ),
  {
    lie: "compression-missing",
    about: "nar",
    admission: ["CACHE_INVALID_ANSWER", "its first bytes cannot be decompressed with bzip2"],
    pull: ["DECOMPRESSION_FAILED", "the bzip2 data cannot be decompressed"],
    moves: ["nar hit", "path error"],
  },
  {
    lie: "compression-unknown",
    about: "nar",
    admission: ["COMPRESSION_UNSUPPORTED", 'is compressed with "rot13"', "can be read"],
    pull: ["COMPRESSION_UNSUPPORTED", 'is compressed with "rot13"'],
    moves: ["path error"],
  },
  hidden("nar-other", "NAR_HASH_MISMATCH", "its narinfo says sha256:", "nothing was published"),
  hidden("nar-longer", "NAR_SIZE_MISMATCH", "more than 288 bytes, its narinfo says 288"),
  hidden("nar-shorter", "NAR_SIZE_MISMATCH", "only 96 bytes, its narinfo says 288"),
  hidden("nar-truncated", "NAR_INVALID", "malformed NAR at byte 272: it ends where"),
  hidden("nar-trailing", "NAR_SIZE_MISMATCH", "more than 288 bytes"),
  hidden("nar-bomb", "NAR_SIZE_MISMATCH", "more than 180184 bytes"),
  {
    lie: "nar-empty",
    about: "nar",
    admission: ["CACHE_INVALID_ANSWER", "its first bytes cannot be decompressed with none"],
    pull: ["NAR_INVALID", "malformed NAR at byte 0"],
    moves: ["nar hit", "path error"],
  },
  // Nobody signs a listing: what it says of a type is believed, whichever caches come after it. See docs/limits.md.
  {
    ...hidden("listing-says-directory", "NOT_A_DIRECTORY", "is a symlink", "in the store image of a closure"),
    moves: ["listing hit", "path error"],
    followed: ["NOT_A_DIRECTORY"],
  },
  {
    lie: "listing-says-file",
    about: "nar",
    admission: "allowed",
    pull: "served",
    moves: ["listing hit", "store ok"],
  },
];

// Side by side, against limits of half a second by the clock on the wall.
test.concurrent.for(rows.map((row) => [titleOf(row), row] as const))("%s", { retry: 2 }, async ([, row]) => {
  await tryRow(row, pair);
});

test("a reference that no cache has: all that were asked are named, and who needs it", async () => {
  const nowhere = { files: orphanScene.files };
  await using first = await LyingCache.start(nowhere);
  await using second = await LyingCache.start(nowhere);
  await using trial = await Trial.start(pair, { both: [first.url, second.url] });
  const { status, message } = await trial.review("both", orphanScene.root);
  const { root, victim } = orphanScene;
  expect(status).toBe(404);
  expect(message).toContain(
    `${victim} (needed by ${root}) is not in ${first.url} nor in ${second.url}; check the path`,
  );
  const pulled = await trial.pull(`both/path/${orphanScene.narInfo.slice(0, 32)}`, "1");
  expect(pulled).toMatchObject({ status: 404, code: "MANIFEST_UNKNOWN", detail: "PATH_UNKNOWN" });
  expect(await trial.published()).toEqual([]);
});

test("there is a row for each of these lies", () => {
  expect(rows.map(({ lie }) => lie).sort()).toEqual(Object.keys(lying).sort());
});
