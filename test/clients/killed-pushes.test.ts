/** Pushes that are killed at random moments, and what the registry has then. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { numbers } from "../../bench/synthetic-graph.ts";
import { mixed } from "../service/demo-cache.ts";
import { suite } from "./fixture.ts";
import { Gate } from "./gate.ts";
import { OrdinaryRegistry } from "./ordinary-registry.ts";
import { PushMachine } from "./push-machine.ts";
import { reachableFrom, tagsOf } from "./pushed-index.ts";

const kills = 50;
/** So many in the same repository, each beginning with what the one before has left; then one that is left alone. */
const killsOfRepository = 5;
const seed = 7;

const directory = join(suite.directory, "killed-pushes");
let registry: OrdinaryRegistry;
let gate: Gate;
let machine: PushMachine;

beforeAll(async () => {
  registry = await OrdinaryRegistry.start("distribution", join(directory, "registry"));
  // A push takes about a second, most of which is sending.
  gate = await Gate.start(registry.host, { bytesPerSecond: 12_000_000, latencyMs: 3 });
  machine = await PushMachine.make(join(directory, "machine"));
});
afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
});

/** What the machine knows of repositories; each has its own, or blobs would be taken over and not sent. */
const memoryOf = (name: string): { readonly XDG_CACHE_HOME: string } => ({
  XDG_CACHE_HOME: join(directory, "memory", name),
});

/** Starts a push and kills it after this time. @returns whether it was still at it */
async function pushAndKill(name: string, milliseconds: number): Promise<boolean> {
  const child = spawn(process.execPath, machine.words(`${gate.host}/${name}`, [mixed]), {
    env: { ...process.env, ...machine.env, ...memoryOf(name) },
    stdio: "ignore",
  });
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  await Promise.race([delay(milliseconds), exited]);
  child.kill("SIGKILL");
  const [code, signal] = await exited;
  expect([code, signal]).toEqual(signal === null ? [0, null] : [null, "SIGKILL"]);
  return signal !== null;
}

/** Of all tags of a repository, what their indexes name and is not there. */
async function missingIn(name: string): Promise<readonly string[]> {
  const repository = `${registry.origin}/v2/${name}`;
  const tags = await tagsOf(repository);
  return (await Promise.all(tags.map((tag) => reachableFrom(repository, tag)))).flatMap(
    ({ missing }) => missing,
  );
}

test(`${kills} pushes killed at random moments leave no index that names what is missing, and the next one completes`, async () => {
  // Once without counting: Node keeps what it has compiled.
  await machine.push(`${gate.host}/first`, [mixed], memoryOf("first"));
  const started = performance.now();
  await machine.push(`${gate.host}/whole`, [mixed], memoryOf("whole"));
  const whole = performance.now() - started;
  const random = numbers(seed);
  /** How many writes each of those that were killed had got through. */
  const writes = new Set<number>();
  for (let [killed, repository] = [0, 0]; killed < kills; repository++) {
    const name = `round-${repository}`;
    for (let round = 0; round < killsOfRepository && killed < kills; round++) {
      gate.reset();
      // From when Node has started, to shortly before the end. What is there already makes it shorter.
      const wasKilled = await pushAndKill(name, whole * (0.2 + 0.7 * random()));
      expect(await missingIn(name), `${name}, after ${killed} that were killed`).toEqual([]);
      if (!wasKilled) break;
      killed++;
      writes.add(gate.writes.length);
    }
    const { closures } = await machine.push(`${gate.host}/${name}`, [mixed], memoryOf(name));
    expect(await tagsOf(`${registry.origin}/v2/${name}`)).toEqual([closures[0]?.tag]);
    expect(await missingIn(name)).toEqual([]);
    const scratch = join(memoryOf(name).XDG_CACHE_HOME, "nix-closure", "scratch");
    expect(await readdir(scratch)).toEqual([]);
  }
  // Not all at the same place.
  expect(writes.size).toBeGreaterThan(10);
}, 300_000);
