import type { NarHash } from "../nix/hash.ts";
import type { StorePath } from "../nix/store-path.ts";

/** Where a NAR is, with the rules for getting there. */
export interface NarPlace {
  /** Absolute: http, https or file. */
  readonly url: string;
  /** Of an HTTP cache: scheme, host and port of its configured URL, which decide where it may lead. */
  readonly origin?: string;
  /** Of a file cache: the directory that it must not leave. */
  readonly directory?: string;
  /** The Authorization header; only if the URL is on the configured origin, and not sent beyond it. */
  readonly authorization?: string;
}

/**
 * Everything that is needed to get a NAR and to check it. Plain data, so that it can be posted to a worker thread;
 * it may hold a credential, so it is not for logs.
 */
export interface NarLocation extends NarPlace {
  /** The cache's name, for messages. */
  readonly cache: string;
  readonly storePath: StorePath;
  /** As the narinfo has it, so not trusted, as the URL. */
  readonly compression: string;
  /** The content must have it. */
  readonly narHash: NarHash;
  /** Bytes that the content must have. */
  readonly narSize: number;
  /**
   * Only where no signature vouches for the path: the content address as the narinfo has it. The path is trusted if,
   * and only if, its content has this hash.
   */
  readonly contentAddress?: string;
}
