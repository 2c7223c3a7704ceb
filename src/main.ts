import { runCli } from "./cli/app.ts";

const signals = ["SIGINT", "SIGTERM"] as const;
/** A terminal sends SIGINT to a launcher and to us, and the launcher hands its own on. Milliseconds. */
const sameSignalMs = 500;

// A reader that has seen enough, such as head, is no error. The default would be a stack trace.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

await runCli(process.argv.slice(2), {
  process: {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    get exitCode() {
      return process.exitCode ?? null;
    },
    set exitCode(code) {
      process.exitCode = code ?? undefined;
    },
  },
  stdin: process.stdin,
  progressTo: process.stderr.isTTY ? (text) => void process.stderr.write(text) : undefined,
  ended: () =>
    new Promise((resolve) => {
      let first: number | undefined;
      for (const signal of signals) {
        process.on(signal, () => {
          // The second one ends the process at once.
          if (first !== undefined && Date.now() - first > sameSignalMs) process.exit(1);
          first ??= Date.now();
          resolve(signal);
        });
      }
    }),
});
