import { readFile, stat } from "node:fs/promises";
import { fileUnreadable } from "../errors.ts";
import type { Login } from "./cache-url.ts";
import type { Clock } from "./clock.ts";
import { findNetrcEntry, parseNetrc } from "./netrc.ts";

/** Files that hold credentials of a source. */
export interface CredentialFiles {
  readonly netrcFile?: string;
  readonly bearerTokenFile?: string;
}

/** How long a file is taken for unchanged without a look at it (milliseconds): a walk asks 1000 times a second. */
const recheckAfter = 1000;

/**
 * The credentials for one cache, from what is most particular to least: its URL, the machine's entry in the netrc
 * file, the source's bearer token, the netrc file's default.
 *
 * Files are read again when they change: Kubernetes replaces the files of a rotated Secret.
 */
export class Credentials {
  readonly #login: Login | undefined;
  readonly #netrc: WatchedFile | undefined;
  readonly #bearer: WatchedFile | undefined;

  constructor(files: CredentialFiles, login: Login | undefined, clock: Clock) {
    const watch = (file: string | undefined): WatchedFile | undefined =>
      file === undefined ? undefined : new WatchedFile(file, clock);
    this.#login = login;
    this.#netrc = watch(files.netrcFile);
    this.#bearer = watch(files.bearerTokenFile);
  }

  /**
   * The value of the Authorization header for the cache's own host.
   *
   * @throws fileUnreadable
   */
  async authorization(host: string): Promise<string | undefined> {
    if (this.#login !== undefined) return basic(this.#login.user, this.#login.password);
    const netrc = await this.#netrc?.read();
    const entry = netrc === undefined ? undefined : findNetrcEntry(parseNetrc(netrc), host);
    const ofHost = entry === undefined ? undefined : basic(entry.login, entry.password);
    if (entry?.machine !== undefined || this.#bearer === undefined) return ofHost;
    const token = (await this.#bearer.read()).trim();
    return token === "" ? ofHost : `Bearer ${token}`;
  }
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`, "utf8").toString("base64")}`;
}

class WatchedFile {
  readonly #file: string;
  readonly #clock: Clock;
  #checked = -Infinity;
  #state = "";
  #text = "";

  constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  async read(): Promise<string> {
    const now = this.#clock.now();
    if (now - this.#checked < recheckAfter) return this.#text;
    try {
      const { ino, mtimeMs, ctimeMs, size } = await stat(this.#file);
      const state = [ino, mtimeMs, ctimeMs, size].join();
      if (state !== this.#state) this.#text = await readFile(this.#file, "utf8");
      this.#state = state;
    } catch (error) {
      throw fileUnreadable(this.#file, error instanceof Error ? error.message : String(error)).causedBy(
        error,
      );
    }
    this.#checked = now;
    return this.#text;
  }
}
