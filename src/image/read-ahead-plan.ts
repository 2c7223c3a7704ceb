import { formatImageName, type PathImageName } from "../plan/image-name.ts";
import type { PlanImages } from "./plan-images.ts";

/**
 * How long (milliseconds) a plan is under way after the last request for one of its images, or the answer to it. A node
 * that has got an image unpacks it before it asks for the next, a gigabyte for ten seconds or more, and after a pull that
 * failed it pauses for 10, then for 20 seconds.
 */
const underWayFor = 30_000;

/**
 * How long (milliseconds) it is known which images a plan names: later pauses of a kubelet are up to 5 minutes long, and
 * an image that no plan names is taken for the first of another one.
 */
const namedFor = 10 * 60_000;

/**
 * - `waiting`: to be made ahead
 * - `making`: is being made ahead
 * - `ready`: in the store, and nobody has asked for it yet
 * - `dropped`: nobody asked for the plan's images any more
 * - `over`: somebody has asked for it, or it cannot be made ahead
 */
export type ReadAheadState = "waiting" | "making" | "ready" | "dropped" | "over";

/** A path image of a plan. */
export interface ReadAheadImage {
  readonly name: PathImageName;
  readonly repository: string;
  /** NarSize of the path. */
  readonly bytes: number;
  state: ReadAheadState;
}

/** The images of one plan that is pulled, and how far each of them is. */
export class ReadAheadPlan {
  readonly source: string;
  /** What was asked for first: the repository of a path image, or repository and tag of a store image. */
  readonly first: string;
  /** By repository, in the order in which they are asked for; empty as long as they are not known. */
  readonly #images = new Map<string, ReadAheadImage>();
  #asked: number;

  /** @param now milliseconds from any start, here and below. */
  constructor(source: string, first: string, now: number) {
    this.source = source;
    this.first = first;
    this.#asked = now;
  }

  /** Its images are known. */
  add({ images, isCertain }: PlanImages): void {
    for (const { name, bytes } of images) {
      const { repository } = formatImageName(name);
      this.#images.set(repository, { name, repository, bytes, state: isCertain ? "waiting" : "over" });
    }
  }

  names(image: string): boolean {
    return image === this.first || this.#images.has(image);
  }

  /** Somebody asks for an image of the plan, or has the answer. What was dropped is of use again. */
  ask(image: string, now: number): void {
    this.#asked = now;
    for (const dropped of this.in("dropped")) dropped.state = "waiting";
    const asked = this.#images.get(image);
    if (asked !== undefined) asked.state = "over";
  }

  /** Somebody may still ask for its images. */
  isUnderWay(now: number): boolean {
    return now - this.#asked < underWayFor;
  }

  /** It does not matter any more which images it names. */
  isForgotten(now: number): boolean {
    return now - this.#asked >= namedFor;
  }

  /** The images in one of these states. */
  *in(...states: readonly ReadAheadState[]): Generator<ReadAheadImage, void, undefined> {
    for (const image of this.#images.values()) if (states.includes(image.state)) yield image;
  }
}
