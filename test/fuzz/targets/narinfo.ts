import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

import { fingerprint, parseNarInfo, type NarInfo } from "../../../src/nix/narinfo.ts";
import { findTrustedKey, parsePublicKey } from "../../../src/nix/signature.ts";
import { isContentAddressed } from "../../../src/nix/content-address.ts";
import { demoFiles, demoKey, demoNarInfos, readDemoFile } from "../../nix/demo-cache.ts";
import { formatNarInfo } from "../../nix/signer.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

const key = parsePublicKey(demoKey);
/** What the demo's key has signed. */
const signed = new Map(demoNarInfos().map((info) => [info.storePath, info]));
/** What all of it is that signatures cover. */
const covered = ({ storePath, narHash, narSize, references }: NarInfo): unknown => ({
  storePath,
  narHash,
  narSize,
  references,
});

function parse(input: Uint8Array): NarInfo | Error {
  try {
    return parseNarInfo(input);
  } catch (error) {
    return error as Error;
  }
}

/** What is read can be written and read again; and nobody has signed it but whoever signed the same. */
function check(input: Uint8Array): Verdict {
  const info = parse(input);
  if (info instanceof Error) return refused(info, "NARINFO_INVALID");
  const { contentAddress, signatures, ...fields } = info;
  const text = formatNarInfo({
    ...fields,
    signatures: signatures.map(({ keyName, bytes }) => `${keyName}:${Buffer.from(bytes).toString("base64")}`),
    ...(contentAddress === undefined ? {} : { contentAddress: contentAddress.text }),
  });
  const again = parseNarInfo(Buffer.from(text));
  assert.deepEqual(again, info);
  assert.deepEqual(fingerprint(again), fingerprint(info));
  const { references } = info;
  assert.deepEqual(references, [...new Set(references)].toSorted(), "references in order, each once");
  assert.ok(info.narSize > 0 && Number.isSafeInteger(info.narSize));

  const genuine = signed.get(info.storePath);
  const trusted = findTrustedKey(info, [key]) !== undefined;
  const isGenuine = genuine !== undefined && isDeepStrictEqual(covered(info), covered(genuine));
  if (trusted) assert.ok(isGenuine, "trusted, and yet not what was signed");
  const isSigned = info.signatures.some((one) => isDeepStrictEqual(one, genuine?.signatures[0]));
  assert.equal(trusted, isGenuine && isSigned, "it has its signature");
  const addressed = isContentAddressed(info);
  if (addressed && !trusted)
    assert.ok(genuine !== undefined, "a content address for a path that nobody made");
  return accepted(`${trusted} ${addressed} ${contentAddress?.method} ${contentAddress?.algorithm}`);
}

const others = [
  "fixed:r:sha256:04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw",
  "fixed:sha1:iwjz551fyw0cxcjgf4l6c879zabd6wpm",
  "text:sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
  "fixed:git:sha1:f572d396fae9206628714fb2ce00f72e94f2258f",
  "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=",
  "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
];

/** Narinfos. */
export const narInfo: FuzzTarget = {
  name: "narinfo",
  seeds: demoFiles(".narinfo").map(readDemoFile),
  words: [
    ...others,
    ...others.map((other) => `CA: ${other}\n`),
    ..."StorePath URL Compression FileHash FileSize NarHash NarSize References Deriver Sig CA System"
      .split(" ")
      .flatMap((name) => [`\n${name}: `, `${name}:\n`]),
    "/nix/store/",
    "/",
    "..",
    "unknown-deriver",
    "sha1:",
    "blake3:",
    "__proto__: x\n",
    "\r\n",
    "\ufeff",
    "\xff",
  ],
  maxLength: 16 * 1024,
  maxMs: 1000,
  check,
};
