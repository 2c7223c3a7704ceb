import type { Readable } from "node:stream";
import { NixClosureError } from "../errors.ts";
import type { Digest } from "../oci/digest.ts";
import { headBlob } from "./blobs.ts";
import { describeErrorAnswer, errorCodes } from "./error-answer.ts";
import type { HttpAnswer } from "./exchange.ts";
import { checkStored } from "./manifests.ts";
import type { RegistryApi } from "./registry-api.ts";
import type { Attempts } from "./retries.ts";
import { Transient } from "./transient.ts";
import { begunSession, commitUrl, sessionOf, type UploadSession } from "./upload-session.ts";

/** A blob to send, whose bytes can be had more than once. */
export interface BlobSource {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** The bytes from a position to the end. What is not needed of them is not read. */
  read(start: number): Readable;
}

/** What is known of how a registry takes blobs. */
export interface UploadHabits {
  /** The largest request that it takes, as far as it has refused larger ones (bytes). */
  maxPiece: number;
  /** Whether it takes PATCH from a position. */
  pieces: boolean;
}

/** Pieces (bytes) where a whole blob does not go through: proxies allow 100 MB, or a minute or two. */
const firstPiece = 64 * 1024 * 1024;
/** Who refuses a megabyte refuses all images. */
const smallestPiece = 1024 * 1024;
/** After so many failures in a row without progress the blob is sent in pieces. */
const fruitlessBeforePieces = 2;

const created = [200, 201, 204];

/**
 * Sends one blob: all of it in one PUT, as most registries have it; from where the last request broke off if the
 * registry knows (distribution-spec 1.1, "Pushing a blob in chunks"); in pieces if it goes no other way.
 */
export class BlobUpload {
  readonly #api: RegistryApi;
  readonly #blob: BlobSource;
  readonly #habits: UploadHabits;
  readonly #onProgress: (bytes: number) => void;
  readonly #doing: string;
  #session: UploadSession | undefined;
  /** The last request of the session failed: only the registry knows what it has. */
  #uncertain = false;
  /** The registry may have made the blob, though it did not say so. */
  #perhapsDone = false;
  /** Most bytes that a registry had in one session. */
  #most = 0;
  #fruitless = 0;

  /** @param session that the registry has begun already. */
  constructor(
    api: RegistryApi,
    blob: BlobSource,
    habits: UploadHabits,
    onProgress: (bytes: number) => void,
    session: UploadSession | undefined,
  ) {
    this.#api = api;
    this.#blob = blob;
    this.#habits = habits;
    this.#onProgress = onProgress;
    this.#doing = `sending the blob ${blob.digest}`;
    this.#session = session;
  }

  /** See `Repository.putBlob`. */
  async run(signal: AbortSignal | undefined): Promise<void> {
    using life = this.#api.life(signal);
    const attempts = this.#api.attempts(this.#doing);
    for (;;) {
      try {
        if (await this.#step(attempts, life.signal)) break;
      } catch (error) {
        if (!(error instanceof Transient)) throw error;
        this.#uncertain = true;
        await attempts.failed(error, life.signal);
      }
    }
    this.#onProgress(this.#blob.size);
  }

  /** One request that sends something, and those before it that it needs. Returns whether the blob is there. */
  async #step(attempts: Attempts, signal: AbortSignal): Promise<boolean> {
    if (this.#session !== undefined && this.#uncertain) {
      this.#session = await this.#ask(this.#session, signal);
    }
    if (this.#session === undefined && this.#perhapsDone) {
      const found = await headBlob(this.#api, this.#blob.digest, signal);
      if (found !== undefined) return true;
    }
    this.#session ??= await this.#begin(signal);
    this.#uncertain = false;
    this.#perhapsDone = false;
    if (this.#session.offset > this.#most) {
      this.#most = this.#session.offset;
      this.#fruitless = 0;
      attempts.progressed();
    }
    const piece = this.#pieceSize(this.#session);
    const { size } = this.#blob;
    if (this.#session.offset === size || (this.#session.offset === 0 && size <= piece)) {
      return this.#commit(this.#session, signal);
    }
    await this.#sendPiece(this.#session, Math.min(size, this.#session.offset + piece), signal);
    return false;
  }

  async #begin(signal: AbortSignal): Promise<UploadSession> {
    const answer = await this.#api.attempt({
      method: "POST",
      url: this.#api.url("blobs/uploads/"),
      kind: "upload",
      doing: this.#doing,
      push: true,
      expected: [202],
      signal,
    });
    return begunSession(this.#api, this.#doing, answer);
  }

  /** What the registry has of a session; `undefined` if it does not know, or gives no way to go on. */
  async #ask(session: UploadSession, signal: AbortSignal): Promise<UploadSession | undefined> {
    if (!this.#habits.pieces) return undefined;
    try {
      const answer = await this.#api.attempt({
        method: "GET",
        url: session.url,
        kind: "upload",
        doing: this.#doing,
        push: true,
        // One that fails of its own is as well asked for a new session.
        expected: [200, 202, 204, 500],
        signal,
      });
      if (answer.status === 500 || answer.headers["range"] === undefined) return undefined;
      const now = sessionOf(this.#api, this.#doing, answer, session);
      return now.offset > this.#blob.size ? undefined : now;
    } catch (error) {
      // Registries say in many ways that they cannot tell. Whatever it is, a new session will show it too.
      if (error instanceof NixClosureError) return undefined;
      throw error;
    }
  }

  /** Sends the whole blob, or nothing if the registry has all of it, and ends the session. */
  async #commit(session: UploadSession, signal: AbortSignal): Promise<boolean> {
    this.#perhapsDone = true;
    const url = commitUrl(session, this.#blob.digest);
    const expected = [...created, 400, 404, 410, 413, 416];
    const answer = await this.#send("PUT", url, session.offset, this.#blob.size, { expected, signal });
    if (created.includes(answer.status)) {
      checkStored(this.#api, this.#doing, answer, this.#blob.digest);
      return true;
    }
    this.#perhapsDone = false;
    if (answer.status === 413 && session.offset === 0) this.#goSmaller(this.#blob.size, session, answer);
    else this.#lost(answer, session.offset > 0);
    return false;
  }

  async #sendPiece(session: UploadSession, end: number, signal: AbortSignal): Promise<void> {
    const answer = await this.#send("PATCH", session.url, session.offset, end, {
      headers: { "content-range": `${session.offset}-${end - 1}` },
      expected: [200, 201, 202, 204, 400, 404, 405, 410, 413, 416],
      signal,
    });
    if (answer.status === 413) {
      this.#uncertain = true;
      this.#goSmaller(end - session.offset, session, answer);
    } else if (answer.status === 416) {
      throw new Transient(describeErrorAnswer(answer));
    } else if (answer.status >= 400) {
      this.#lost(answer, true);
    } else {
      const now = sessionOf(this.#api, this.#doing, answer, session, end);
      if (now.offset > end || now.offset <= session.offset) {
        this.#session = undefined;
        throw new Transient(`it has ${now.offset} bytes after ${end} were sent`);
      }
      this.#session = now;
    }
  }

  async #send(
    method: "PUT" | "PATCH",
    url: URL,
    start: number,
    end: number,
    rest: { headers?: Record<string, string>; expected: readonly number[]; signal: AbortSignal },
  ): Promise<HttpAnswer> {
    let sent = start;
    const body = {
      size: end - start,
      open: () => {
        sent = start;
        this.#onProgress(sent);
        return this.#blob.read(start);
      },
      onSent: (bytes: number) => {
        sent += bytes;
        this.#onProgress(sent);
      },
    };
    const headers = { "content-type": "application/octet-stream", ...rest.headers };
    const request = { ...rest, method, url, headers, body, kind: "upload", doing: this.#doing } as const;
    try {
      return await this.#api.attempt({ ...request, push: true, slow: true });
    } catch (error) {
      if (error instanceof Transient) this.#fruitless++;
      throw error;
    }
  }

  /**
   * The registry does not go on with the session: another one is begun.
   *
   * @param inParts whether that may be because the blob was not sent as a whole.
   * @throws Transient, registryRefused if it would be the same with another one.
   */
  #lost(answer: HttpAnswer, inParts: boolean): never {
    const codes = errorCodes(answer);
    const forgotten = answer.status !== 400 || codes.some((code) => code.startsWith("BLOB_UPLOAD_"));
    const noParts = !forgotten || answer.status === 405;
    const onlyParts = this.#blob.size > this.#habits.maxPiece;
    if (noParts && (!inParts || onlyParts)) throw this.#api.refused(this.#doing, answer);
    if (noParts) this.#habits.pieces = false;
    this.#session = undefined;
    throw new Transient(describeErrorAnswer(answer));
  }

  /** @throws registryRefused if there is no smaller piece. */
  #goSmaller(refused: number, { minPiece }: UploadSession, answer: HttpAnswer): void {
    const half = Math.min(firstPiece, Math.max(smallestPiece, Math.floor(refused / 2)));
    if (refused <= half || half < minPiece || !this.#habits.pieces) {
      throw this.#api.refused(this.#doing, answer);
    }
    this.#habits.maxPiece = Math.min(this.#habits.maxPiece, half);
  }

  #pieceSize(session: UploadSession): number {
    const { maxPiece, pieces } = this.#habits;
    const careful = pieces && this.#fruitless >= fruitlessBeforePieces ? firstPiece : Infinity;
    return Math.max(session.minPiece, Math.min(maxPiece, careful));
  }
}
