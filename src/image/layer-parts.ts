import { narMissing } from "../errors.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { mapBounded } from "../resolver/slots.ts";
import { ConversionFailure } from "./conversions.ts";
import { locate, locatedAtATime, type PlannedPath } from "./layer-plan.ts";
import type { LayerPart } from "./layer.ts";

/**
 * Finds out where the NARs of a layer are.
 *
 * @throws ConversionFailure if a path is nowhere, and the errors of the resolver
 */
export async function layerParts(
  resolver: Resolver,
  source: string,
  paths: readonly PlannedPath[],
  signal: AbortSignal,
): Promise<readonly LayerPart[]> {
  return mapBounded(paths, locatedAtATime, async ({ info, name, contentAddresses }) => {
    const { storePath } = info;
    const locations = await locate(resolver, source, info, signal);
    if (locations.length === 0) {
      // All have it with another hash now: what was resolved is out of date.
      throw new ConversionFailure(narMissing(storePath, `source ${source}`), [storePath]);
    }
    return { name, storePath, locations, contentAddresses };
  });
}
