import { describe, expect, it } from "vitest";

import { contentLayers } from "../../src/image/content-layers.ts";
import { nix32Alphabet } from "../../src/nix/nix32.ts";
import { parseBaseName, storeHash } from "../../src/nix/store-path.ts";
import { pathOf } from "../resolver/fake-store.ts";

const mebibyte = 2 ** 20;

/** So many paths that have so many mebibytes together, in the order of their hashes. */
function pathsOf(count: number, mebibytes: number, name = "path") {
  const storePaths = Array.from({ length: count }, (_, index) => pathOf(`${name}-${index}`)).toSorted();
  return storePaths.map((storePath) => ({ info: { storePath, narSize: (mebibytes * mebibyte) / count } }));
}

describe("content", () => {
  it.each([
    [0.001, 1],
    [32, 1],
    [32.001, 2],
    [64, 2],
    [64.001, 4],
    [128.001, 8],
    [512.001, 8],
    [10_000, 8],
  ])("of %d MiB has %d layers", (mebibytes, layers) => {
    expect(contentLayers(pathsOf(400, mebibytes))).toHaveLength(layers);
  });

  it("keeps its order, in each layer and from layer to layer", () => {
    const paths = pathsOf(400, 443);
    expect(contentLayers(paths).flat()).toEqual(paths);
  });

  it("is divided by the first digit of the hash alone", () => {
    const paths = nix32Alphabet.split("").map((digit) => ({
      info: { storePath: parseBaseName(`${digit}${"0".repeat(31)}-x`), narSize: 4 * mebibyte },
    }));
    const digits = contentLayers(paths).map((layer) =>
      layer.map(({ info }) => storeHash(info.storePath)[0]).join(""),
    );
    expect(digits).toEqual(["01234567", "89abcdfg", "hijklmnp", "qrsvwxyz"]);
  });

  it("that differs in one path differs in one layer", () => {
    const paths = pathsOf(400, 443);
    for (const [at, { info }] of paths.entries()) {
      const without = contentLayers(paths.toSpliced(at, 1)).map((layer) => JSON.stringify(layer));
      const others = contentLayers(paths).filter((layer) => !without.includes(JSON.stringify(layer)));
      expect(others).toHaveLength(1);
      expect(others[0]).toContainEqual({ info });
    }
  });

  it("has no layer that is empty, unless there is nothing at all", () => {
    const [one] = pathsOf(1, 1000);
    expect(contentLayers([one!])).toEqual([[one]]);
    expect(contentLayers([])).toEqual([[]]);
  });
});
