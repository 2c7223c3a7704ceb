/** The programs of the closures, run by podman from image volumes as the container of an injected Pod would be. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { run as runCommand } from "../programs/command.ts";
import { imagesOf, type InjectedPod } from "./closures.ts";
import { podmanStore, suite } from "./fixture.ts";
import { runPrograms } from "./run-pods.ts";

const store = await podmanStore("run");
let env: Readonly<Record<string, string>> = { ...suite.env, ...store.env };
const podman = (...args: readonly string[]): Promise<string> => runCommand("podman", args, { env });

/** The file that docs/limits.md gives for nodes with CRI-O, whose library podman has, with the port of this registry. */
async function registriesFile(): Promise<string> {
  const page = await readFile(new URL("../../docs/limits.md", import.meta.url), "utf8");
  const [, entry = ""] = /^```toml\n(\[\[registry\]\]\n.*?)^```$/ms.exec(page) ?? [];
  expect(entry).toContain('location = "localhost:5417"');
  const file = join(store.directory, "registries.conf");
  await writeFile(file, entry.replace("localhost:5417", suite.host));
  return file;
}

beforeAll(async () => {
  const [first = "", ...rest] = imagesOf(suite.pods.filter(isOfDemo)).map(({ reference }) => reference);
  await expect(podman("pull", first)).rejects.toThrow(/server gave HTTP response to HTTPS client/);
  env = { ...env, CONTAINERS_REGISTRIES_CONF: await registriesFile() };
  // A kubelet pulls every image before it makes the container, too.
  for (const reference of [first, ...rest]) await podman("pull", "--quiet", reference);
}, 120_000);

afterEach(() => podman("rm", "--all", "--force", "--time", "0"));

const isOfDemo = ({ closure }: InjectedPod): boolean => closure !== "edges";

describe.skipIf(process.arch !== "x64").each(suite.pods.filter(isOfDemo))(
  "$closure, $strategy, whose programs are for amd64",
  (pod) => {
    test("runs", () => runPrograms(podman, pod));
  },
);
