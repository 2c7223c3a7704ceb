import { fileURLToPath } from "node:url";
import { cacheUrlInvalid } from "../errors.ts";

/** Where a source's cache is. */
export type CacheAddress =
  | { readonly kind: "file"; readonly name: string; readonly directory: string }
  | {
      readonly kind: "http";
      /** For messages: the URL without credentials. */
      readonly name: string;
      /** Ends with "/", so that names are resolved below it; without credentials. */
      readonly base: URL;
      readonly login?: Login;
    };

export interface Login {
  readonly user: string;
  readonly password: string;
}

/**
 * Reads a cache's URL as the configuration has it.
 *
 * @throws cacheUrlInvalid, without the credentials that the URL may hold.
 */
export function parseCacheUrl(text: string): CacheAddress {
  const fail = (why: string): Error => cacheUrlInvalid(withoutSecrets(text), why);
  if (!URL.canParse(text)) throw fail("it is not a URL");
  const url = new URL(text);
  // Nix reads settings there (`?priority=10`, even `?trusted=true`); to pass over them in silence would mislead.
  if (url.search !== "" || url.hash !== "") throw fail("settings after ? or # are not known here");
  switch (url.protocol) {
    case "file:":
      if (url.host !== "") throw fail(`a file cache has no host, this has ${url.host}`);
      return { kind: "file", name: url.href, directory: directoryOf(url, fail) };
    case "http:":
    case "https:":
      return httpAddress(url, fail);
    case "s3:":
      throw fail("s3 is not spoken here; a public bucket can be had over https");
    default:
      throw fail(`its scheme is ${url.protocol}`);
  }
}

/** A URL for a message: without credentials, and without a query, which may hold a signed permission. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/^([a-z][a-z0-9+.-]*:[\\/]*|[\\/]{2,})[^\\/?#]*@/i, "$1")
    .replace(/([?#]).*$/s, (_, mark: string) => `${mark}…`);
}

function httpAddress(url: URL, fail: (why: string) => Error): CacheAddress {
  const login = loginOf(url, fail);
  const base = new URL(url);
  base.username = "";
  base.password = "";
  const name = base.href.replace(/\/$/, "");
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return { kind: "http", name, base, ...(login === undefined ? {} : { login }) };
}

function loginOf(url: URL, fail: (why: string) => Error): Login | undefined {
  if (url.username === "" && url.password === "") return undefined;
  try {
    return { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  } catch {
    throw fail("its user or password has a % that starts no escape");
  }
}

function directoryOf(url: URL, fail: (why: string) => Error): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw fail("its path has escapes that no file name can have");
  }
}
