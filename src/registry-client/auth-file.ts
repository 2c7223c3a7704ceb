/**
 * The file in which docker (config.json) and podman (auth.json) keep credentials of registries: docker's
 * cli/config/configfile, containers-auth.json(5). What is not known in it is passed over.
 */
import { credentialsInvalid, quote } from "../errors.ts";
import { fitOf, hostOfKey } from "./auth-key.ts";
import type { Login } from "./credentials.ts";

export interface AuthFile {
  readonly file: string;
  readonly auths: ReadonlyMap<string, AuthEntry>;
  /** Names of helpers by host. */
  readonly credHelpers: ReadonlyMap<string, string>;
  /** The helper of all other hosts. */
  readonly credsStore: string | undefined;
}

type AuthEntry = Readonly<Record<string, unknown>>;

/**
 * Reads the text of such a file.
 *
 * @throws credentialsInvalid, without any of the text.
 */
export function parseAuthFile(file: string, text: string): AuthFile {
  const fields = recordOf(file, "the file", parseJson(file, text));
  const auths = Object.entries(recordOf(file, "auths", fields["auths"] ?? {}));
  const helpers = Object.entries(recordOf(file, "credHelpers", fields["credHelpers"] ?? {}));
  const store = fields["credsStore"];
  return {
    file,
    auths: new Map(auths.map(([key, entry]) => [key, recordOf(file, `the entry ${quote(key)}`, entry)])),
    credHelpers: new Map(helpers.map(([host, name]) => [host, helperName(file, name)])),
    credsStore: store === undefined || store === "" ? undefined : helperName(file, store),
  };
}

/** The helper to ask for a host: its own, else that of all. */
export function helperOf(file: AuthFile, host: string): string | undefined {
  const wanted = hostOfKey(host);
  const own = [...file.credHelpers].find(([key]) => hostOfKey(key) === wanted);
  return own?.[1] ?? file.credsStore;
}

/**
 * The credentials that the file itself has for a repository: those of the key that fits best.
 *
 * @throws credentialsInvalid
 */
export function loginInFile(file: AuthFile, host: string, repository: string): Login | undefined {
  const fitting = [...file.auths]
    .map(([key, entry]) => ({ key, entry, fit: fitOf(key, host, repository) ?? -1 }))
    .filter(({ fit }) => fit >= 0)
    .toSorted((a, b) => b.fit - a.fit);
  for (const { key, entry } of fitting) {
    // An entry of nothing is what `docker login` leaves where a helper has the credentials.
    const login = loginOf(file.file, key, entry);
    if (login !== undefined) return login;
  }
  return undefined;
}

function loginOf(file: string, key: string, entry: AuthEntry): Login | undefined {
  const field = (name: string): string => {
    const value = entry[name] ?? "";
    if (typeof value !== "string")
      throw credentialsInvalid(file, `${name} of the entry ${quote(key)} is not a text`);
    return value;
  };
  const from = `${file} (its entry ${quote(key)})`;
  if (field("identitytoken") !== "") return { kind: "identity-token", token: field("identitytoken"), from };
  if (field("registrytoken") !== "") return { kind: "registry-token", token: field("registrytoken"), from };
  if (field("auth") === "") {
    const [user, password] = [field("username"), field("password")];
    return user === "" ? undefined : { kind: "password", user, password, from };
  }
  const decoded = Buffer.from(field("auth"), "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon < 1) {
    throw credentialsInvalid(file, `auth of the entry ${quote(key)} is not the base64 of <user>:<password>`);
  }
  const password = decoded.slice(colon + 1).replace(/\0+$/, "");
  return { kind: "password", user: decoded.slice(0, colon), password, from };
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's words would show a part of the text.
    throw credentialsInvalid(file, "it is not JSON");
  }
}

function recordOf(file: string, what: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw credentialsInvalid(file, `${what} is not a JSON object`);
}

/** A program's name is made of it: nothing that leads to another directory. */
function helperName(file: string, name: unknown): string {
  if (typeof name === "string" && /^[\w.-]+$/.test(name)) return name;
  throw credentialsInvalid(file, "it names a credential helper that cannot be a program's name");
}
