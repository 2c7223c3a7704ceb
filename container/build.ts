import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runToEnd } from "./run.ts";
import { projectDirectory, stageImage } from "./stage.ts";

/** Programs that build from a Containerfile. */
export const builders = ["docker", "podman"] as const;

/** One of these programs. */
export type Builder = (typeof builders)[number];

/** What is built, and how. */
export interface ImageBuild {
  readonly tag: string;
  readonly builder: Builder;
  /** Absent: the Containerfile's own. */
  readonly base?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** On top of this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether the builder's output is shown. */
  readonly shown?: boolean;
  /** Called as each part begins. */
  readonly onStep?: (step: string) => void;
}

/**
 * Builds the image of webhook and registry from this clone.
 *
 * @throws Error in words if the builder is missing or not usable, or a step fails
 */
export async function buildImage(build: ImageBuild): Promise<void> {
  const { builder, onStep = () => {} } = build;
  const env = build.env ?? {};
  await checkBuilder(builder, env);
  const context = await mkdtemp(join(tmpdir(), "nix-closure-image-"));
  try {
    onStep("compiling, and installing the production dependencies of package-lock.json");
    await stageImage(context);
    onStep(`${builder} build`);
    const shown = build.shown === true;
    const { code, stdout, stderr } = await runToEnd(builder, [...buildArguments(build), context], {
      env,
      shown,
    });
    if (code === 0) return;
    const end = `${stdout}\n${stderr}`.trim().split("\n").slice(-20).join("\n");
    throw new Error(`${builder} build failed${end === "" ? "" : `:\n${end}`}\n${baseHint}`);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

const baseHint =
  "If the base image cannot be pulled, name another with --base: Debian with Node 24 or later.";

/** Arguments of `docker build` and `podman build`, without the context. */
export function buildArguments({ tag, base, labels = {}, shown }: ImageBuild): readonly string[] {
  return [
    "build",
    ...(shown === true ? [] : ["--quiet"]),
    "--tag",
    tag,
    "--file",
    join(projectDirectory, "Containerfile"),
    ...(base === undefined ? [] : ["--build-arg", `BASE=${base}`]),
    ...Object.entries(labels).flatMap(([name, value]) => ["--label", `${name}=${value}`]),
  ];
}

/** @throws Error in words if the builder cannot be used */
async function checkBuilder(builder: Builder, env: Readonly<Record<string, string>>): Promise<void> {
  const { code, stderr, error } = await runToEnd(builder, ["version"], { env });
  if (code === 0) return;
  throw new Error(builderTrouble(builder, error?.code, stderr));
}

/**
 * Why a builder cannot be used, and what to do.
 *
 * @param reason code of the error with which it did not start
 * @param stderr what it wrote otherwise
 */
export function builderTrouble(builder: Builder, reason: string | undefined, stderr: string): string {
  const other = builders.find((name) => name !== builder) ?? builder;
  if (reason === "ENOENT") return `${builder} is not installed; install it, or pass --builder ${other}`;
  const said = stderr.trim().split("\n").at(-1) ?? "";
  if (/permission denied/i.test(stderr)) return `${builder} may not be used by this user: ${said}`;
  if (/cannot connect|is the docker daemon running|connection refused/i.test(stderr))
    return `${builder}'s daemon does not answer: ${said}\nStart it, set DOCKER_HOST, or pass --builder ${other}.`;
  return `${builder} cannot be used: ${said === "" ? (reason ?? "it fails without a word") : said}`;
}
