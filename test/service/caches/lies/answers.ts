import type { ServerResponse } from "node:http";
import type { Answer, LyingCache } from "../lying-cache.ts";

/** Says nothing at all. */
export const silence: Answer = () => undefined;

/** The answer of a file, changed. */
export function changed(
  cache: LyingCache,
  name: string,
  answer: (response: ServerResponse, file: Uint8Array) => void,
): void {
  cache.say(name, (response) => answer(response, cache.file(name) ?? new Uint8Array()));
}

/** The beginning of a file under its whole length, then nothing more. */
export function begin(response: ServerResponse, file: Uint8Array, bytes: number): void {
  response.writeHead(200, { "content-length": file.length }).write(file.subarray(0, bytes));
}

/** Writes the same bytes again and again, as fast as they are taken. */
export function endless(response: ServerResponse, chunk: Uint8Array): void {
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
    response.once("drain", more);
  };
  more();
}

/** Sends a byte now and then. */
export function drip(response: ServerResponse, byte: string, milliseconds: number): void {
  const timer = setInterval(() => response.write(byte), milliseconds);
  response.once("close", () => clearInterval(timer));
}
