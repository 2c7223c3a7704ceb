import { closureIndexInvalid, quote } from "../errors.ts";

/** The members of a JSON object that is not trusted; what is none of them, nobody asks for. */
export class JsonFields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #place: string;

  /**
   * @param place for messages, such as `paths[3]`.
   * @throws closureIndexInvalid for what is no object.
   */
  constructor(value: unknown, place: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw closureIndexInvalid(`${place} is not an object`);
    }
    this.#object = value as Readonly<Record<string, unknown>>;
    this.#place = place;
  }

  /** A member that may be missing. */
  optional(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }

  text(name: string): string {
    const value = this.optional(name);
    if (typeof value !== "string") throw this.#wrong(name, "a text");
    return value;
  }

  /** A number from `min` to `max`. */
  integer(name: string, min: number, max: number): number {
    const value = this.optional(name);
    if (!isInteger(value, min, max)) throw this.#wrong(name, `a number from ${min} to ${max}`);
    return value;
  }

  /** A list of so many members. */
  list(name: string, min: number, max: number): readonly unknown[] {
    const value = this.optional(name);
    if (!Array.isArray(value)) throw this.#wrong(name, "a list");
    if (value.length < min || value.length > max) {
      throw this.wrong(name, `it has ${value.length} members, ${min} to ${max} are allowed`);
    }
    return value;
  }

  /** A list of numbers from 0 on, each larger than the one before and below `limit`. */
  positions(name: string, min: number, limit: number): readonly number[] {
    let next = 0;
    return this.list(name, min, limit).map((value) => {
      if (!isInteger(value, next, limit - 1)) {
        throw this.wrong(name, `it is not a list of ascending positions below ${limit}`);
      }
      next = value + 1;
      return value;
    });
  }

  object(name: string): JsonFields {
    return new JsonFields(this.optional(name), `${this.#place}.${name}`);
  }

  /** What a member's text stands for. */
  parsed<T>(name: string, parse: (text: string) => T): T {
    const value = this.text(name);
    try {
      return parse(value);
    } catch (error) {
      throw this.wrong(name, error instanceof Error ? error.message : String(error)).causedBy(error);
    }
  }

  /** A text that says itself what it is. */
  constant(name: string, wanted: string): void {
    const value = this.optional(name);
    if (value === wanted) return;
    const found = typeof value === "string" ? quote(value) : "none";
    throw closureIndexInvalid(`${this.#place} has ${name} ${found}, wanted is ${quote(wanted)}`);
  }

  /** The error for a member with a reason. */
  wrong(name: string, why: string): ReturnType<typeof closureIndexInvalid> {
    return closureIndexInvalid(`${this.#place}.${name}: ${why}`);
  }

  #wrong(name: string, wanted: string): ReturnType<typeof closureIndexInvalid> {
    const isThere = this.optional(name) !== undefined;
    return isThere
      ? closureIndexInvalid(`${this.#place}.${name} is not ${wanted}`)
      : closureIndexInvalid(`${this.#place} has no ${name}`);
  }
}

function isInteger(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
}
