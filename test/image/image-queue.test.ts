import { expect, it } from "vitest";

import { ImageQueue } from "../../src/image/image-queue.ts";
import { type Document, imageIndex } from "../../src/oci/documents.ts";

const document = imageIndex({ manifests: [] });

/** A queue, the images that are being made, and how many requests it says that wait. */
function queueOf(limit: number) {
  const seen: number[] = [];
  const making = new Map<string, PromiseWithResolvers<Document>>();
  const queue = new ImageQueue<Document>(limit, (waiting) => seen.push(waiting));
  const ask = (image: string, wait = (work: Promise<Document>) => work): Promise<Document> =>
    queue.run(
      image,
      () => {
        const made = Promise.withResolvers<Document>();
        making.set(image, made);
        return made.promise;
      },
      wait,
    );
  return { ask, making, seen };
}

const busy = { code: "REGISTRY_BUSY", status: 429, temporary: true };

it("holds requests up to its limit, and takes others when some have their answer", async () => {
  const { ask, making, seen } = queueOf(3);
  const held = ["a", "a", "b"].map((image) => ask(image));
  expect([...making.keys()]).toEqual(["a", "b"]);
  await expect(ask("a")).rejects.toMatchObject(busy);
  await expect(ask("c")).rejects.toMatchObject({
    ...busy,
    message: expect.stringMatching(/^3 requests wait/),
  });
  making.get("a")!.resolve(document);
  expect(await Promise.all(held.slice(0, 2))).toEqual([document, document]);
  const later = ask("c");
  making.get("b")!.reject(new Error("broken"));
  making.get("c")!.resolve(document);
  await expect(held[2]).rejects.toThrow("broken");
  expect(await later).toEqual(document);
  expect(Math.max(...seen)).toBe(3);
  expect(seen.at(-1)).toBe(0);
});

it("does not let images in the making grow without end for whom nobody waits any more", async () => {
  const { ask, making, seen } = queueOf(2);
  const leave = async (): Promise<Document> => {
    throw new Error("gone");
  };
  for (const image of ["a", "b"]) await expect(ask(image, leave)).rejects.toThrow("gone");
  expect(seen.at(-1)).toBe(0);
  await expect(ask("c")).rejects.toMatchObject(busy);
  // Who wants one of those may wait for it.
  const joined = ask("a");
  making.get("a")!.resolve(document);
  expect(await joined).toEqual(document);
  const next = ask("c");
  making.get("c")!.resolve(document);
  expect(await next).toEqual(document);
});

it("forgets a work that fails", async () => {
  const { ask, making } = queueOf(1);
  for (let time = 0; time < 3; time++) {
    const asked = ask("a");
    making.get("a")!.reject(new Error(`time ${time}`));
    await expect(asked).rejects.toThrow(`time ${time}`);
  }
});
