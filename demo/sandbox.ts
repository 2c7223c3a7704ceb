import { spawn } from "node:child_process";
import { access, chmod, constants, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { capture } from "./child.ts";

/** How programs can be run from an unpacked root on this machine. */
export interface Sandbox {
  /** The command that enters new namespaces of mounts and processes, and runs the command that is appended to it. */
  readonly enter: readonly string[];
  /** Whether the namespaces have a loopback device of their own. */
  readonly ownNetwork: boolean;
  /** The command, for use inside, that changes the root and the user and runs the command that is appended to it. */
  changeRoot(root: string, user: string): readonly string[];
}

/** Architectures, in Node's words, that the demo's programs are for. */
const programArchitecture = "x64";

const namespaces = ["--mount", "--pid", "--fork", "--kill-child"] as const;

/**
 * Finds out how this machine lets us run programs from a root of their own.
 *
 * @param scratch a directory on the file system that the root will be on.
 * @returns why not, in a line, where it does not.
 */
export async function findSandbox(scratch: string): Promise<Sandbox | string> {
  if (process.platform !== "linux" || process.arch !== programArchitecture) {
    return `its programs are for x86_64-linux, this machine is ${process.platform} on ${process.arch}`;
  }
  const [unshare, chroot] = [await findProgram("unshare"), await findProgram("chroot")];
  if (unshare === undefined) return "there is no unshare on this machine (package util-linux)";
  if (!(await runsPrograms(scratch))) return `${scratch} is mounted noexec; set TMPDIR to another directory`;

  let why = "";
  for (const { asRoot, ownNetwork } of waysToTry(chroot !== undefined)) {
    const enter = [
      unshare,
      ...namespaces,
      ...(asRoot ? [] : ["--map-root-user"]),
      ...(ownNetwork ? ["--net"] : []),
      "--",
    ];
    const changeRoot = (root: string, user: string): readonly string[] =>
      asRoot
        ? [chroot ?? "", `--userspec=${user}:${user}`, "--groups=", root]
        : // The only user there is inside is root; a second namespace gives it another number.
          [unshare, "--user", `--map-user=${user}`, `--map-group=${user}`, `--root=${root}`, "--wd=/", "--"];
    // The same calls with the machine's own root.
    const attempt = `${ownNetwork ? "ip link set lo up && " : ""}mount -t tmpfs none "$0" && exec "$@"`;
    const [file, ...args] = [...enter, "sh", "-c", attempt, scratch, ...changeRoot("/", "65532"), "true"];
    const { code, stderr, error } = await capture(spawn(file, args, { stdio: ["ignore", "ignore", "pipe"] }));
    if (code === 0) return { enter, ownNetwork, changeRoot };
    why = stderr.trim().split("\n")[0]?.replace("unshare: ", "") ?? error?.message ?? "";
  }
  return `namespaces are not allowed here (${why})`;
}

/** The best way first: as root without a user namespace, with a network of its own. */
function waysToTry(chroot: boolean): readonly { readonly asRoot: boolean; readonly ownNetwork: boolean }[] {
  const users = process.getuid?.() === 0 && chroot ? [true, false] : [false];
  return users.flatMap((asRoot) => [true, false].map((ownNetwork) => ({ asRoot, ownNetwork })));
}

/** The path of a program: it is also called with an environment whose PATH is another one. */
async function findProgram(name: string): Promise<string | undefined> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const file = join(directory, name);
    if (directory !== "" && (await isExecutable(file))) return file;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Whether the file system is mounted without noexec. */
async function runsPrograms(directory: string): Promise<boolean> {
  const file = join(directory, "probe");
  await writeFile(file, "#!/bin/sh\n");
  await chmod(file, 0o700);
  const { code } = await capture(spawn(file, { stdio: "ignore" }));
  await rm(file);
  return code === 0;
}
