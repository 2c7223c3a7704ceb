/** Image references in the configuration file. What is wrong with one goes to `problems`, after its key. */
import { NixClosureError, quote } from "./errors.ts";
import { parseReference } from "./oci/reference.ts";
import { conversionVersion, imageReference, maxRoots } from "./plan/image-name.ts";

/**
 * The base image: the one that is written, else that of our registry.
 *
 * @param enabled whether there is a registry of ours.
 * @returns undefined: there is none.
 */
export function baseImage(
  written: string | undefined,
  { reference, enabled }: { readonly reference: string; readonly enabled: boolean },
  problems: string[],
): string | undefined {
  if (written !== undefined) return imageName(written, problems);
  if (!enabled) return undefined;
  return imageReference(reference, { kind: "base", version: conversionVersion });
}

/** The reference of an image, which says which one it is. */
function imageName(text: string, problems: string[]): string {
  try {
    const { tag, digest } = parseReference(text);
    if (tag === undefined && digest === undefined)
      problems.push(`baseImage: ${quote(text)} has neither tag nor digest; write one of them`);
  } catch (error) {
    if (!(error instanceof NixClosureError)) throw error;
    problems.push(`baseImage: ${error.message}`);
  }
  return text;
}

const hostPattern =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[a-f0-9:]+\])(?::([0-9]{1,5}))?$/i;

/**
 * The host part of image references, as github.com/distribution/reference 0.6 takes it.
 * @param sources those whose images our registry makes.
 */
export function checkReference(reference: string, sources: readonly string[], problems: string[]): void {
  const match = hostPattern.exec(reference);
  if (match === null || Number(match[1] ?? 1) > 65535 || match[1] === "0") {
    problems.push(`registry.reference: ${quote(reference)} is not <host> or <host>:<port>`);
  } else if (!/[.:]/.test(reference) && reference !== "localhost") {
    // normalize.go, splitDockerDomain: anything else before the first "/" is a part of docker.io.
    problems.push(
      `registry.reference: nodes take ${quote(reference)} for a repository of docker.io; write it with its port or domain`,
    );
  } else if (sources.some((source) => maxRoots(reference, source) < 1)) {
    problems.push(
      `registry.reference: ${quote(reference)} leaves no room for a root in image names; use a shorter host`,
    );
  }
}
