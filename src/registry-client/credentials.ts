import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileUnreadable } from "../errors.ts";
import { type AuthFile, helperOf, loginInFile, parseAuthFile } from "./auth-file.ts";
import { askHelper } from "./credential-program.ts";
import { canonicalHost, dockerHubKey } from "./registry-address.ts";

/** What a registry is shown. */
export type Login = (
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  /** A refresh token of OAuth 2, which the registry's token service changes into tokens. */
  | { readonly kind: "identity-token"; readonly token: string }
  /** A token that the registry takes as it is. */
  | { readonly kind: "registry-token"; readonly token: string }
) & {
  /** Where it was found, for messages: a file and its key, or a helper. */
  readonly from: string;
};

/** Knows credentials of registries. */
export interface CredentialStore {
  /** Where it looks, for the message when there are none. */
  readonly places: readonly string[];
  /**
   * The credentials for a repository, looked up anew at each call.
   *
   * @param host as in references, with the port if there is one: `docker.io`, `localhost:5000`.
   * @throws fileUnreadable, credentialsInvalid, credentialHelperFailed
   */
  find(host: string, repository: string): Promise<Login | undefined>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Shows nothing to anybody. */
export const noCredentials: CredentialStore = { places: [], find: async () => undefined };

/**
 * The credentials that docker and podman keep, from the first of these files that has any for the repository:
 * `$REGISTRY_AUTH_FILE` (then nothing else is looked at), `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`,
 * `$XDG_RUNTIME_DIR/containers/auth.json`, `$XDG_CONFIG_HOME/containers/auth.json` or `~/.config/containers/auth.json`.
 *
 * @param options.file the one file to look at instead, which has to be there; it may change.
 */
export function openCredentialStore(options: {
  readonly env: Environment;
  readonly file?: string;
}): CredentialStore {
  const { env, file } = options;
  const places = file === undefined ? credentialFiles(env) : [file];
  return {
    places,
    find: async (host, repository) => {
      let failure: unknown;
      for (const place of places) {
        try {
          const found = await findIn(place, place === file, env, host, repository);
          if (found !== undefined) return found;
        } catch (error) {
          // A helper that is not on this machine does not stand in the way of what another file has.
          failure ??= error;
        }
      }
      if (failure !== undefined) throw failure;
      return undefined;
    },
  };
}

/** Where docker and podman keep credentials. */
function credentialFiles(env: Environment): readonly string[] {
  // An empty variable is none.
  const value = (name: string): string | undefined => env[name] || undefined;
  const only = value("REGISTRY_AUTH_FILE");
  if (only !== undefined) return [only];
  const home = value("HOME") ?? homedir();
  const runtime = value("XDG_RUNTIME_DIR");
  return [
    join(value("DOCKER_CONFIG") ?? join(home, ".docker"), "config.json"),
    ...(runtime === undefined ? [] : [join(runtime, "containers", "auth.json")]),
    join(value("XDG_CONFIG_HOME") ?? join(home, ".config"), "containers", "auth.json"),
  ];
}

async function findIn(
  place: string,
  required: boolean,
  env: Environment,
  host: string,
  repository: string,
): Promise<Login | undefined> {
  const file = await readAuthFile(place, required);
  if (file === undefined) return undefined;
  const name = helperOf(file, host);
  if (name !== undefined) {
    for (const server of serversOf(host)) {
      const found = await askHelper({ name, file: place, server, env });
      if (found !== undefined) return found;
    }
  }
  return loginInFile(file, host, repository);
}

async function readAuthFile(place: string, required: boolean): Promise<AuthFile | undefined> {
  let text: string;
  try {
    text = await readFile(place, "utf8");
  } catch (error) {
    const missing =
      error instanceof Error && "code" in error && /^(?:ENOENT|ENOTDIR)$/.test(String(error.code));
    if (missing && !required) return undefined;
    throw fileUnreadable(place, error instanceof Error ? error.message : String(error)).causedBy(error);
  }
  // Podman makes an empty file for what is to come.
  return text.trim() === "" ? undefined : parseAuthFile(place, text);
}

/** What helpers know a registry as: docker asks for Docker Hub by a URL, podman by its name. */
function serversOf(host: string): readonly string[] {
  return canonicalHost(host) === "docker.io" ? [dockerHubKey, "docker.io"] : [host];
}
