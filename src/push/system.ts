import { type System, systems } from "../closure-index/system.ts";
import { systemUnclear } from "../errors.ts";
import type { ElfMachine } from "../image/elf-machines.ts";
import type { StorePath } from "../nix/store-path.ts";

const systemsOfMachine: Readonly<Record<ElfMachine, readonly System[]>> = {
  none: [],
  x86_64: ["x86_64-linux"],
  aarch64: ["aarch64-linux"],
  both: systems,
};

/**
 * The system of a closure: the one that was asked for, else the only one that its programs are for.
 *
 * @param machine of all programs in it.
 * @param warn hears if the programs are for another system than the one asked for.
 * @throws systemUnclear if none was asked for, and the programs are for several or there are none
 */
export function systemOf(
  roots: readonly StorePath[],
  machine: ElfMachine,
  asked: System | undefined,
  warn: (text: string) => void,
): System {
  const found = systemsOfMachine[machine];
  if (asked === undefined) {
    const [system, ...others] = found;
    if (system === undefined || others.length > 0) throw systemUnclear(roots, found, systems);
    return system;
  }
  if (found.length > 0 && !found.includes(asked)) {
    warn(`the programs of ${roots.join(", ")} are for ${found.join(" and ")}, not for ${asked}`);
  }
  return asked;
}
