import { failingNars } from "./failing-nars.ts";
import { failing } from "./failing.ts";
import { leading } from "./leading.ts";
import type { Lie } from "./lie.ts";
import { lying } from "./lying.ts";

/** Every way for a cache to fail or to lie, by its code. */
export const lies = { ...failing, ...failingNars, ...leading, ...lying } as const satisfies Record<
  string,
  Lie
>;

export type LieCode = keyof typeof lies;
