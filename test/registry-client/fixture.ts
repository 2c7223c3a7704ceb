import { Readable } from "node:stream";
import { onTestFinished } from "vitest";
import { sha256Digest } from "../../src/oci/digest.ts";
import { type Document, mediaTypes } from "../../src/oci/documents.ts";
import { type CredentialStore, type Login, noCredentials } from "../../src/registry-client/credentials.ts";
import { type BlobSource, Repository, type RepositoryOptions } from "../../src/registry-client/repository.ts";
import { TestClock } from "../resolver/test-clock.ts";
import type { RegistryServer } from "./registry-server.ts";

/** A repository of a server, `team/app`, that is closed after the test; its pauses take no time. */
export function repositoryOf(
  server: RegistryServer | string,
  options: Partial<RepositoryOptions> = {},
): Repository {
  const repository = new Repository({
    host: typeof server === "string" ? server : server.host,
    repository: "team/app",
    credentials: noCredentials,
    clock: new TestClock(),
    ...options,
  });
  onTestFinished(() => repository.close());
  return repository;
}

/** A store that has these credentials for all. */
export function always(login: Login | undefined): CredentialStore {
  return { places: ["the test"], find: async () => login };
}

export const me: Login = { kind: "password", user: "me", password: "pässword:1", from: "the test" };

export const basicOfMe = `Basic ${Buffer.from("me:pässword:1").toString("base64")}`;

/** A blob with bytes that are not all the same, in pieces of 10,000 bytes; counts how often it is read. */
export function blobOf(
  size: number,
  seed = 1,
): BlobSource & { readonly bytes: Buffer; readonly reads: number[] } {
  const bytes = Buffer.alloc(size);
  for (let at = 0, value = seed; at < size; at++) {
    value = (value * 1_103_515_245 + 12_345) % 2 ** 31;
    bytes[at] = value >> 16;
  }
  const reads: number[] = [];
  const read = (start: number): Readable => {
    reads.push(start);
    const pieces = function* (): Generator<Buffer> {
      for (let at = start; at < size; at += 10_000) yield bytes.subarray(at, at + 10_000);
    };
    return Readable.from(pieces(), { objectMode: false });
  };
  return { digest: sha256Digest(bytes), size, bytes, read, reads };
}

/** A manifest that only this test understands. */
export function manifestOf(text: string): Document {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, text }));
  return { mediaType: mediaTypes.manifest, bytes, digest: sha256Digest(bytes) };
}

export { failureOf, temporaryDirectory } from "../resolver/fixture.ts";
