/** The commands of docs/registries.md. */
import { copyFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { hello, nginx, python } from "../service/demo-cache.ts";
import { CollectedRegistry, tagOf } from "./collected-registry.ts";
import { scratchDirectory, suite } from "./fixture.ts";
import { OrdinaryRegistry, user } from "./ordinary-registry.ts";
import { type Block, blocksOf, PageShell } from "./page.ts";
import { PushMachine } from "./push-machine.ts";
import { tagsOf } from "./pushed-index.ts";

const machine = await PushMachine.make(join(suite.directory, "registries-page"));
const commands = (await blocksOf("registries.md")).filter(({ language }) => language === "sh");

test.for([
  { name: "distribution", section: "distribution 3", left: "nothing" },
  { name: "docker-registry", section: "docker-registry 2.8", left: "the images" },
] as const)("the commands for $name leave of a closure $left, and of the others all", async (row) => {
  const { name, section, left } = row;
  const collected = await CollectedRegistry.make(name, machine);
  const { registry, repository } = collected;
  const host = registry.host.replace("127.0.0.1", "localhost");
  const shell = await PageShell.make(
    await scratchDirectory(),
    {
      "registry.example.com": host,
      [tagOf(hello)]: tagOf(nginx),
      "/etc/distribution/config.yml": registry.configFile,
      "/etc/docker/registry/config.yml": registry.configFile,
    },
    [],
  );
  const lines = commands.filter((block) => block.section === section).flatMap(linesOf);
  expect(lines).toHaveLength(2);
  for (const line of lines) {
    const isCollection = line.text.includes("garbage-collect");
    if (isCollection) await registry.stop();
    await shell.run(line);
    if (isCollection) await registry.resume();
  }
  expect(await tagsOf(repository)).toEqual([tagOf(python)]);
  expect(await collected.lost()).toEqual([]);
  expect(collected.leftBlobs()).toHaveLength(left === "nothing" ? 0 : collected.unneeded.blobs.size);
  await collected.pushAgain();
});

/** Each line of a block as a block. */
function linesOf(block: Block): readonly Block[] {
  return block.text
    .trim()
    .split("\n")
    .map((text) => ({ ...block, text }));
}

test.for([
  { section: "Credentials", options: { login: true } },
  { section: "TLS", options: { tls: true } },
])("the commands of the section $section push a closure", async ({ section, options }) => {
  const directory = await scratchDirectory();
  const registry = await OrdinaryRegistry.start("distribution", join(directory, "registry"), options);
  onTestFinished(() => registry[Symbol.asyncDispose]());
  const host = registry.host.replace("127.0.0.1", "localhost");
  const shell = await PageShell.make(
    join(directory, "shell"),
    { "registry.example.com": host, "--username ci": `--username ${user.name}` },
    [],
  );
  await symlink(hello, join(shell.directory, "result"));
  await copyFile(machine.keyFile, join(shell.directory, "shop-1.secret"));
  await writeFile(join(shell.directory, "password"), user.password);
  if (registry.caFile !== undefined) await copyFile(registry.caFile, join(shell.directory, "ca.pem"));
  const [block, ...more] = commands.filter((each) => each.section === section);
  expect(more).toEqual([]);
  expect(await shell.run(block!)).toContain(`reference  ${host}/nix:${tagOf(hello)}`);
});

test("the page has no commands but these", () => {
  const sections = ["Credentials", "TLS", "distribution 3", "docker-registry 2.8"];
  expect(commands.filter(({ section }) => !sections.includes(section))).toEqual([]);
  expect(new Set(commands.map(({ section }) => section)).size).toBe(sections.length);
});
