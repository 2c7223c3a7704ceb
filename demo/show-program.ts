import { join } from "node:path";
import { styleText } from "node:util";
import type { App } from "./apps.ts";
import { freePort } from "./configuration.ts";
import { firstProgram } from "./first-program.ts";
import type { InsideEvent } from "./inside.ts";
import type { ContainerImages } from "./mounts.ts";
import { duration } from "./output.ts";
import type { PulledImage } from "./registry-client.ts";
import { runProgram } from "./run.ts";
import { findSandbox, type Sandbox } from "./sandbox.ts";
import type { Stage } from "./stage.ts";

/** A container's file system on the disk. */
export interface UnpackedContainer {
  readonly root: string;
  readonly container: ContainerImages;
  /** The container's own image. */
  readonly base: PulledImage | undefined;
}

/**
 * Runs the app's program as the Pod's container would, and shows what it does; where the machine does not allow it, says
 * why.
 *
 * @throws Error if the program fails
 */
export async function showProgram(stage: Stage, app: App, unpacked: UnpackedContainer): Promise<void> {
  const { output, scratch, signal } = stage;
  const { root, container, base } = unpacked;
  const command = await commandOf(app, unpacked);
  const port = app.showing.kind === "server" ? app.showing.port : undefined;
  if (command === undefined) return notRun(stage, "there is no program in its bin");
  const sandbox = await findUsableSandbox(scratch, port);
  if (typeof sandbox === "string") return notRun(stage, sandbox);
  const user = base?.user ?? "0";
  const env = {
    ...Object.fromEntries((base?.env ?? []).map((entry) => entry.split(/=(.*)/s, 2))),
    ...container.env,
  };
  output.step(`Run with the unpacked tree as its root, as user ${user}`);
  output.line(styleText("dim", `PATH=${env["PATH"] ?? ""}`));
  output.line(styleText("bold", `$ ${command.map(quoted).join(" ")}`));

  const lines: string[] = [];
  let end: InsideEvent | undefined;
  const onEvent = (event: InsideEvent): void => {
    if (event.event === "line") {
      lines.push(event.text);
      // A server's log is of interest only if it fails.
      if (port === undefined) output.line(event.text);
    } else if (event.event === "page") {
      const where = sandbox.ownNetwork ? "inside a network of its own" : "on this machine's loopback";
      output.line(
        `GET http://127.0.0.1:${port}/ ${where}: ${event.server}, up in ${duration(event.milliseconds)}`,
      );
      for (const line of event.text.trimEnd().split("\n")) output.line(line);
    } else end = event;
  };
  await runProgram(sandbox, { root, command, env, port, user }, onEvent, signal);
  if (end?.event !== "ended") return;
  if (end.stopped) output.line("stopped");
  else if (end.code !== 0 && app.showing.kind !== "first-program") {
    throw new Error(
      `${command[0]} ended with ${end.code ?? "a signal"}: ${lines.at(-1) ?? "without a word"}`,
    );
  }
}

function notRun({ output }: Stage, why: string): void {
  output.step("Not run");
  output.line(`${why}; the unpacked tree was checked above`);
}

/** The Pod's command, else the first program of the app, asked for its version; undefined if there is none. */
async function commandOf(
  { storePath, showing }: App,
  { root, container }: UnpackedContainer,
): Promise<readonly string[] | undefined> {
  if (showing.kind !== "first-program") return showing.command;
  const profile = container.links.find(({ target }) => target === storePath)?.mountPath ?? storePath;
  const program = await firstProgram(root, join(storePath, "bin"));
  return program === undefined ? undefined : [join(profile, program.slice(storePath.length)), "--version"];
}

/** A sandbox, or why there is none for a server at this port. */
async function findUsableSandbox(scratch: string, port: number | undefined): Promise<Sandbox | string> {
  const sandbox = await findSandbox(scratch);
  if (typeof sandbox === "string" || port === undefined || sandbox.ownNetwork) return sandbox;
  if ((await freePort(port)) === port) return sandbox;
  return `network namespaces are not allowed here, and port ${port} is taken`;
}

/** A word as a person would type it into a shell; none of ours has a single quote. */
function quoted(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word}'`;
}
