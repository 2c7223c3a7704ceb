import type { ClosureToPack } from "./packing.ts";
import type { Strategy } from "./plan.ts";
import { choicesFor, type PushedChoice, type PushedClosure } from "./pushed-choices.ts";
import { choiceReferences } from "./pushed-volumes.ts";

/** What was chosen for a Pod's pushed closures. */
export interface PushedChoices {
  /** By the position of the closure; those that were not pushed have none. */
  readonly chosen: ReadonlyMap<number, PushedChoice>;
  /** Their images, one that several need counted once. */
  readonly images: number;
  /** Images that are left for the other closures. */
  readonly left: number;
}

/** A pushed closure on its way from the fewest images to as many as fit. */
interface Climber {
  readonly at: number;
  now: Step;
  more: readonly Step[];
}

interface Step {
  readonly choice: PushedChoice;
  readonly references: readonly string[];
}

/**
 * Chooses among what was pushed for the closures of a Pod, all together. With a strategy that chooses the number of images
 * each gets the choice with the most that fit, and the one with the fewest where none does. Closures that were not
 * pushed have a share in the room, by their number, or what they need at most if that is less.
 *
 * @param closures of all kinds.
 * @param maxImages images that they may have together, one that several need counted once.
 * @throws planNotPushed
 */
export function choosePushed(
  closures: readonly ClosureToPack[],
  { strategy, maxImages }: { readonly strategy: Strategy; readonly maxImages: number },
): PushedChoices {
  const climbers = startOf(closures, strategy);
  const room = roomOf(closures, climbers.length, maxImages);
  const images = new ImageCount();
  for (const { now } of climbers) images.add(now);
  // In turns, so that of several closures none takes all the room.
  let climbing = climbers;
  while (climbing.length > 0) climbing = climbing.filter((climber) => climb(climber, images, room));
  return {
    chosen: new Map(climbers.map(({ at, now }) => [at, now.choice])),
    images: images.size,
    left: Math.max(0, maxImages - images.size),
  };
}

/** The pushed closures, each with its fewest images, in an order that does not depend on theirs. */
function startOf(closures: readonly ClosureToPack[], strategy: Strategy): readonly Climber[] {
  const climbers = closures.flatMap(({ source, closure, pushed, profileRoots }, at) => {
    if (pushed === undefined) return [];
    const one: PushedClosure = { closure, pushed, profileRoots };
    const [now, ...more] = choicesFor(one, strategy).map((choice) => {
      return { choice, references: choiceReferences(one, choice) };
    });
    const key = [source, ...closure.roots, ...profileRoots].join("\n");
    return now === undefined ? [] : [{ key, climber: { at, now, more } }];
  });
  return climbers.toSorted((one, other) => (one.key < other.key ? -1 : 1)).map(({ climber }) => climber);
}

/** The images that pushed closures may have of a Pod's. */
function roomOf(closures: readonly ClosureToPack[], pushed: number, maxImages: number): number {
  if (pushed === closures.length) return maxImages;
  const others = closures.filter((one) => one.pushed === undefined);
  const paths = new Set(
    others.flatMap(({ source, closure }) => closure.paths.map((info) => `${source}:${info.storePath}`)),
  );
  // A store image and the profiles, which are there whatever the number.
  const least = others.reduce(
    (sum, { closure, profileRoots }) => sum + Math.min(closure.paths.length, 1 + profileRoots.size),
    0,
  );
  const share = Math.floor((maxImages * pushed) / closures.length);
  return Math.min(maxImages - least, Math.max(share, maxImages - paths.size));
}

/** Moves on to the next choice that fits. @returns false: there is none. */
function climb(climber: Climber, images: ImageCount, room: number): boolean {
  for (const [i, next] of climber.more.entries()) {
    images.remove(climber.now);
    images.add(next);
    if (images.size <= room) {
      climber.now = next;
      climber.more = climber.more.slice(i + 1);
      return true;
    }
    images.remove(next);
    images.add(climber.now);
  }
  return false;
}

/** Counts distinct images of choices that share some. */
class ImageCount {
  readonly #users = new Map<string, number>();

  get size(): number {
    return this.#users.size;
  }

  add({ references }: Step): void {
    for (const reference of references) this.#users.set(reference, (this.#users.get(reference) ?? 0) + 1);
  }

  remove({ references }: Step): void {
    for (const reference of references) {
      const users = (this.#users.get(reference) ?? 0) - 1;
      if (users > 0) this.#users.set(reference, users);
      else this.#users.delete(reference);
    }
  }
}
