import type { Images } from "../image/images.ts";
import type { RegistryObserver } from "./observer.ts";
import type { Pacing } from "./pacing.ts";

/** What answers are made of. */
export interface Backend {
  readonly images: Images;
  readonly pacing: Pacing;
  readonly observer: RegistryObserver;
}
