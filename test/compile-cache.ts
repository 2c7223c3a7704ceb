import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll } from "vitest";

const given = process.env["NODE_COMPILE_CACHE"];

/**
 * Where Node keeps compiled modules, for worker threads and processes that a test starts: only the first one takes long
 * to start. It also keeps the WebAssembly that strips types out of the others, whose coming and going in threads can
 * end a process (https://github.com/nodejs/node/issues/64500).
 */
export const compileCache = given ?? mkdtempSync(join(tmpdir(), "nix-closure-compiled-"));
process.env["NODE_COMPILE_CACHE"] = compileCache;
if (given === undefined) afterAll(() => rm(compileCache, { recursive: true, force: true }));
