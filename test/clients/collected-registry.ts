import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { nginx, python } from "../service/demo-cache.ts";
import { scratchDirectory } from "./fixture.ts";
import { OrdinaryRegistry, type OrdinaryRegistryName } from "./ordinary-registry.ts";
import type { PushMachine } from "./push-machine.ts";
import { type Reachable, reachableFrom } from "./pushed-index.ts";

/** The tag of a root's closure. */
export const tagOf = (root: string): string => root.slice("/nix/store/".length).slice(0, 32);

/** A registry with the closures of python and nginx, of which nginx is not wanted any more. */
export class CollectedRegistry {
  readonly #machine: PushMachine;
  readonly registry: OrdinaryRegistry;
  readonly repository: string;
  readonly nginxIndex: string;
  /** What only nginx needed. */
  readonly unneeded: Reachable;

  private constructor(
    machine: PushMachine,
    registry: OrdinaryRegistry,
    repository: string,
    nginxIndex: string,
    unneeded: Reachable,
  ) {
    this.#machine = machine;
    this.registry = registry;
    this.repository = repository;
    this.nginxIndex = nginxIndex;
    this.unneeded = unneeded;
  }

  static async make(name: OrdinaryRegistryName, machine: PushMachine): Promise<CollectedRegistry> {
    const registry = await OrdinaryRegistry.start(name, await scratchDirectory());
    onTestFinished(() => registry[Symbol.asyncDispose]());
    const { closures } = await machine.push(`${registry.host}/nix`, [nginx, python]);
    const repository = `${registry.origin}/v2/nix`;
    const [ours, others] = [
      await reachableFrom(repository, tagOf(nginx)),
      await reachableFrom(repository, tagOf(python)),
    ];
    expect([ours.missing, others.missing]).toEqual([[], []]);
    const unneeded = {
      manifests: ours.manifests.difference(others.manifests),
      blobs: new Map([...ours.blobs].filter(([digest]) => !others.blobs.has(digest))),
      missing: [],
    };
    expect(unneeded.blobs.size).toBeGreaterThan(10);
    expect(ours.blobs.size - unneeded.blobs.size).toBeGreaterThan(5);
    return new CollectedRegistry(machine, registry, repository, closures[0]?.digest ?? "", unneeded);
  }

  /** What is lost of the closure that is wanted. */
  async lost(): Promise<readonly string[]> {
    return (await reachableFrom(this.repository, tagOf(python))).missing;
  }

  /** Of what nobody needs, the blobs that still take room on the disk. */
  leftBlobs(): readonly string[] {
    const file = (digest: string): string => {
      const hex = digest.replace("sha256:", "");
      return join(this.registry.storage, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
    };
    return [...this.unneeded.blobs.keys()].filter((digest) => existsSync(file(digest)));
  }

  /** Pushes both once more; afterwards everything is there. */
  async pushAgain(): Promise<void> {
    await this.#machine.push(`${this.registry.host}/nix`, [nginx, python]);
    for (const root of [nginx, python])
      expect((await reachableFrom(this.repository, tagOf(root))).missing).toEqual([]);
  }
}
