/** The commands of docs/air-gap.md, with the registry outside gone when those inside run; and of docs/push.md. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { DemoCacheServer, hello } from "../service/demo-cache.ts";
import { createClients } from "./clients.ts";
import { imagesOf } from "./closures.ts";
import { expectPulled, podmanStore, run, scratchDirectory, suite } from "./fixture.ts";
import { OrdinaryRegistry, type OrdinaryRegistryName } from "./ordinary-registry.ts";
import { type Block, blocksOf, PageShell } from "./page.ts";
import { PushMachine } from "./push-machine.ts";
import { nixClosure } from "./registry.ts";
import { ServedWebhook } from "./served-webhook.ts";

const outside = "registry.example.com";
const inside = "registry.internal";
const blocks = await blocksOf("air-gap.md");
const machine = await PushMachine.make(join(suite.directory, "air-gap"));
const podman = await podmanStore("air-gap");
const [skopeo] = createClients({ ...suite, podman });
const tag = hello.slice("/nix/store/".length).slice(0, 32);

/** A registry by a name that all programs take for this machine's. */
async function start(name: OrdinaryRegistryName, directory: string) {
  const registry = await OrdinaryRegistry.start(name, directory);
  onTestFinished(() => registry[Symbol.asyncDispose]());
  return { registry, host: registry.host.replace("127.0.0.1", "localhost") };
}

/** Commands of one section, and whether they are inside; one that is between both is outside. */
const commandsOf = (section: string): readonly { readonly block: Block; readonly isInside: boolean }[] =>
  blocks
    .filter((block) => block.section === section && block.language === "sh")
    .map((block) => ({ block, isInside: !block.text.includes(outside) }));

/** From one registry to the other, without a directory. */
const isDirect = ({ text }: Block): boolean => text.includes(outside) && text.includes(inside);

const copies = [
  { section: "With skopeo", from: "distribution", to: "docker-registry", digest: false },
  { section: "With oras", from: "docker-registry", to: "distribution", digest: true },
  { section: "With crane", from: "distribution", to: "distribution", digest: true },
] as const;

test("the page has nothing that is not run", () => {
  const run = new Set([...copies.map(({ section }) => section), "Checking afterwards"]);
  const commands = blocks.filter(({ language }) => language === "sh");
  expect(commands.length).toBeGreaterThan(8);
  expect(commands.filter(({ section }) => !run.has(section))).toEqual([]);
});

describe.each(copies)("$section", ({ section, from, to, digest }) => {
  test("a closure is found inside when there is no outside any more", async () => {
    const directory = await scratchDirectory();
    const [there, here] = [
      await start(from, join(directory, "outside")),
      await start(to, join(directory, "inside")),
    ];
    const pushed = await machine.push(`${there.host}/nix`, [hello]);
    const names = { [outside]: there.host, [inside]: here.host };
    const shell = await PageShell.make(join(directory, "shell"), names, [there.host, here.host]);
    const commands = commandsOf(section).filter(({ block }) => !isDirect(block));
    const ways = new Set(commands.map(({ isInside }) => isInside));
    expect(ways).toEqual(new Set([true, false]));
    for (const { block, isInside } of commands) {
      if (isInside) {
        await there.registry.stop();
        await rm(join(directory, "outside", "storage"), { recursive: true, force: true });
      }
      await shell.run(block);
    }
    await checkInside(shell, here.host, directory);
    const found = (await run(suite.programs.crane, "digest", `${here.host}/nix:${tag}`)).trim();
    expect(found === pushed.closures[0]?.digest).toBe(digest);
    // Who pushes the same there has nothing to send.
    const again = await machine.push(`${here.host}/nix`, [hello]);
    expect([again.sent.blobs, again.manifests, again.closures[0]?.unchanged]).toEqual([0, 0, true]);
  });
});

test("crane copies from one registry to the other alone", async () => {
  const direct = commandsOf("With crane")
    .map(({ block }) => block)
    .filter(isDirect);
  expect(direct).toHaveLength(1);
  const directory = await scratchDirectory();
  const there = await start("docker-registry", join(directory, "outside"));
  const here = await start("distribution", join(directory, "inside"));
  await machine.push(`${there.host}/nix`, [hello]);
  const names = { [outside]: there.host, [inside]: here.host };
  const shell = await PageShell.make(join(directory, "shell"), names, [there.host, here.host]);
  await shell.run(direct[0]!);
  await there.registry.stop();
  await checkInside(shell, here.host, directory);
});

/** What the page says of the webhook and of checking holds, and the webhook's references are pulled. */
async function checkInside(shell: PageShell, host: string, directory: string): Promise<void> {
  const yaml = blocks.find(({ language }) => language === "yaml");
  const config = await shell.write("nix-closure.yaml", {
    ...yaml!,
    text: yaml!.text.replace(/"shop-1:[^"]*"/, JSON.stringify(machine.publicKey)),
  });
  for (const { block } of commandsOf("Checking afterwards")) await shell.run(block);
  const { sources } = parse(shell.substitute(yaml!.text)) as { sources: Record<string, object> };
  const shop = { ...sources["shop"], publicKeys: [machine.publicKey] };
  await using webhook = await ServedWebhook.start(join(directory, "webhook"), { shop });
  const pod = await webhook.admit(hello);
  const resolved = await nixClosure(["resolve", "--json", "--config", config, hello]);
  const storePaths = (JSON.parse(resolved) as { paths: { storePath: string }[] }).paths.map(
    ({ storePath }) => storePath,
  );
  const images = imagesOf([{ pod, storePaths }]).filter(({ kind }) => kind !== "base");
  expect(images).toHaveLength(5);
  const scratch = await scratchDirectory();
  for (const [index, image] of images.entries()) {
    expect(image.reference.startsWith(`${host}/nix@sha256:`)).toBe(true);
    const listing = await skopeo!.pull(image.reference, join(scratch, String(index)));
    expectPulled(listing, image, skopeo!);
  }
}

describe("docs/push.md", () => {
  let commands: readonly Block[];
  beforeAll(async () => {
    commands = (await blocksOf("push.md")).filter(({ language }) => language === "sh");
  });

  test("can be followed from its top to its end with a real registry", async () => {
    const directory = await scratchDirectory();
    const { registry, host } = await start("distribution", join(directory, "registry"));
    await using cache = await DemoCacheServer.start();
    const names = { [outside]: host, "https://cache.example.com": cache.url };
    const shell = await PageShell.make(join(directory, "shell"), names, []);
    const said: string[] = [];
    for (const block of commands) said.push(await shell.run(block));
    expect(said.length).toBeGreaterThan(5);
    const tagsOf = async (repository: string): Promise<unknown> =>
      (await fetch(`${registry.origin}/v2/${repository}/tags/list`)).json();
    expect(await tagsOf("shop")).toEqual({ name: "shop", tags: [tag] });
    // Those of the name, beside the base image and the closures of both systems.
    const ofName = [/^shop-1\.2$/, /\.store$/, /\.profile$/].map((end): unknown =>
      expect.stringMatching(end),
    );
    const { tags } = (await tagsOf("nix")) as { readonly tags: readonly string[] };
    expect(tags).toHaveLength(6);
    expect(tags).toEqual(expect.arrayContaining([tag, "base-1", ...ofName]));
  });
});
