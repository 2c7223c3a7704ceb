import { createHash } from "node:crypto";
import { volumeConflict, type NixClosureError } from "../errors.ts";
import type { OwnedVolume } from "./owned.ts";
import type { Pod } from "./pod.ts";

/**
 * Gives each wanted image a volume name: the one it has in the Pod already, else the one planned. Two sources can have
 * the same path, so a planned name that another image of ours holds gets eight hexadecimal digits of its reference.
 * @returns names by reference, in the order of `wanted`.
 */
export function nameVolumes(
  pod: Pod,
  owned: readonly OwnedVolume[],
  removed: ReadonlySet<string>,
  wanted: readonly { readonly name: string; readonly reference: string }[],
  errors: NixClosureError[],
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const kept = owned.filter((volume) => !removed.has(volume.name));
  const taken = new Set(kept.map((volume) => volume.name));
  const ours = new Set(owned.map((volume) => volume.name));
  const foreign = new Set((pod.spec.volumes ?? []).map(({ name }) => name).filter((name) => !ours.has(name)));
  for (const { name: planned, reference } of wanted) {
    if (names.has(reference)) continue;
    const present = kept.find((volume) => volume.reference === reference);
    const name = present?.name ?? freeName(planned, reference, taken);
    if (foreign.has(name)) errors.push(volumeConflict(name));
    names.set(reference, name);
    taken.add(name);
  }
  return names;
}

function freeName(planned: string, reference: string, taken: ReadonlySet<string>): string {
  let name = planned;
  // The first digits can be in a name already that somebody gave to another image of ours.
  for (let salted = reference; taken.has(name); salted += "+") name = `${planned}-${shortDigest(salted)}`;
  return name;
}

function shortDigest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
