import { createHash } from "node:crypto";
import { watch, type FSWatcher } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileUnreadable, type NixClosureError } from "./errors.ts";

/** The text of each file, in the order of the paths. */
export type FileContents<Paths extends readonly string[]> = { readonly [Index in keyof Paths]: string };

/** The clock of a watcher. */
export interface Timers {
  /** Calls `action` once after this time; the result cancels it. */
  after(milliseconds: number, action: () => void): () => void;
}

export interface WatchOptions<Paths extends readonly string[]> {
  /** Time between two looks at the files. */
  readonly intervalMs?: number;
  /** What is in force already. Without it the first look reports the files as new. */
  readonly initial?: FileContents<Paths>;
  /** Called when a file cannot be read; once until that changes. What was taken last stays in force. */
  readonly onReadError: (error: NixClosureError) => void;
  /** Called with what `onChange` threw; once for the same contents. */
  readonly onRejected: (error: unknown) => void;
  readonly timers?: Timers;
  /** Reads a file as text. */
  readonly read?: (path: string) => Promise<string>;
  /** Whether events of the file system bring the next look forward. Polling goes on in any case. */
  readonly hints?: boolean;
}

export interface FileWatcher {
  /** Looks at the files now; resolves when `onChange`, if it was called, is done. */
  check(): Promise<void>;
  /** Ends the watch. `onChange` is not called any more. */
  close(): void;
}

/** Mounted ConfigMaps and Secrets come a minute late anyway; controller-runtime's certwatcher polls every 10 s. */
const defaultIntervalMs = 5_000;
/** Several events belong to one change of a directory; the look comes after the last one. */
const hintDelayMs = 100;

/** Timers that do not keep the process alive. */
export const unrefTimers: Timers = {
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/**
 * Watches a group of files that belong together, and hands over their contents when these are new.
 *
 * Contents are compared, not times or inodes: Kubernetes changes a mounted ConfigMap or Secret by a symbolic link
 * two directories away. What `onChange` takes without an error is in force from then on. If it throws, the same
 * contents are offered again at each look until it takes them or the files change back: a certificate whose key
 * has not arrived yet is refused once and taken with its key.
 */
export function watchFiles<const Paths extends readonly string[]>(
  paths: Paths,
  onChange: (contents: FileContents<Paths>) => void | Promise<void>,
  options: WatchOptions<Paths>,
): FileWatcher {
  const {
    intervalMs = defaultIntervalMs,
    timers = unrefTimers,
    hints = true,
    initial,
    read: readText = readUtf8,
  } = options;
  let accepted = initial === undefined ? undefined : fingerprint(initial);
  let rejected: string | undefined;
  let readError: string | undefined;
  let closed = false;

  async function look(): Promise<void> {
    if (closed) return;
    const read = await readAll(paths, readText);
    if (closed) return;
    if ("failure" in read) {
      if (read.failure.message !== readError) options.onReadError(read.failure);
      readError = read.failure.message;
      return;
    }
    readError = undefined;
    const current = fingerprint(read.texts);
    if (current === accepted) {
      rejected = undefined;
      return;
    }
    // Twice the same, or somebody is writing just now: half a file, or one file of the old state and one of the new.
    const again = await readAll(paths, readText);
    if (closed || "failure" in again || fingerprint(again.texts) !== current) return;
    try {
      await onChange(read.texts);
      accepted = current;
      rejected = undefined;
    } catch (error) {
      if (current !== rejected) options.onRejected(error);
      rejected = current;
    }
  }

  // One look at a time. Who asks during a look gets the next one, because the files may have changed since it read them.
  let running: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;
  function check(): Promise<void> {
    waiting ??= running.then(next, next);
    return waiting;
  }
  function next(): Promise<void> {
    waiting = undefined;
    running = look();
    return running;
  }

  let cancelPoll = (): void => {};
  function poll(): void {
    cancelPoll = timers.after(intervalMs, () => {
      void check().then(() => {
        if (!closed) poll();
      });
    });
  }

  let cancelHint = (): void => {};
  const watchers = hints
    ? watchDirectories(paths, () => {
        cancelHint();
        if (!closed) cancelHint = timers.after(hintDelayMs, () => void check());
      })
    : [];

  poll();
  return {
    check,
    close() {
      closed = true;
      cancelPoll();
      cancelHint();
      for (const watcher of watchers) watcher.close();
    },
  };
}

const readUtf8 = (path: string): Promise<string> => readFile(path, "utf8");

async function readAll<Paths extends readonly string[]>(
  paths: Paths,
  readText: (path: string) => Promise<string>,
): Promise<{ texts: FileContents<Paths> } | { failure: NixClosureError }> {
  const texts: string[] = [];
  for (const path of paths) {
    try {
      texts.push(await readText(path));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { failure: fileUnreadable(path, why).causedBy(error) };
    }
  }
  // One text for each path, in their order: what the mapped type says of a tuple.
  return { texts: texts as unknown as FileContents<Paths> };
}

function fingerprint(texts: readonly string[]): string {
  // The lengths keep ["ab", "c"] and ["a", "bc"] apart.
  const hash = createHash("sha256").update(JSON.stringify(texts.map((text) => text.length)));
  for (const text of texts) hash.update(text);
  return hash.digest("base64");
}

/** Directories, because a symbolic link or a rename puts another file in place of the one that was watched. */
function watchDirectories(paths: readonly string[], onEvent: () => void): readonly FSWatcher[] {
  return [...new Set(paths.map((path) => dirname(path)))].flatMap((directory) => {
    try {
      const watcher = watch(directory, { persistent: false }, onEvent);
      // A hint that fails (directory removed, no inotify watches left) costs at most one interval.
      watcher.on("error", () => watcher.close());
      return [watcher];
    } catch {
      return [];
    }
  });
}
