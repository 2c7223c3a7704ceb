/**
 * Keeps two processes from using one directory. Each has a socket in it, of a name that is used once; the kernel closes
 * it when its process ends, however that ends, and it tells processes of different containers apart, which process ids
 * do not.
 *
 * A process puts its socket there first and looks at the others after that. So of two, one at least sees the other, and
 * whoever sees another that holds the directory, or wants it and has the smaller name, gives up.
 */
import { randomUUID } from "node:crypto";
import { open, readdir, rename, unlink } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { blobStoreInUse } from "../errors.ts";
import { diskError } from "./disk-error.ts";

/** A directory that is ours alone until it is released. */
export interface DirectoryLock {
  release(): Promise<void>;
}

/** What the owner of a socket answers; no answer is that of one who is busy, or stopped. */
const answers = { held: "h", wanted: "w" } as const;
type Owner = keyof typeof answers | "gone";

/** Of a socket that does not answer yet. */
const newSuffix = ".new";
const lockPattern = /^lock-[0-9a-f-]{36}(\.new)?$/;
/** How long an owner is waited for (milliseconds). */
const answerTimeout = 1_000;
/** Another one that wants the directory too is asked again after so long (milliseconds), so many times. */
const askAgainAfter = 20;
const maxQuestions = 100;

/**
 * Takes the lock of a directory.
 *
 * @throws blobStoreInUse, diskFailed
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  try {
    return await takeLock(directory);
  } catch (error) {
    throw diskError(`lock ${directory}`, error);
  }
}

async function takeLock(directory: string): Promise<DirectoryLock> {
  // The names of sockets are short (sun_path: 108 bytes); this one stands for any directory.
  const handle = process.platform === "linux" ? await open(directory) : undefined;
  const place = handle === undefined ? directory : `/proc/self/fd/${handle.fd}`;
  const name = `lock-${randomUUID()}`;
  let state: keyof typeof answers = "wanted";
  const server = createServer((connection) => {
    connection.on("error", () => undefined);
    connection.end(answers[state]);
  });
  const release = async (): Promise<void> => {
    await unlink(join(directory, name)).catch(() => undefined);
    await close(server);
  };
  try {
    await listen(server, join(place, `${name}${newSuffix}`));
    // Nobody sees it before it answers.
    await rename(join(place, `${name}${newSuffix}`), join(place, name));
    if (!(await isFirst(place, name))) throw blobStoreInUse(directory);
    state = "held";
    return { release };
  } catch (error) {
    await release();
    throw error;
  } finally {
    await handle?.close();
  }
}

/** Whether nobody else has the directory, and all who want it as well will see us. */
async function isFirst(place: string, own: string): Promise<boolean> {
  for (let question = 0; question < maxQuestions; question++) {
    let mustAskAgain = false;
    for (const name of await readdir(place)) {
      if (!lockPattern.test(name) || name === own) continue;
      const owner = await askOwner(join(place, name));
      // Of a start that was ended in its middle, or that is a moment behind us.
      if (name.endsWith(newSuffix) && owner !== "gone") continue;
      if (owner === "held" || (owner === "wanted" && name < own)) return false;
      // It has seen us and will give up, or has not and will say that it holds the directory.
      if (owner === "wanted") mustAskAgain = true;
      else await unlink(join(place, name)).catch(() => undefined);
    }
    if (!mustAskAgain) return true;
    await delay(askAgainAfter);
  }
  return false;
}

async function askOwner(socket: string): Promise<Owner> {
  const { promise, resolve } = Promise.withResolvers<Owner>();
  const connection = connect({ path: socket });
  connection.setTimeout(answerTimeout, () => resolve("held"));
  connection.once("data", (answer) => resolve(answer.toString() === answers.wanted ? "wanted" : "held"));
  // It ended between our connecting and its answer.
  connection.once("end", () => resolve("gone"));
  connection.once("error", (error: NodeJS.ErrnoException) => {
    // Refused: nobody listens. Other errors are of somebody's whom we cannot ask.
    resolve(["ECONNREFUSED", "ENOENT", "ECONNRESET"].includes(error.code ?? "") ? "gone" : "held");
  });
  try {
    return await promise;
  } finally {
    connection.destroy();
  }
}

async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ path }, resolve);
  await promise;
  // It is no reason for a process to go on.
  server.unref();
}

async function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  await promise;
}
