/**
 * How real binary caches differ from what Nix writes today, a row for each fact: what they serve is resolved, its
 * signature holds, and its NAR is found and read. The format's details are in test/nix/narinfo.test.ts.
 */
import { createHash } from "node:crypto";
import zlib from "node:zlib";
import { describe, expect, test } from "vitest";

import { decompress } from "../../src/compression/decompress.ts";
import { formatNarHash } from "../../src/nix/hash.ts";
import { contentAddressedPath, parseContentAddress } from "../../src/nix/content-address.ts";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import { openNar } from "../../src/resolver/open-nar.ts";
import { brotli, bzip2, gzip, programs, xz, zstdFrames } from "../compression/compress.ts";
import { writeNar } from "../nix/nar-writer.ts";
import { createSigner } from "../nix/signer.ts";
import { CacheServer } from "./cache-server.ts";
import { cacheFiles, narInfoOf, pathOf, type FakePath } from "./fake-store.ts";
import { failureOf, resolverOf } from "./fixture.ts";

const path = pathOf("app");
const leaf = pathOf("leaf");
const nar = writeNar({ type: "regular", contents: Buffer.from("some text\n".repeat(50)) });
const sha256 = createHash("sha256").update(nar).digest();
const references = [path, leaf];

interface Row {
  readonly fact: string;
  /** Changes the narinfo of an app that refers to itself and to a leaf, signed over its plain form. */
  readonly narInfo?: (text: string) => string;
  readonly fields?: FakePath["fields"];
  /** The NAR as it lies in the cache, and under which name. */
  readonly stored?: Buffer;
  readonly at?: string;
  readonly cacheInfo?: string;
  /** Of all answers but the NAR. */
  readonly encoding?: readonly [string, (data: Buffer) => Buffer];
  /** The code of the error, where it is refused. */
  readonly refused?: string;
}

const line =
  (name: string, value?: string) =>
  (text: string): string =>
    text.replace(new RegExp(`^${name}:.*\n`, "m"), value === undefined ? "" : `${name}: ${value}\n`);

const rows: readonly Row[] = [
  { fact: "as Nix writes it" },
  ...(programs.bzip2 === undefined
    ? []
    : [
        { fact: "Compression is absent: bzip2", narInfo: line("Compression"), stored: bzip2(nar) },
        { fact: "Compression is empty: bzip2", narInfo: line("Compression", ""), stored: bzip2(nar) },
      ]),
  {
    fact: "Compression: zstd of many frames, as since 2.35",
    narInfo: line("Compression", "zstd"),
    stored: zstdFrames(nar, 100),
  },
  ...(programs.xz === undefined
    ? []
    : [{ fact: "Compression: xz", narInfo: line("Compression", "xz"), stored: xz(nar) }]),
  { fact: "Compression: br", narInfo: line("Compression", "br"), stored: brotli(nar) },
  { fact: "Compression: gzip", narInfo: line("Compression", "gzip"), stored: gzip(nar) },
  { fact: "NarHash in hexadecimal", narInfo: line("NarHash", `sha256:${sha256.toString("hex")}`) },
  { fact: "NarHash in base64", narInfo: line("NarHash", `sha256:${sha256.toString("base64")}`) },
  { fact: "NarHash in SRI", narInfo: line("NarHash", `sha256-${sha256.toString("base64")}`) },
  { fact: "References out of order", narInfo: line("References", `${leaf.slice(11)} ${path.slice(11)}`) },
  {
    fact: "References out of order, the other way",
    narInfo: line("References", `${path.slice(11)} ${leaf.slice(11)}`),
  },
  {
    fact: "References repeated",
    narInfo: line("References", [path, leaf, path, leaf].map((one) => one.slice(11)).join(" ")),
  },
  {
    fact: "References with spaces too many",
    narInfo: line("References", ` ${path.slice(11)}  ${leaf.slice(11)} `),
  },
  {
    fact: "References are missing, although there are some: no longer what was signed",
    narInfo: line("References"),
    refused: "PATH_UNTRUSTED",
  },
  {
    fact: "several Sig, ours last, others of unknown keys and of no form",
    narInfo: (text) =>
      text.replace(/^Sig:/m, `Sig: other-1:${Buffer.alloc(64).toString("base64")}\nSig: nonsense\nSig:`),
  },
  {
    fact: "several Sig of our key's name, the right one last",
    narInfo: (text) => text.replace(/^Sig:/m, `Sig: test-1:${Buffer.alloc(64, 1).toString("base64")}\nSig:`),
  },
  {
    fact: "a Sig of our key's name by another key alone",
    narInfo: (text) =>
      line(
        "Sig",
        createSigner("test-1", "another").sign({
          storePath: path,
          narHash: formatNarHash(sha256),
          narSize: nar.length,
          references,
        }),
      )(text),
    refused: "PATH_UNTRUSTED",
  },
  { fact: "System, a legacy key", narInfo: (text) => `System: x86_64-linux\n${text}` },
  { fact: "keys that nobody knows", narInfo: (text) => `${text}X-Cache: hit\n: nothing\nDeriver2: x\n` },
  { fact: "Deriver: unknown-deriver", fields: { deriver: "unknown-deriver" } },
  {
    fact: "the last line has no newline: cut off",
    narInfo: (text) => text.slice(0, -1),
    refused: "CACHE_INVALID_ANSWER",
  },
  {
    fact: "lines end in carriage returns",
    narInfo: (text) => text.replaceAll("\n", "\r\n"),
    refused: "CACHE_INVALID_ANSWER",
  },
  {
    fact: "FileHash and FileSize that are wrong: nothing depends on them",
    fields: { fileHash: `sha256:${"0".repeat(52)}`, fileSize: 1 },
  },
  { fact: "URL with a query", fields: { url: "nar/x.nar?hash=abc&x=1" }, at: "nar/x.nar?hash=abc&x=1" },
  { fact: "URL that is absolute on the server", fields: { url: "/elsewhere/x.nar" }, at: "elsewhere/x.nar" },
  { fact: "URL of another scheme", fields: { url: "s3://bucket/x.nar" }, refused: "CACHE_LEADS_AWAY" },
  {
    fact: "StorePath of another path",
    narInfo: line("StorePath", pathOf("other")),
    refused: "PATH_MISMATCH",
  },
  {
    fact: "a CA that is none of ours beside a signature",
    fields: { contentAddress: "fixed:r:sha256:" + "0".repeat(52) },
  },
  { fact: "a CA by git beside a signature", fields: { contentAddress: `fixed:git:sha1:${"0".repeat(40)}` } },
  { fact: "an empty CA", fields: { contentAddress: "" } },
  {
    fact: "nix-cache-info with values to be trimmed, without colon, unknown",
    cacheInfo: "junk\nStoreDir:   /nix/store  \nFoo: bar\nPriority: x\n",
  },
  { fact: "nix-cache-info that is empty", cacheInfo: "" },
  {
    fact: "nix-cache-info with lines ended by carriage returns",
    cacheInfo: "StoreDir: /nix/store\r\nWantMassQuery: 1\r\n",
  },
  {
    fact: "nix-cache-info of another store",
    cacheInfo: "StoreDir: /gnu/store\n",
    refused: "CACHE_INVALID_ANSWER",
  },
  { fact: "stored with Content-Encoding gzip", encoding: ["gzip", (data) => zlib.gzipSync(data)] },
  { fact: "stored with Content-Encoding br", encoding: ["br", (data) => zlib.brotliCompressSync(data)] },
  { fact: "stored with Content-Encoding zstd", encoding: ["zstd", (data) => zlib.zstdCompressSync(data)] },
  {
    fact: "stored with Content-Encoding xz, which no client undoes",
    encoding: ["xz", (data) => data],
    refused: "CACHE_INVALID_ANSWER",
  },
];

describe("what a cache serves", () => {
  test.each(rows)("$fact", async (row) => {
    const server = await serverOf(row);
    const resolver = resolverOf(server.url);
    if (row.refused !== undefined) {
      expect(
        (await failureOf(resolver.resolve("main", [path]).then(() => resolver.narLocations("main", path))))
          .code,
      ).toBe(row.refused);
      return;
    }
    const { paths } = await resolver.resolve("main", [path]);
    expect(paths.find(({ storePath }) => storePath === path)).toMatchObject({
      references: references.toSorted(),
    });
    expect(paths).toHaveLength(2);
    expect(await readNar(resolver.narLocations("main", path))).toEqual(nar);
  });
});

async function serverOf({
  narInfo = (text) => text,
  fields,
  stored = nar,
  at,
  cacheInfo,
  encoding,
}: Row): Promise<CacheServer> {
  const files = cacheFiles([[path], [leaf]]);
  const plain = narInfoOf(path, { nar, references, ...(fields === undefined ? {} : { fields }) }).toString();
  files.set(`${storeHash(path)}.narinfo`, Buffer.from(narInfo(plain)));
  if (cacheInfo !== undefined) files.set("nix-cache-info", Buffer.from(cacheInfo));
  const server = await CacheServer.start(files);
  server.answer(at ?? `nar/${storeHash(path)}.nar`, (response) => response.end(stored));
  if (encoding !== undefined) {
    const [name, encode] = encoding;
    for (const [file, bytes] of files) {
      if (file.startsWith("nar/")) continue;
      server.answer(file, (response) =>
        response.setHeader("content-encoding", name).end(encode(Buffer.from(bytes))),
      );
    }
  }
  return server;
}

async function readNar(
  locations: ReturnType<ReturnType<typeof resolverOf>["narLocations"]>,
): Promise<Buffer> {
  const [location] = await locations;
  if (location === undefined) throw new Error("the NAR is nowhere");
  const { storePath, narSize, compression } = location;
  const options = { storePath, narSize, programs: {}, signal: new AbortController().signal };
  const chunks: Uint8Array[] = [];
  for await (const chunk of decompress(compression, await openNar(location), options))
    chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

describe("a path without a signature, by the form of its CA", () => {
  const text = Buffer.from("some text\n".repeat(50));
  const hash = (algorithm: string, data: Buffer): string =>
    `${algorithm}:${createHash(algorithm).update(data).digest("hex")}`;
  test.each<[string, string, readonly StorePath[], boolean]>([
    ["text", `text:${hash("sha256", text)}`, [], true],
    ["text with references", `text:${hash("sha256", text)}`, [leaf], true],
    ["fixed, flat", `fixed:${hash("sha256", text)}`, [], true],
    ["fixed, flat, of another algorithm", `fixed:${hash("sha1", text)}`, [], true],
    ["fixed, recursive", `fixed:r:${hash("sha256", nar)}`, [], true],
    ["fixed, recursive, with references", `fixed:r:${hash("sha256", nar)}`, [leaf], true],
    ["fixed, recursive, of another algorithm", `fixed:r:${hash("sha512", nar)}`, [], true],
    ["git, which is not computed here", `fixed:git:${hash("sha1", text)}`, [], false],
  ])("%s", async (_, ca, others, trusted) => {
    const address = parseContentAddress(ca);
    const made = contentAddressedPath("text", address, others, false) ?? pathOf("text");
    const fields = { contentAddress: ca };
    const files = cacheFiles([[made, { nar, references: others, fields, signer: undefined }], [leaf]]);
    const resolver = resolverOf((await CacheServer.start(files)).url);
    const resolving = resolver.resolve("main", [made]);
    if (!trusted) {
      expect((await failureOf(resolving)).code).toBe("PATH_UNTRUSTED");
      return;
    }
    expect((await resolving).paths.map(({ storePath }) => storePath)).toContain(made);
    const [location] = await resolver.narLocations("main", made);
    expect(location?.contentAddress).toBe(ca);
  });
});
