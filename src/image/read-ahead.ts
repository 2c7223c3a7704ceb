import { formatImageName, type ImageName, type PathImageName } from "../plan/image-name.ts";
import type { ImagesLog, ImagesObserver } from "./images-observer.ts";
import type { PlanImages } from "./plan-images.ts";
import { type ReadAheadImage, ReadAheadPlan } from "./read-ahead-plan.ts";

/** What read-ahead needs of those who make images. */
export interface ReadAheadWork {
  /** The path images of the plan that this image is the first of. */
  find(first: PlanStart): Promise<PlanImages>;
  /** Waits until an image can be made without a client having to wait for it. */
  whenFree(): Promise<void>;
  /** Makes an image, or joins whoever makes it. */
  make(name: PathImageName): Promise<unknown>;
  /** Whether an image is in the store; it then counts as used. */
  use(name: PathImageName): boolean;
  /** Whether the store has a store image of this root that leaves paths to path images. */
  hasStoreImage(root: PathImageName): boolean;
  /** Bytes that images may have that are made ahead and not asked for yet. */
  room(): number;
}

/** An image that a plan can begin with. */
export type PlanStart = Exclude<ImageName, { readonly kind: "base" }>;

export interface ReadAheadOptions {
  readonly work: ReadAheadWork;
  /** Images that are made ahead at a time. */
  readonly limit: number;
  readonly observer: ImagesObserver;
  readonly log: ImagesLog;
  /** Milliseconds from any start. */
  readonly now: () => number;
  /** Nothing is begun after it has aborted. */
  readonly signal: AbortSignal;
}

/** Plans that are remembered: more Pods than a node starts at a time, and some megabytes of names. */
const maxPlans = 32;

/**
 * Makes the images of a plan before they are asked for, for a kubelet asks for one after the other.
 *
 * The first request tells the plan: a store image names it, and a path image that no plan names is the root of one
 * without a store image. What goes wrong here is nobody's: who asks for the image is told what goes wrong then.
 */
export class ReadAhead {
  readonly #options: ReadAheadOptions;
  /** Each time one has had its turn it is put behind the others. */
  readonly #plans = new Set<ReadAheadPlan>();
  /** Plans whose images are not known yet. */
  readonly #searches = new Map<ReadAheadPlan, Promise<void>>();
  /** What clients wait for now, and how many clients. */
  readonly #asking = new Map<string, number>();
  /** Repositories of the images that are being made here. */
  readonly #making = new Set<string>();
  #runners = 0;

  constructor(options: ReadAheadOptions) {
    this.#options = options;
  }

  /**
   * A client asks for an image.
   *
   * @returns to be called when it has its answer, or has gone.
   */
  asked(name: ImageName): () => void {
    if (name.kind === "base") return () => undefined;
    const { repository, tag } = formatImageName(name);
    const image = name.kind === "path" ? repository : `${repository}:${tag}`;
    this.#asking.set(image, (this.#asking.get(image) ?? 0) + 1);
    if (!this.#note(image)) void this.#begin(name, image);
    return () => {
      const others = (this.#asking.get(image) ?? 1) - 1;
      if (others > 0) this.#asking.set(image, others);
      else this.#asking.delete(image);
      this.#note(image);
    };
  }

  /** Tells plans that an image is asked for, or answered; whether one names it. */
  #note(image: string): boolean {
    const now = this.#options.now();
    let isNamed = false;
    for (const plan of this.#plans) {
      if (plan.isForgotten(now)) this.#plans.delete(plan);
      else if (plan.names(image)) {
        plan.ask(image, now);
        isNamed = true;
      }
    }
    this.#advance();
    return isNamed;
  }

  async #begin(name: PlanStart, image: string): Promise<void> {
    if (name.kind === "path") {
      // A small image is there, and the next one asked for, before the plan that names that one is known.
      const searches = [...this.#searches].filter(([{ source }]) => source === name.source);
      await Promise.all(searches.map(async ([, search]) => search));
      if (this.#note(image) || this.#options.work.hasStoreImage(name)) return;
    }
    if (this.#options.signal.aborted || !this.#makeRoom()) return;
    const plan = new ReadAheadPlan(name.source, image, this.#options.now());
    this.#plans.add(plan);
    const search = this.#find(plan, name);
    this.#searches.set(plan, search);
    await search;
    this.#searches.delete(plan);
    this.#advance();
  }

  async #find(plan: ReadAheadPlan, name: PlanStart): Promise<void> {
    const { work, observer, log, now } = this.#options;
    try {
      plan.add(await work.find(name));
    } catch (error) {
      this.#plans.delete(plan);
      log.debug({ image: plan.first, err: error }, "the images of a plan were not found");
      return;
    }
    for (const asked of this.#asking.keys()) if (plan.names(asked)) plan.ask(asked, now());
    // What is there would have to give way first to what is made, and be made again when it is asked for.
    const known = [...plan.in("waiting")].filter((image) => work.use(image.name));
    for (const image of known) image.state = "ready";
    if (known.length > 0) observer.readAhead("known", known.length);
  }

  /** Whether one more plan can be had; one that is over may go for it. */
  #makeRoom(): boolean {
    if (this.#plans.size < maxPlans) return true;
    for (const plan of this.#plans) if (!this.#isUnderWay(plan)) return this.#plans.delete(plan);
    return false;
  }

  #isUnderWay(plan: ReadAheadPlan): boolean {
    if (plan.isUnderWay(this.#options.now())) return true;
    for (const image of this.#asking.keys()) if (plan.names(image)) return true;
    return false;
  }

  #dropIfOver(plan: ReadAheadPlan): void {
    if (this.#isUnderWay(plan)) return;
    const dropped = [...plan.in("waiting")];
    for (const image of dropped) image.state = "dropped";
    if (dropped.length > 0) this.#options.observer.readAhead("dropped", dropped.length);
  }

  #advance(): void {
    const { limit, signal } = this.#options;
    const waits = (plan: ReadAheadPlan): boolean => plan.in("waiting").next().done !== true;
    while (!signal.aborted && this.#runners < limit && [...this.#plans].some(waits)) {
      this.#runners++;
      void this.#run().finally(() => this.#runners--);
    }
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#options.work.whenFree();
      const image = this.#next();
      if (image === undefined) return;
      await this.#make(image);
    }
  }

  /** The first image that waits, of the plan whose turn it is, and for which there is room. */
  #next(): ReadAheadImage | undefined {
    if (this.#options.signal.aborted) return undefined;
    for (const plan of this.#plans) this.#dropIfOver(plan);
    const room = this.#options.work.room() - this.#bytesAhead();
    for (const plan of this.#plans) {
      for (const image of plan.in("waiting")) {
        // Another plan has it made.
        if (this.#making.has(image.repository)) continue;
        if (this.#options.work.use(image.name)) {
          image.state = "ready";
          this.#options.observer.readAhead("known", 1);
          continue;
        }
        if (image.bytes > room) break;
        this.#plans.delete(plan);
        this.#plans.add(plan);
        return image;
      }
    }
    return undefined;
  }

  /**
   * The bytes of images that somebody is likely to ask for soon. They are the latest used, so that with no more of them
   * than half of the store none is gone when its turn comes.
   */
  #bytesAhead(): number {
    const bytes = new Map<string, number>();
    for (const plan of this.#plans) {
      if (!this.#isUnderWay(plan)) continue;
      for (const image of plan.in("making", "ready")) bytes.set(image.repository, image.bytes);
    }
    return [...bytes.values()].reduce((sum, size) => sum + size, 0);
  }

  async #make(image: ReadAheadImage): Promise<void> {
    const { work, observer, log, signal } = this.#options;
    image.state = "making";
    this.#making.add(image.repository);
    try {
      await work.make(image.name);
      observer.readAhead("converted", 1);
      if (image.state === "making") image.state = "ready";
    } catch (error) {
      image.state = "over";
      if (signal.aborted) return;
      observer.readAhead("failed", 1);
      log.debug({ image: image.repository, err: error }, "an image could not be made ahead");
    } finally {
      this.#making.delete(image.repository);
    }
  }
}
