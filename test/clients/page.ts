import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { installFakeNix } from "../push/fake-nix.ts";
import { run } from "../programs/command.ts";
import { suite } from "./fixture.ts";
import { launcher } from "./push-machine.ts";

/** A fenced block of a page. */
export interface Block {
  readonly language: string;
  /** The heading above it. */
  readonly section: string;
  readonly text: string;
}

/** The fenced blocks of a page below docs, in their order. */
export async function blocksOf(page: string): Promise<readonly Block[]> {
  const text = await readFile(new URL(`../../docs/${page}`, import.meta.url), "utf8");
  const blocks: Block[] = [];
  let section = "";
  for (const [, heading, language, body] of text.matchAll(/^#+ (.*)$|^```(\w+)\n([^]*?)^```$/gm)) {
    if (heading !== undefined) section = heading;
    else blocks.push({ language: language ?? "", section, text: body ?? "" });
  }
  return blocks;
}

/** A directory in which the commands of a page run, with the programs that they name and no others of the user. */
export class PageShell {
  readonly directory: string;
  readonly #names: Readonly<Record<string, string>>;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(directory: string, names: Readonly<Record<string, string>>) {
    this.directory = directory;
    this.#names = names;
    const own = {
      XDG_CACHE_HOME: join(directory, "cache"),
      NODE_COMPILE_CACHE: join(suite.directory, "compiled"),
    };
    const path = `${join(directory, "bin")}:${process.env["PATH"]}`;
    this.#env = {
      ...suite.env,
      HOME: directory,
      DOCKER_CONFIG: directory,
      REGISTRY_AUTH_FILE: "",
      ...own,
      PATH: path,
    };
  }

  /**
   * @param directory is made
   * @param names what stands in the page, and what for
   * @param plainHosts registries that skopeo may speak plain HTTP to; the others do with this machine by themselves
   */
  static async make(
    directory: string,
    names: Readonly<Record<string, string>>,
    plainHosts: readonly string[],
  ): Promise<PageShell> {
    const bin = join(directory, "bin");
    await mkdir(bin, { recursive: true });
    await installFakeNix(bin);
    const npx = join(bin, "npx");
    await writeFile(npx, `#!/bin/sh\nshift\nexec '${process.execPath}' '${launcher}' "$@"\n`);
    await chmod(npx, 0o755);
    const { crane, oras, distribution } = suite.programs;
    for (const [name, program] of Object.entries({ crane, oras, registry: distribution }))
      await symlink(program, join(bin, name));
    const containers = join(directory, ".config", "containers");
    await mkdir(containers, { recursive: true });
    const entries = plainHosts.map((host) => `[[registry]]\nlocation = "${host}"\ninsecure = true\n`);
    await writeFile(join(containers, "registries.conf"), entries.join("\n"));
    return new PageShell(directory, names);
  }

  /** What a page says, with this machine's names. */
  substitute(text: string): string {
    return Object.entries(this.#names).reduce((all, [from, to]) => all.replaceAll(from, to), text);
  }

  /** Runs the commands of a block as they stand there; throws with what they say if one of them fails. @returns standard output */
  run(block: Block): Promise<string> {
    const script = `set -eu\n${this.substitute(block.text)}`;
    return run("bash", ["-c", script], { cwd: this.directory, env: this.#env });
  }

  /** Writes what a block of YAML says. */
  async write(name: string, block: Block): Promise<string> {
    const file = join(this.directory, name);
    await writeFile(file, this.substitute(block.text));
    return file;
  }
}
