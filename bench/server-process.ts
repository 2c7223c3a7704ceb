import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";

/**
 * One core for the servers that are measured, another for the client that measures them, so that neither takes the
 * other's time. On a machine with one core they are the same.
 */
export const serverCore = availableParallelism() - 1;
export const clientCore = 0;

/** How long a server may take until it listens. Milliseconds. */
const startLimit = 30_000;

/** The words of a command that runs on one core. */
export function pinned(core: number, command: readonly string[]): readonly [string, ...string[]] {
  return ["taskset", "--cpu-list", String(core), ...command];
}

/** A server in a process of its own. */
export class ServerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly port: number;
  #errors = "";

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#errors += text));
  }

  /**
   * Starts a server and waits until it listens.
   *
   * @param port of 127.0.0.1, where it will listen
   * @param options.core that it runs on, by default {@link serverCore}; "any": wherever there is time
   * @throws Error with what it wrote to standard error, if it ends before it listens
   */
  static async start(
    command: readonly string[],
    port: number,
    options: { readonly core?: number | "any"; readonly env?: Readonly<Record<string, string>> } = {},
  ): Promise<ServerProcess> {
    const { core = serverCore } = options;
    const [file = "", ...args] = core === "any" ? command : pinned(core, command);
    const child = spawn(file, args, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...options.env },
    });
    const server = new ServerProcess(child, port);
    let failure: Error | undefined;
    child.once("error", (error) => (failure = error));
    const limit = performance.now() + startLimit;
    while (!(await isListening(port))) {
      if (failure !== undefined || child.exitCode !== null || performance.now() > limit) {
        await server[Symbol.asyncDispose]();
        throw new Error(`${command.join(" ")} does not serve: ${failure?.message ?? server.#errors}`);
      }
      await delay(20);
    }
    return server;
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error("the server did not start");
    return this.#child.pid;
  }

  /** Processor time that it has used so far, in seconds. */
  cpuSeconds(): number {
    // After the name in parentheses, fields 14 and 15 in hundredths of a second (proc_pid_stat(5), sysconf _SC_CLK_TCK).
    const fields = readFileSync(`/proc/${this.pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null)
      return;
    const ended = once(this.#child, "exit");
    // Nothing that it does at its end is of interest.
    this.#child.kill("SIGKILL");
    await ended;
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
