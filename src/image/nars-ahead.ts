import type { Clock } from "../resolver/clock.ts";
import type { NarLocation } from "../resolver/nar-location.ts";
import type { LayerPart } from "./layer.ts";

/**
 * NARs that are open beside the one that is read. Caches answer after 20 ms and more, and a closure has hundreds of small
 * NARs that take a millisecond each: one after the other they would be nothing but waits. Nobody reads them yet, so each
 * holds a socket or file, and no more bytes than a body takes without a reader, 64 KiB.
 */
const ahead = 16;

/**
 * Larger ones (NarSize in bytes) keep a server busy until they are read, for buffers do not hold what they have when it is
 * compressed; some servers have no more than five workers (nix-serve). They take longer than a wait, too.
 */
const large = 256 * 1024;
const largeAhead = 2;

/**
 * A NAR that is not open so long (milliseconds) after its turn has come may have to wait for a worker of the server that is
 * busy with those that were opened after it: they are given up.
 */
const patience = 5_000;

/**
 * A server gives up on who does not read (nginx: after 60 s, proxies earlier), so a NAR that has waited for longer than
 * this (milliseconds) may be lost through no fault of its cache.
 */
const oldAfter = 5_000;

/** A place to take a NAR from, and how it is opened. What it gives is the caller's to destroy. */
export interface NarAttempt<Nar> {
  readonly location: NarLocation;
  readonly open: () => Promise<Nar>;
}

/** A NAR that is open. */
interface Open {
  destroy(): unknown;
}

export interface NarsAheadOptions<Nar> {
  readonly open: (location: NarLocation, signal: AbortSignal) => Promise<Nar>;
  readonly signal: AbortSignal;
  readonly clock: Pick<Clock, "now" | "sleep">;
}

interface EarlyNar<Nar> {
  readonly isLarge: boolean;
  /** Ends the opening. */
  readonly controller: AbortController;
  readonly nar: Promise<Nar>;
  /** When it was open, or had failed. */
  settled: number;
}

/** Opens the first location of each part some parts before its turn. What fails is told when its turn has come. */
export class NarsAhead<Nar extends Open> {
  readonly #options: NarsAheadOptions<Nar>;
  readonly #toOpen: LayerPart[];
  readonly #early = new Map<LayerPart, EarlyNar<Nar>>();

  /** @param parts in the order in which they are taken. */
  constructor(parts: readonly LayerPart[], options: NarsAheadOptions<Nar>) {
    this.#options = options;
    this.#toOpen = [...parts];
  }

  /**
   * Where to take the NAR of the part from whose turn has come: its locations in their order, the first one opened
   * already. If that was long ago, it is there a second time.
   */
  attempts(part: LayerPart): readonly NarAttempt<Nar>[] {
    const { open, signal, clock } = this.#options;
    const attempts = part.locations.map((location): NarAttempt<Nar> => ({
      location,
      open: () => open(location, signal),
    }));
    const early = this.#take(part);
    const [first, ...others] = attempts;
    if (early === undefined || first === undefined) return attempts;
    const opened = { location: first.location, open: () => this.#await(early) };
    return clock.now() - early.settled > oldAfter ? [opened, first, ...others] : [opened, ...others];
  }

  /** Ends what nobody has taken, and opens no more. */
  close(): void {
    this.#toOpen.length = 0;
    for (const { controller, nar } of this.#early.values()) {
      controller.abort();
      nar.then(
        (opened) => opened.destroy(),
        () => undefined,
      );
    }
    this.#early.clear();
  }

  #take(part: LayerPart): EarlyNar<Nar> | undefined {
    // The one whose turn it is comes first whatever its size, and so do those that are open.
    while (this.#early.size <= ahead) {
      const [next] = this.#toOpen;
      const location = next?.locations[0];
      if (next === undefined || location === undefined) break;
      const isLarge = location.narSize > large;
      const isTurn = next === part;
      const busy = [...this.#early].filter(([other, early]) => early.isLarge && other !== part).length;
      if (isLarge && !isTurn && busy >= largeAhead) break;
      this.#toOpen.shift();
      this.#early.set(next, this.#begin(location, isLarge));
    }
    const early = this.#early.get(part);
    this.#early.delete(part);
    return early;
  }

  async #await({ nar, settled }: EarlyNar<Nar>): Promise<Nar> {
    if (settled < Infinity) return nar;
    const open = new AbortController();
    this.#options.clock.sleep(patience, open.signal).then(
      () => this.close(),
      () => undefined,
    );
    try {
      return await nar;
    } finally {
      open.abort();
    }
  }

  #begin(location: NarLocation, isLarge: boolean): EarlyNar<Nar> {
    const { open, signal, clock } = this.#options;
    const controller = new AbortController();
    const nar = open(location, AbortSignal.any([signal, controller.signal]));
    const early: EarlyNar<Nar> = { nar, isLarge, controller, settled: Infinity };
    const settle = (): void => {
      early.settled = clock.now();
    };
    // A failure is for whoever takes it.
    nar.then(settle, settle);
    return early;
  }
}
