import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import type { StorePath } from "../../src/nix/store-path.ts";
import type { KnownPath } from "../../src/resolver/memory.ts";
import { Walk, type WalkOptions } from "../../src/resolver/walk.ts";
import { narInfoOf, pathOf } from "./fake-store.ts";
import { failureOf, noLimits, until } from "./fixture.ts";

type Graph = Readonly<Record<string, readonly string[]>>;

function known(name: string, references: readonly string[]): KnownPath {
  const info = parseNarInfo(narInfoOf(pathOf(name), { references: references.map(pathOf) }));
  return { info, signed: true, size: 500, cache: 0 };
}

/** Walks a graph of names from its first one. */
function walkOf(graph: Graph, options: Partial<WalkOptions> = {}): Walk {
  const byPath = new Map(Object.entries(graph).map(([name, to]) => [pathOf(name), known(name, to)]));
  const [root = "root"] = Object.keys(graph);
  return new Walk({
    roots: [pathOf(root)],
    read: async (path) => byPath.get(path),
    caches: ["https://one", "https://two"],
    limits: noLimits,
    signal: new AbortController().signal,
    ...options,
  });
}

function names(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `node-${index}`);
}

describe("what is found", () => {
  test.for<[string, Graph]>([
    ["one path", { a: [] }],
    ["a path that refers to itself", { a: ["a"] }],
    ["a cycle", { a: ["b"], b: ["c"], c: ["a", "b"] }],
    ["a diamond", { a: ["b", "c"], b: ["d"], c: ["d"], d: [] }],
  ])("%s", async ([, graph]) => {
    const closure = await walkOf(graph).run();
    expect(new Set(closure.byPath.keys())).toEqual(new Set(Object.keys(graph).map(pathOf)));
    expect(closure.narSize).toBe(closure.paths.reduce((sum, { narSize }) => sum + narSize, 0));
  });

  test("a chain of 3000 paths, for the walk does not recurse", async () => {
    const chain = names(3000);
    const graph = Object.fromEntries(chain.map((name, index) => [name, chain.slice(index + 1, index + 2)]));
    expect((await walkOf(graph).run()).paths).toHaveLength(3000);
  });

  test("always exactly what can be reached, sorted", async () => {
    const graphs = fc.array(fc.array(fc.nat(11), { maxLength: 4 }), { minLength: 12, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(graphs, async (edges) => {
        const all = names(12);
        const graph = Object.fromEntries(
          all.map((name, index) => [name, edges[index]!.map((to) => all[to]!)]),
        );
        const reachable = new Set(["node-0"]);
        for (const name of reachable) for (const to of graph[name]!) reachable.add(to);
        const closure = await walkOf(graph).run();
        expect([...closure.byPath.keys()]).toEqual([...reachable].map(pathOf).sort());
      }),
      { numRuns: 50 },
    );
  });
});

describe("how it is asked", () => {
  test("each path once, at most 64 at a time, as many as that", async () => {
    const leaves = names(200);
    const asked: StorePath[] = [];
    const waiting: (() => void)[] = [];
    const graph: Graph = { root: leaves, ...Object.fromEntries(leaves.map((name) => [name, ["root"]])) };
    const byPath = new Map(Object.entries(graph).map(([name, to]) => [pathOf(name), known(name, to)]));
    let most = 0;
    const walk = walkOf(graph, {
      read: async (path) => {
        asked.push(path);
        await new Promise<void>((resolve) => {
          most = Math.max(most, waiting.push(resolve));
        });
        return byPath.get(path);
      },
    });
    const done = walk.run();
    while (walk.known.size < 201) {
      await until(() => waiting.length > 0 || walk.known.size === 201);
      waiting.shift()?.();
    }
    expect((await done).paths).toHaveLength(201);
    expect(asked).toHaveLength(201);
    expect(most).toBe(64);
  });
});

describe("when it stops", () => {
  test("at the first path beyond the limit, without asking for it", async () => {
    let asked = 0;
    const walk = walkOf(
      {},
      {
        roots: [pathOf("root")],
        limits: { ...noLimits, maxPaths: 10 },
        read: async () => {
          asked++;
          return known("root", names(5000));
        },
      },
    );
    const error = await failureOf(walk.run());
    expect(error.code).toBe("CLOSURE_TOO_MANY_PATHS");
    expect(error.message).toContain("more than 10 paths");
    expect(asked).toBe(1);
  });

  test("exactly at the limit it does not", async () => {
    const graph: Graph = { a: ["b"], b: [] };
    const { narSize } = await walkOf(graph).run();
    const closure = await walkOf(graph, { limits: { maxPaths: 2, maxBytes: narSize } }).run();
    expect(closure.paths).toHaveLength(2);
    const error = await failureOf(walkOf(graph, { limits: { maxPaths: 2, maxBytes: narSize - 1 } }).run());
    expect(error.code).toBe("CLOSURE_TOO_LARGE");
    expect(error.message).toMatch(/has \d+ B or more in 2 paths, the limit is \d+ B /);
  });

  test.for<[string, Graph, string]>([
    ["a root that no cache has", { a: ["gone"] }, `(needed by ${pathOf("a")})`],
    [
      "far from the root, with the nearest of the chain and the root",
      { a: ["b"], b: ["c"], c: ["d"], d: ["e"], e: ["f"], f: ["gone"] },
      `(needed by ${pathOf("f")}, needed by ${pathOf("e")}, needed by ${pathOf("d")}, ` +
        `… 2 more … needed by ${pathOf("a")})`,
    ],
    [
      "a chain that is just short enough",
      { a: ["b"], b: ["c"], c: ["d"], d: ["gone"] },
      `(needed by ${pathOf("d")}, needed by ${pathOf("c")}, needed by ${pathOf("b")}, needed by ${pathOf("a")})`,
    ],
  ])("at %s", async ([, graph, chain]) => {
    const error = await failureOf(walkOf(graph).run());
    expect(error.code).toBe("PATH_UNKNOWN");
    expect(error.message).toContain(`${pathOf("gone")} ${chain} is not in https://one nor in https://two;`);
  });

  test("at an unknown root, which nobody needs", async () => {
    const error = await failureOf(walkOf({}, { roots: [pathOf("gone")] }).run());
    expect(error.message).toMatch(new RegExp(`^${RegExp.escape(pathOf("gone"))} is not in `));
  });

  test("with the signal's reason, while reads are pending", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const read = async (): Promise<never> => new Promise<never>(() => undefined);
    const walk = walkOf({ a: [] }, { signal: controller.signal, read }).run();
    controller.abort(reason);
    await expect(walk).rejects.toThrow("enough");
  });
});
