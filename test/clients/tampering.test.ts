/** Pushed closures that somebody has changed who may write to the registry: refused at admission, in words. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeKeyPair } from "../../src/nix/key-pair.ts";
import { hello, nginx } from "../service/demo-cache.ts";
import { run, suite } from "./fixture.ts";
import { OrdinaryRegistry } from "./ordinary-registry.ts";
import { PushMachine } from "./push-machine.ts";
import { deleteManifest } from "./pushed-index.ts";
import { type Json, RepositoryWriter } from "./registry-writes.ts";
import { ServedWebhook } from "./served-webhook.ts";

const [tag, otherTag] = [hello, nginx].map((root) => root.slice("/nix/store/".length).slice(0, 32)) as [
  string,
  string,
];
const directory = join(suite.directory, "tampering");
let registry: OrdinaryRegistry;
let machine: PushMachine;
let webhook: ServedWebhook;

/** What is done to a closure, and what is said of it then. */
interface Tampering {
  readonly what: string;
  readonly change: (repository: RepositoryWriter, name: string) => Promise<unknown>;
  readonly says: RegExp;
}

const urlOf = (name: string): string => `${registry.origin}/v2/${name}`;

/** Changes the index under the tag. */
const index =
  (edit: (json: Json) => unknown) =>
  async (repository: RepositoryWriter): Promise<void> => {
    const json = await repository.readDocument(tag);
    edit(json);
    await repository.writeDocument(json, tag);
  };

/** Changes the closure manifest, and has the index name the new one. */
const manifest =
  (edit: (json: Json, repository: RepositoryWriter) => unknown) =>
  async (repository: RepositoryWriter): Promise<void> => {
    const outer = await repository.readDocument(tag);
    const last = outer["manifests"].at(-1);
    const inner = await repository.readDocument(last.digest);
    await edit(inner, repository);
    Object.assign(last, await repository.writeDocument(inner));
    await repository.writeDocument(outer, tag);
  };

/** Changes the closure document, and has closure manifest and index lead to it: all digests are right. */
const document = (edit: (json: Json) => unknown) =>
  manifest(async ({ layers }, repository) => {
    const json = JSON.parse((await repository.readBlob(layers[0].digest)).toString());
    edit(json);
    Object.assign(layers[0], await repository.writeBlob(Buffer.from(JSON.stringify(json))));
  });

const annotation = (name: string): string => `org.nix-closure.${name}`;

const tamperings: readonly Tampering[] = [
  {
    what: "the digest of an image in the index",
    change: index(({ manifests }) => Object.assign(manifests[1], { ...manifests[0] })),
    says: /entry 2 of the index has digest .*CLOSURE_INDEX_INVALID/,
  },
  {
    what: "an image less in the index",
    change: index(({ manifests }) => manifests.shift()),
    says: /has \d+ images, the signed closure document \d+.*CLOSURE_INDEX_INVALID/,
  },
  {
    what: "an image more in the index",
    change: index(({ manifests }) => manifests.unshift(manifests[0])),
    says: /has \d+ images, the signed closure document \d+.*CLOSURE_INDEX_INVALID/,
  },
  {
    what: "an annotation more in the index",
    change: index(({ annotations }) => (annotations["org.opencontainers.image.title"] = "x")),
    says: /does not account for.*CLOSURE_INDEX_INVALID/,
  },
  {
    what: "the annotation of the roots",
    change: index(({ annotations }) => (annotations[annotation("roots")] = nginx)),
    says: /has the closure of .*nginx-app-1\.0 where that of .*hello-app should be.*CLOSURE_ROOTS_DIFFER/,
  },
  {
    what: "the annotation of the system",
    change: index(({ annotations }) => (annotations[annotation("system")] = "aarch64-linux")),
    says: /its signature by shop-1 is wrong.*CLOSURE_UNTRUSTED/,
  },
  {
    what: "an image's digest in the closure document",
    change: document(({ paths }) => {
      const images = paths.filter((path: Json) => path.manifest !== undefined);
      images[0].manifest = images[1].manifest;
    }),
    says: /its signature by shop-1 is wrong.*CLOSURE_UNTRUSTED/,
  },
  {
    what: "the root in the closure document",
    change: document((json) => (json["roots"] = [json["roots"][0] === 0 ? 1 : 0])),
    says: /its signature by shop-1 is wrong.*CLOSURE_UNTRUSTED/,
  },
  {
    what: "no signature",
    change: manifest((json) => delete json["annotations"]),
    says: /signature.*CLOSURE_UNTRUSTED/,
  },
  {
    what: "the signature of another closure",
    change: manifest(async ({ annotations }, repository) => {
      const others = await repository.readDocument(otherTag);
      const other = await repository.readDocument(others["manifests"].at(-1).digest);
      annotations[annotation("signatures")] = other["annotations"][annotation("signatures")];
    }),
    says: /its signature by shop-1 is wrong.*CLOSURE_UNTRUSTED/,
  },
  {
    what: "another key of the same name",
    change: (_repository, name) => pushWith("shop-1", name),
    says: /its signature by shop-1 is wrong.*CLOSURE_UNTRUSTED/,
  },
  {
    what: "another key",
    change: (_repository, name) => pushWith("evil-1", name),
    says: /evil-1.*CLOSURE_UNTRUSTED/,
  },
  {
    what: "another closure under the tag",
    change: async (repository) => repository.writeDocument(await repository.readDocument(otherTag), tag),
    says: /has the closure of .*nginx-app-1\.0 where that of .*hello-app should be.*CLOSURE_ROOTS_DIFFER/,
  },
  {
    what: "an image of something else under the tag",
    change: async (repository) => {
      const { manifests } = await repository.readDocument(tag);
      await repository.writeDocument(await repository.readDocument(manifests[0].digest), tag);
    },
    says: /has mediaType "application\/vnd\.oci\.image\.manifest\.v1\+json".*CLOSURE_INDEX_INVALID/,
  },
  {
    what: "no index any more",
    change: async (_repository, name) => deleteManifest(urlOf(name), tag),
    says: /CLOSURE_NOT_PUSHED/,
  },
  {
    what: "no closure manifest any more",
    change: async (repository, name) => {
      const { manifests } = await repository.readDocument(tag);
      await deleteManifest(urlOf(name), manifests.at(-1).digest);
    },
    says: /CLOSURE_INCOMPLETE/,
  },
];

async function pushWith(key: string, name: string): Promise<void> {
  const other = await PushMachine.make(join(directory, `machine-of-${name}`), makeKeyPair(key));
  await other.push(`${registry.host}/${name}`, [hello]);
}

const nameOf = (number: number): string => `case-${number}`;

beforeAll(async () => {
  registry = await OrdinaryRegistry.start("distribution", join(directory, "registry"));
  machine = await PushMachine.make(join(directory, "machine"));
  await machine.push(`${registry.host}/nix`, [hello, nginx]);
  const names = ["untouched", "disk", ...tamperings.map((_, number) => nameOf(number))];
  for (const name of names)
    for (const each of [tag, otherTag])
      await run(
        suite.programs.crane,
        "copy",
        `${registry.host}/nix:${each}`,
        `${registry.host}/${name}:${each}`,
      );
  const source = (name: string): object => ({
    registry: `${registry.host}/${name}`,
    publicKeys: [machine.publicKey],
  });
  webhook = await ServedWebhook.start(
    join(directory, "webhook"),
    Object.fromEntries(names.map((name) => [name, source(name)])),
  );
}, 120_000);
afterAll(async () => {
  await webhook?.[Symbol.asyncDispose]();
  await registry?.[Symbol.asyncDispose]();
});

test("as it was pushed and copied it is taken", async () => {
  expect((await webhook.admit(`untouched:${hello}`)).spec.volumes?.length).toBeGreaterThan(4);
});

test.for(tamperings.map((tampering, number) => ({ ...tampering, name: nameOf(number) })))(
  "refused: $what",
  async ({ change, says, name }) => {
    await change(new RepositoryWriter(urlOf(name)), name);
    const refusal = await webhook.refusal(`${name}:${hello}`);
    expect(refusal).toMatch(says);
    expect(refusal).toContain(`${registry.host}/${name}`);
    expect(refusal).toContain(hello);
  },
);

test("refused: other bytes of the closure document on the registry's disk", async () => {
  // Blobs are there once for all repositories, so this one comes last.
  const repository = new RepositoryWriter(urlOf("disk"));
  const last = (await repository.readDocument(tag))["manifests"].at(-1);
  const { digest } = (await repository.readDocument(last.digest))["layers"][0];
  const text = (await repository.readBlob(digest)).toString();
  const hex = digest.replace("sha256:", "");
  const file = join(registry.storage, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
  await writeFile(file, text.replace("hello-app", "hullo-app"));
  expect(await webhook.refusal(`disk:${hello}`)).toMatch(/REGISTRY_INVALID_ANSWER/);
});
