import { allContainers, type Pod } from "../../src/patch/pod.ts";
import { pushedSources } from "./pushed-sources.ts";
import { host } from "./test-admission.ts";

/** As docs/how-it-works.md has it; src/patch/owned.ts is what is under test. */
const ourPattern = /^nix-(?:[0-9a-z]{32}|(?:store|profile)-[0-9a-f]{16})(?:-[0-9a-f]{8})?$/;

const places = [`${host}/`, ...pushedSources.flatMap(({ repository: of }) => [`${of}@`, `${of}:`, `${of}/`])];

/** Whether a reference lies where ours do. */
function isPlacedAsOurs(reference: string | undefined): boolean {
  return places.some((place) => reference?.startsWith(place) === true);
}

/** The names of volumes of ours that a Pod has, or whose mounts alone are left. */
export function ourNames(pod: Pod): ReadonlySet<string> {
  const volumes = pod.spec.volumes ?? [];
  const foreign = new Set(
    volumes.filter((volume) => !isPlacedAsOurs(volume.image?.reference)).map(({ name }) => name),
  );
  const mounts = allContainers(pod).flatMap(({ volumeMounts }) => volumeMounts ?? []);
  const names = [...volumes, ...mounts].map(({ name }) => name);
  return new Set(names.filter((name) => ourPattern.test(name) && !foreign.has(name)));
}
