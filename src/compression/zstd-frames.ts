/**
 * Where the frames of zstd data end (RFC 8878, 3.1). Nix writes NARs as many frames since 2.35, and the decoder of
 * Node 24 stops after the first one (nodejs/node#64741), so each frame gets a decoder of its own.
 */

/** A part of a frame: `end` is its end in the chunk, `last` tells whether the frame ends there. */
export interface FramePart {
  readonly end: number;
  readonly last: boolean;
  /** A skippable frame holds no compressed data; a frame's first three bytes do not tell its kind yet. */
  readonly kind: FrameKind;
}

type FrameKind = "unknown" | "data" | "skippable";

const magic = 0xfd2fb528;
const skippableMagic = 0x184d2a5;
/** Sizes in bytes of the fields that the two low bits of the frame header descriptor name. */
const dictionaryIdSizes = [0, 1, 2, 4] as const;
/** The same for its two high bits; the first is 1 for a frame in a single segment. */
const contentSizeSizes = [0, 2, 4, 8] as const;
const rleBlock = 1;
const reservedBlock = 3;
/** Magic number, descriptor, window, dictionary and content size. */
const maxHeader = 4 + 1 + 1 + 4 + 8;

type Field = "magic" | "descriptor" | "header" | "block" | "skip";

/** Finds the ends of frames in data that comes in chunks of any size. */
export class ZstdFrames {
  readonly #maxWindow: number;
  /** The field being read, so far; fields lie across chunks. */
  readonly #field = Buffer.alloc(maxHeader);
  #fieldLength = 0;
  #want: Field = "magic";
  #descriptor = 0;
  #headerLength = 0;
  #checksum = false;
  #kind: FrameKind = "unknown";
  /** Bytes to pass over before the next field. */
  #passing = 0;
  /** What comes after them is the end of the frame. */
  #lastPassed = false;

  /** @param maxWindow bytes; a frame that needs a larger window is an error. */
  constructor(maxWindow: number) {
    this.#maxWindow = maxWindow;
  }

  /** Whether the data so far ends with a whole frame. */
  get complete(): boolean {
    return this.#want === "magic" && this.#fieldLength === 0 && this.#passing === 0;
  }

  /** The part of the current frame that starts at `start` of a chunk; a new frame starts after a `last` part. */
  next(chunk: Uint8Array, start: number): FramePart {
    let at = start;
    while (at < chunk.length) {
      if (this.#passing === 0) {
        at += this.#readField(chunk, at);
      } else {
        const passed = Math.min(this.#passing, chunk.length - at);
        this.#passing -= passed;
        at += passed;
      }
      if (this.#passing === 0 && this.#lastPassed) {
        const kind = this.#kind;
        this.#lastPassed = false;
        this.#kind = "unknown";
        this.#want = "magic";
        return { end: at, last: true, kind };
      }
    }
    return { end: at, last: false, kind: this.#kind };
  }

  /** Takes bytes of a field, and acts on it when it is whole. Returns the number of bytes taken. */
  #readField(chunk: Uint8Array, at: number): number {
    const missing = this.#fieldSize() - this.#fieldLength;
    const taken = chunk.subarray(at, at + missing);
    this.#field.set(taken, this.#fieldLength);
    this.#fieldLength += taken.length;
    if (taken.length === missing) {
      this.#fieldLength = 0;
      this.#onField();
    }
    return taken.length;
  }

  #fieldSize(): number {
    switch (this.#want) {
      case "magic":
      case "skip":
        return 4;
      case "descriptor":
        return 1;
      case "header":
        return this.#headerLength;
      case "block":
        return 3;
    }
  }

  #onField(): void {
    switch (this.#want) {
      case "magic":
        return this.#onMagic(this.#field.readUInt32LE(0));
      case "skip":
        return this.#pass(this.#field.readUInt32LE(0), true);
      case "descriptor":
        return this.#onDescriptor(this.#field.readUInt8(0));
      case "header":
        return this.#onHeader();
      case "block":
        return this.#onBlock(this.#field.readUIntLE(0, 3));
    }
  }

  #onMagic(value: number): void {
    if (value === magic) {
      this.#want = "descriptor";
      this.#kind = "data";
    } else if (value >>> 4 === skippableMagic) {
      this.#want = "skip";
      this.#kind = "skippable";
    } else {
      throw new Error("there is something that is no frame where one should start");
    }
  }

  #onDescriptor(descriptor: number): void {
    if ((descriptor & 0x08) !== 0) throw new Error("a reserved bit is set in a frame's header");
    this.#descriptor = descriptor;
    this.#checksum = (descriptor & 0x04) !== 0;
    const window = this.#singleSegment ? 0 : 1;
    this.#headerLength = window + (dictionaryIdSizes[descriptor & 3] ?? 0) + this.#contentSizeSize;
    this.#want = "header";
  }

  get #singleSegment(): boolean {
    return (this.#descriptor & 0x20) !== 0;
  }

  get #contentSizeSize(): number {
    const flag = this.#descriptor >>> 6;
    return flag === 0 && this.#singleSegment ? 1 : (contentSizeSizes[flag] ?? 0);
  }

  #onHeader(): void {
    const window = this.#singleSegment ? this.#contentSize() : windowSize(this.#field.readUInt8(0));
    if (window > this.#maxWindow) {
      throw new Error(`it needs a window of ${window} bytes, the limit is ${this.#maxWindow}`);
    }
    this.#want = "block";
  }

  #contentSize(): number {
    const at = this.#headerLength - this.#contentSizeSize;
    switch (this.#contentSizeSize) {
      case 1:
        return this.#field.readUInt8(at);
      case 2:
        return this.#field.readUInt16LE(at) + 256;
      case 4:
        return this.#field.readUInt32LE(at);
      default:
        return Number(this.#field.readBigUInt64LE(at));
    }
  }

  #onBlock(header: number): void {
    const last = (header & 1) === 1;
    const type = (header >>> 1) & 3;
    if (type === reservedBlock) throw new Error("a block has a reserved type");
    const size = type === rleBlock ? 1 : header >>> 3;
    this.#pass(size + (last && this.#checksum ? 4 : 0), last);
  }

  #pass(bytes: number, last: boolean): void {
    this.#passing = bytes;
    this.#lastPassed = last;
  }
}

/** RFC 8878, 3.1.1.1.2. */
function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3));
  return base + (base / 8) * (descriptor & 7);
}
