/**
 * Keys under which docker, podman and Kubernetes keep credentials: `host`, `host/path` (containers-auth.json(5)), a
 * URL (`https://host/v1/`, as `docker login` once wrote), `*.example.com` (Kubernetes).
 */
import { canonicalHost } from "./registry-address.ts";

/**
 * How well a key fits a repository, `undefined` if it does not: the more of the repository's path it has, the better;
 * the host itself is better than a pattern.
 */
export function fitOf(key: string, host: string, repository: string): number | undefined {
  const parts = partsOf(key);
  const path = repository.split("/");
  if (parts.path.some((part, index) => part !== path[index])) return undefined;
  if (parts.host === canonicalHost(host)) return parts.path.length * 2 + 1;
  return matches(parts.host, host.toLowerCase()) ? parts.path.length * 2 : undefined;
}

/** The host that a key names, in its one form. */
export function hostOfKey(key: string): string {
  return partsOf(key).host;
}

function partsOf(key: string): { readonly host: string; readonly path: readonly string[] } {
  const bare = key.replace(/^https?:\/\//, "");
  const [host = "", ...rest] = bare.split("/");
  const path = rest.filter((part) => part !== "");
  // That of the API, not of a repository.
  const ofApi = path[0] === "v1" || path[0] === "v2";
  const stripped = ofApi && (path.length === 1 || bare !== key) ? path.slice(1) : path;
  return { host: canonicalHost(host), path: stripped };
}

/** Whether a host fits a pattern in which a label may have one `*`, for any part of the label. */
function matches(pattern: string, host: string): boolean {
  if (!pattern.includes("*")) return false;
  const [wanted, labels] = [pattern.split("."), host.split(".")];
  return wanted.length === labels.length && wanted.every((want, index) => fits(want, labels[index] ?? ""));
}

function fits(want: string, label: string): boolean {
  const [start = "", end] = want.split("*");
  if (end === undefined || want.split("*").length > 2) return want === label;
  const any = label.slice(start.length, label.length - end.length);
  // What stands before the port is the label.
  return label === start + any + end && !any.includes(":");
}
