import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";

/**
 * A look-up of names that refuses some addresses, at the very moment of connecting: a check before it could be passed by a
 * name that resolves anew each time (DNS rebinding).
 *
 * @param refuse the error for an address that may not be connected to.
 */
export function guardedLookup(
  lookup: LookupFunction,
  refuse: (hostname: string, address: string) => Error | undefined,
): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      const addresses = (found ?? []) as LookupAddress[];
      const refused = error ?? addresses.map(({ address }) => refuse(hostname, address)).find(Boolean);
      const [first] = addresses;
      if (refused !== undefined || first === undefined) {
        callback(refused ?? new Error(`${hostname} has no address`), "", 0);
      } else if (options.all === true) {
        callback(null, addresses);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}
