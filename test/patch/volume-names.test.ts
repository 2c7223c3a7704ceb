import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { NixClosureError } from "../../src/errors.ts";
import type { OwnedVolume } from "../../src/patch/owned.ts";
import { parsePod } from "../../src/patch/pod.ts";
import { nameVolumes } from "../../src/patch/volume-names.ts";

const planned = `nix-${"0".repeat(32)}`;
const here = `localhost:5417/demo/path/${"0".repeat(32)}:1`;
const there = `registry.example.com/nix@sha256:${"0".repeat(64)}`;
const digits = createHash("sha256").update(there).digest("hex").slice(0, 8);

/** The names of two images that are planned to have the same one, in a Pod with some volumes of ours. */
function nameBoth(...volumes: readonly OwnedVolume[]): readonly string[] {
  const pod = parsePod({
    spec: {
      containers: [],
      volumes: volumes.map(({ name, reference }) => ({ name, image: { reference } })),
    },
  });
  const errors: NixClosureError[] = [];
  const wanted = [here, there].map((reference) => ({ name: planned, reference }));
  const names = nameVolumes(pod, volumes, new Set(), wanted, errors);
  expect(errors).toEqual([]);
  expect([...names.keys()]).toEqual([here, there]);
  return [...names.values()];
}

const owned = (name: string, reference: string): OwnedVolume => ({ name, reference, image: undefined });

test("one path of two sources has two names", () => {
  expect(nameBoth()).toEqual([planned, `${planned}-${digits}`]);
});

test("an image keeps the name that it has", () => {
  expect(nameBoth(owned(planned, there))).toEqual([expect.stringMatching(`^${planned}-`), planned]);
});

test("a name that somebody has given to another image is not given twice", () => {
  const [one, other] = nameBoth(owned(`${planned}-${digits}`, here));
  expect([one, other]).toEqual([`${planned}-${digits}`, planned]);
  const taken = [owned(planned, here), owned(`${planned}-${digits}`, "registry.example.com/nix@sha256:1")];
  const names = nameBoth(...taken);
  expect(names[0]).toBe(planned);
  expect(names[1]).toMatch(new RegExp(`^${planned}-[0-9a-f]{8}$`));
  expect(taken.map(({ name }) => name)).not.toContain(names[1]);
});
