import fastify, { type FastifyInstance, type InjectOptions, type LightMyRequestResponse } from "fastify";
import { afterEach, beforeEach, expect } from "vitest";

import type { RegistryRequest } from "../../src/registry/observer.ts";
import { registryPlugin, registryServerOptions } from "../../src/registry/plugin.ts";
import { imageFixture } from "./map-images.ts";

/** The repository that the image of a test is in. */
export const name = "nixos/path/app";
export const base = `/v2/${name}`;
/** A digest of nothing. */
export const absent = `sha256:${"0".repeat(64)}`;

/** A registry with one image, fresh for each test. */
export class RegistryFixture {
  server: FastifyInstance = fastify();
  image = imageFixture(name);
  observed: RegistryRequest[] = [];
  held: number[] = [];

  async start(): Promise<void> {
    this.image = imageFixture(name);
    this.observed = [];
    this.held = [];
    const observer = {
      request: (request: RegistryRequest) => void this.observed.push(request),
      held: (seconds: number) => void this.held.push(seconds),
    };
    this.server = fastify({ ...registryServerOptions(observer), forceCloseConnections: true });
    await this.server.register(registryPlugin({ images: this.image.images, observer }));
  }

  /** The image's layer. */
  get blobUrl(): string {
    return `${base}/blobs/${this.image.layer.digest}`;
  }

  readonly ask = (options: InjectOptions): Promise<LightMyRequestResponse> => this.server.inject(options);
  readonly get = (url: string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> =>
    this.ask({ method: "GET", url, headers });
  readonly head = (url: string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> =>
    this.ask({ method: "HEAD", url, headers });
}

/** The fixture of a test file; every blob that a test opens must be closed by its end. */
export function useRegistry(): RegistryFixture {
  const registry = new RegistryFixture();
  beforeEach(() => registry.start());
  afterEach(async () => {
    await registry.server.close();
    const { opened, closed } = registry.image.images;
    expect(closed).toBe(opened);
  });
  return registry;
}

/** The one error of an answer in the protocol's format. */
export function errorOf(answer: { json(): unknown }): { code: string; message: string; detail?: unknown } {
  const body = answer.json() as { errors: { code: string; message: string; detail?: unknown }[] };
  expect(Object.keys(body)).toStrictEqual(["errors"]);
  expect(body.errors).toHaveLength(1);
  return body.errors[0]!;
}
