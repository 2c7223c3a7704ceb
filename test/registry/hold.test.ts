import fastify from "fastify";
import { beforeEach, expect, onTestFinished, test } from "vitest";

import { Pacing } from "../../src/registry/pacing.ts";
import { registryPlugin, registryServerOptions } from "../../src/registry/plugin.ts";
import { systemClock } from "../../src/resolver/clock.ts";
import { imageFixture } from "./map-images.ts";
import { errorOf } from "./registry-fixture.ts";

const name = "nixos/path/app";
let held: number[];
beforeEach(() => {
  held = [];
});

/** A registry whose held requests go on when they are let go. */
async function start() {
  const waiting: (() => void)[] = [];
  const clock = {
    ...systemClock,
    now: () => 0,
    sleep: async () => new Promise<void>((resolve) => waiting.push(resolve)),
  };
  const limits = { registryPullQPS: 1, registryBurst: 1 };
  const pacing = new Pacing(() => limits, clock);
  const image = imageFixture(name);
  const asked: string[] = [];
  const resolveTag = image.images.resolveTag.bind(image.images);
  image.images.resolveTag = async (...call) => {
    asked.push(call[1]);
    return resolveTag(...call);
  };
  const observer = { request: () => undefined, held: (seconds: number) => void held.push(seconds) };
  const server = fastify(registryServerOptions(observer));
  await server.register(registryPlugin({ images: image.images, pacing, observer }));
  onTestFinished(() => server.close());
  const letGo = (): void => {
    limits.registryPullQPS = 0;
    waiting.splice(0).forEach((wake) => wake());
  };
  return { server, image, asked, waiting, letGo, pacing };
}

test("a tag is held, and its image is made meanwhile", async () => {
  const { server, asked, letGo, waiting } = await start();
  let isAnswered = false;
  const answer = server.inject({ method: "HEAD", url: `/v2/${name}/manifests/1` });
  void answer.then(() => (isAnswered = true));
  await expect.poll(() => [asked, waiting.length]).toEqual([["1"], 1]);
  expect(isAnswered).toBe(false);
  letGo();
  expect((await answer).statusCode).toBe(200);
  expect(held).toHaveLength(1);
});

test("a tag of nothing is held too: the kubelet's limit has counted it", async () => {
  const { server, letGo, waiting } = await start();
  const answer = server.inject(`/v2/${name}/manifests/none`);
  await expect.poll(() => waiting.length).toBe(1);
  letGo();
  expect(errorOf(await answer).code).toBe("NAME_UNKNOWN");
});

test("digests and blobs are never held", async () => {
  const { server, image, letGo, waiting } = await start();
  const tag = server.inject(`/v2/${name}/manifests/1`);
  await expect.poll(() => waiting.length).toBe(1);
  const { index, layer } = image;
  for (const url of [`manifests/${index.digest}`, `blobs/${layer.digest}`]) {
    expect((await server.inject(`/v2/${name}/${url}`)).statusCode).toBe(200);
  }
  letGo();
  expect((await tag).statusCode).toBe(200);
});

test("a service that ends answers what it holds", async () => {
  const { server, pacing, waiting } = await start();
  const answer = server.inject(`/v2/${name}/manifests/1`);
  await expect.poll(() => waiting.length).toBe(1);
  pacing.end();
  // The real clock's sleep ends by the signal.
  waiting.splice(0).forEach((wake) => wake());
  expect((await answer).statusCode).toBe(200);
});
