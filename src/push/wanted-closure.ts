import type { System } from "../closure-index/system.ts";
import type { TypedClosure } from "./plan-choice.ts";
import type { StorePath } from "../nix/store-path.ts";

/** A closure that is to be in a repository. */
export interface WantedClosure extends TypedClosure {
  readonly tag: string;
  /** The paths with volumes of their own beside each store image. */
  readonly storeImages: readonly ReadonlySet<StorePath>[];
  /** Undefined: that of its programs. */
  readonly system: System | undefined;
}
