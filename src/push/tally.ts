/** Blobs of one kind. */
export interface BlobCount {
  readonly blobs: number;
  readonly bytes: number;
}

/** What became of the blobs of a push; each counts once. */
export interface Outcome {
  /** Sent, or to be sent in a dry run. */
  readonly sent: BlobCount;
  /** The repository had them. */
  readonly present: BlobCount;
  /** Taken over from another repository of the same registry. */
  readonly mounted: BlobCount;
  /** Image manifests, closure manifests and indexes that were sent, or are to be. */
  readonly manifests: number;
}

/** How far a push is. */
export interface Progress {
  /** NarSize of the layers, in bytes, each weighted by how far it is. */
  readonly done: number;
  readonly total: number;
  /** Bytes of blobs that were sent, of those under way too. */
  readonly sentBytes: number;
}

/** Half of the way of a layer is its conversion. */
const conversionShare = 0.5;

/** The way of one layer from its NARs to the registry. */
export class LayerProgress {
  readonly #weight: number;
  readonly #add: (done: number, sent: number) => void;
  #done = 0;
  #sent = 0;

  constructor(weight: number, add: (done: number, sent: number) => void) {
    this.#weight = weight;
    this.#add = add;
  }

  /** So many of its bytes are converted. */
  converted(bytes: number): void {
    this.#move(this.#weight * conversionShare * Math.min(1, bytes / this.#weight), this.#sent);
  }

  /** So many bytes of its blob of `size` bytes are sent; fewer than before when it begins anew. */
  sent(bytes: number, size: number): void {
    const share = conversionShare + (1 - conversionShare) * Math.min(1, bytes / Math.max(1, size));
    this.#move(this.#weight * share, bytes);
  }

  /** The registry has it. */
  finish(): void {
    this.#move(this.#weight, this.#sent);
  }

  #move(done: number, sent: number): void {
    this.#add(done - this.#done, sent - this.#sent);
    [this.#done, this.#sent] = [done, sent];
  }
}

/** Counts what a push does. */
export class Tally {
  #outcome: Outcome = {
    sent: { blobs: 0, bytes: 0 },
    present: { blobs: 0, bytes: 0 },
    mounted: { blobs: 0, bytes: 0 },
    manifests: 0,
  };
  #done = 0;
  #total = 0;
  #sentBytes = 0;

  get outcome(): Outcome {
    return this.#outcome;
  }

  get progress(): Progress {
    return { done: this.#done, total: this.#total, sentBytes: this.#sentBytes };
  }

  /** A blob had this end. */
  blob(end: "sent" | "present" | "mounted", bytes: number): void {
    const { blobs, bytes: before } = this.#outcome[end];
    this.#outcome = { ...this.#outcome, [end]: { blobs: blobs + 1, bytes: before + bytes } };
  }

  /** A manifest was sent. */
  manifest(): void {
    this.#outcome = { ...this.#outcome, manifests: this.#outcome.manifests + 1 };
  }

  /** A layer begins its way; `weight` is its NarSize. */
  layer(weight: number): LayerProgress {
    this.#total += weight;
    return new LayerProgress(Math.max(1, weight), (done, sent) => {
      this.#done += done;
      this.#sentBytes += sent;
    });
  }
}
