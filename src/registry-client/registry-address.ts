import { localKindOfHost } from "../local-address.ts";
import { parseReference } from "../oci/reference.ts";

/** Docker Hub has one name in references, another for its API, and a third in credentials. */
const dockerHubNames: readonly string[] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
const dockerHub = "docker.io";

/** The key of Docker Hub in docker's configuration, and what its helpers are asked for. */
export const dockerHubKey = "https://index.docker.io/v1/";

/** Where a repository is. */
export interface RepositoryAddress {
  /** As in references, with the port if there is one: `docker.io`, `localhost:5000`. */
  readonly host: string;
  readonly repository: string;
}

/** How a repository is reached. */
export interface RepositoryEndpoint {
  /** `<host>/<repository>` as in references, for messages. */
  readonly name: string;
  readonly host: string;
  /** As the API has it: Docker Hub's images of one word are those of `library`. */
  readonly repository: string;
  /** Scheme, host and port of the API. */
  readonly origin: string;
  /** Whether HTTP without TLS is allowed to any host, and not only to this machine. */
  readonly plainHttp: boolean;
}

/** The one name of a registry: in lower case, `docker.io` for all that mean Docker Hub. */
export function canonicalHost(host: string): string {
  const lower = host.toLowerCase();
  return dockerHubNames.includes(lower) ? dockerHub : lower;
}

/**
 * Finds out where the API of a repository is.
 *
 * @throws referenceInvalid
 */
export function repositoryEndpoint(
  address: RepositoryAddress,
  options: { readonly plainHttp?: boolean | undefined; readonly caFile?: string | undefined },
): RepositoryEndpoint {
  const { host, repository } = parseReference(`${address.host}/${address.repository}`);
  const name = `${host}/${repository}`;
  if (canonicalHost(host) === dockerHub) {
    const path = repository.includes("/") ? repository : `library/${repository}`;
    return { name, host, repository: path, origin: "https://registry-1.docker.io", plainHttp: false };
  }
  const plain = options.plainHttp ?? (options.caFile === undefined && isLoopback(host));
  const { origin } = new URL(`${plain ? "http" : "https"}://${host}`);
  return { name, host, repository, origin, plainHttp: options.plainHttp === true };
}

function isLoopback(host: string): boolean {
  return localKindOfHost(new URL(`http://${host}`).hostname) === "loopback";
}
