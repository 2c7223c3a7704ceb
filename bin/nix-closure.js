#!/usr/bin/env node
// Runs nix-closure with Node 24 or later: the one that calls this, else the one that came with the project's packages.
// In a checkout it runs the source, in an installed package the compiled form.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const source = new URL("../src/main.ts", import.meta.url);
const main = existsSync(source) ? source : new URL("../dist/main.js", import.meta.url);

// The C library (glibc) has a heap for each few threads, and what is freed in one is of no use to the others: 30 to 40 MiB of
// a push. With this variable there is one, but it is read only where a process begins.
const isBounded = process.argv[2] === "push" && process.platform === "linux";
const { MALLOC_ARENA_MAX: arenas = "1", ...others } = process.env;
const env = isBounded ? { ...others, MALLOC_ARENA_MAX: arenas } : process.env;

if (Number(process.versions.node.split(".")[0]) >= 24) {
  if (isBounded && process.env.MALLOC_ARENA_MAX === undefined) {
    // Goes on from the start, as the same process.
    process.execve?.(
      process.execPath,
      [process.execPath, ...process.execArgv, ...process.argv.slice(1)],
      env,
    );
  }
  await import(main.href);
} else {
  const child = spawn(findNode(), [fileURLToPath(main), ...process.argv.slice(2)], { stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`nix-closure: cannot run Node 24: ${error.message}`);
    process.exit(1);
  });
  // As a shell counts a child that a signal has ended.
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

/** The Node of the per-platform packages in optionalDependencies. */
function findNode() {
  const require = createRequire(import.meta.url);
  for (const name of [
    `node-${process.platform}-${process.arch}`,
    `node-bin-${process.platform}-${process.arch}`,
  ]) {
    try {
      return require.resolve(`${name}/bin/node${process.platform === "win32" ? ".exe" : ""}`);
    } catch {
      // Not this platform's package; the next one may be.
    }
  }
  console.error("nix-closure: needs Node 24 or later; install it, or install with optional dependencies");
  process.exit(1);
}
