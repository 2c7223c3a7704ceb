import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { watchFiles, type FileWatcher, type Timers, type WatchOptions } from "../src/reload.ts";

/** A clock that moves when it is told to. */
class FakeTimers implements Timers {
  readonly pending = new Map<() => void, number>();

  after(milliseconds: number, action: () => void): () => void {
    this.pending.set(action, milliseconds);
    return () => this.pending.delete(action);
  }

  /** Runs out every timer of this length. */
  expire(milliseconds: number): void {
    for (const [action, length] of new Map(this.pending)) {
      if (length !== milliseconds) continue;
      this.pending.delete(action);
      action();
    }
  }

  lengths(): readonly number[] {
    return [...this.pending.values()];
  }
}

const pollMs = 5_000;
const hintMs = 100;
let directory: string;
let timers: FakeTimers;
let watcher: FileWatcher | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "nix-closure-reload-"));
  timers = new FakeTimers();
});
afterEach(async () => {
  watcher?.close();
  watcher = undefined;
  await rm(directory, { recursive: true });
});

const path = (name: string) => join(directory, name);
const write = (name: string, text: string) => writeFile(path(name), text);

/** Watches `a` and `b`; the caller's side is three spies. */
function watchPair(options: Partial<WatchOptions<readonly [string, string]>> = {}) {
  const onChange = vi.fn<(contents: readonly [string, string]) => void | Promise<void>>();
  const onReadError = vi.fn();
  const onRejected = vi.fn();
  watcher = watchFiles([path("a"), path("b")], onChange, {
    timers,
    hints: false,
    onReadError,
    onRejected,
    ...options,
  });
  return { watcher, onChange, onReadError, onRejected };
}

describe("what is handed over", () => {
  beforeEach(async () => {
    await write("a", "a1");
    await write("b", "b1");
  });

  test("the first look reports the files, in the order of the paths; the second nothing", async () => {
    const { watcher, onChange } = watchPair();
    await watcher.check();
    await watcher.check();
    expect(onChange.mock.calls).toEqual([[["a1", "b1"]]]);
  });

  test("what the caller started with is not reported", async () => {
    const { watcher, onChange } = watchPair({ initial: ["a1", "b1"] });
    await watcher.check();
    expect(onChange).not.toHaveBeenCalled();
  });

  test("a change between the caller's own reading and the first look is not lost", async () => {
    const { watcher, onChange } = watchPair({ initial: ["a0", "b1"] });
    await watcher.check();
    expect(onChange).toHaveBeenCalledExactlyOnceWith(["a1", "b1"]);
  });

  test("a change of one file brings the contents of all", async () => {
    const { watcher, onChange } = watchPair({ initial: ["a1", "b1"] });
    await write("b", "b2");
    await watcher.check();
    expect(onChange).toHaveBeenCalledExactlyOnceWith(["a1", "b2"]);
  });

  test("the same contents in a new file are no change", async () => {
    const { watcher, onChange } = watchPair({ initial: ["a1", "b1"] });
    await write("a.new", "a1");
    await rename(path("a.new"), path("a"));
    await watcher.check();
    expect(onChange).not.toHaveBeenCalled();
  });

  test("text that moves from one file to the other is a change", async () => {
    const { watcher, onChange } = watchPair({ initial: ["a1", "b1"] });
    await write("a", "a");
    await write("b", "1b1");
    await watcher.check();
    expect(onChange).toHaveBeenCalledExactlyOnceWith(["a", "1b1"]);
  });

  test("a change of the same length, with the old time, is a change", async () => {
    const { watcher, onChange } = watchPair({ initial: ["a1", "b1"] });
    const { atime, mtime } = await stat(path("a"));
    await write("a", "a2");
    await utimes(path("a"), atime, mtime);
    await watcher.check();
    expect(onChange).toHaveBeenCalledExactlyOnceWith(["a2", "b1"]);
  });
});

test("a Secret that Kubernetes swaps by its ..data link is noticed", async () => {
  // The layout of k8s.io/kubernetes/pkg/volume/util/atomic_writer.go.
  const publish = async (version: string, a: string, b: string) => {
    await mkdir(path(version));
    await write(join(version, "a"), a);
    await write(join(version, "b"), b);
    await symlink(version, path("..data_tmp"));
    await rename(path("..data_tmp"), path("..data"));
  };
  await publish("..2026_1", "a1", "b1");
  await symlink("..data/a", path("a"));
  await symlink("..data/b", path("b"));
  const { watcher, onChange } = watchPair({ initial: ["a1", "b1"] });
  await publish("..2026_2", "a2", "b2");
  await watcher.check();
  expect(onChange).toHaveBeenCalledExactlyOnceWith(["a2", "b2"]);
});

describe("what the caller refuses", () => {
  beforeEach(async () => {
    await write("a", "1");
    await write("b", "1");
  });

  /** Refuses files that do not belong together, as a certificate and a key. */
  function watchMatching() {
    const spies = watchPair({ initial: ["1", "1"] });
    const force: (readonly [string, string])[] = [];
    spies.onChange.mockImplementation(async ([a, b]) => {
      if (a !== b) throw new Error(`${a} is not ${b}`);
      force.push([a, b]);
    });
    return { ...spies, force };
  }

  test("a pair of which one half has come is taken with the other half", async () => {
    const { watcher, onRejected, force } = watchMatching();
    await write("a", "2");
    await watcher.check();
    expect(force).toEqual([]);
    expect(onRejected).toHaveBeenCalledExactlyOnceWith(new Error("2 is not 1"));
    await write("b", "2");
    await watcher.check();
    expect(force).toEqual([["2", "2"]]);
    expect(onRejected).toHaveBeenCalledOnce();
  });

  test("is offered again at every look, and reported once", async () => {
    const { watcher, onChange, onRejected } = watchMatching();
    await write("a", "2");
    for (let look = 0; look < 3; look++) await watcher.check();
    expect(onChange).toHaveBeenCalledTimes(3);
    expect(onRejected).toHaveBeenCalledOnce();
  });

  test("is taken later, without a change of the files, if the caller has changed its mind", async () => {
    const { watcher, onChange, onRejected } = watchPair({ initial: ["1", "1"] });
    onChange.mockRejectedValueOnce(new Error("not now"));
    await write("a", "2");
    await watcher.check();
    await watcher.check();
    await watcher.check();
    expect(onChange).toHaveBeenCalledTimes(2);
    expect(onRejected).toHaveBeenCalledOnce();
  });

  test("is forgotten when the files change back, and reported anew when it returns", async () => {
    const { watcher, onChange, onRejected } = watchMatching();
    for (const text of ["2", "1", "2"]) {
      await write("a", text);
      await watcher.check();
    }
    expect(onChange).toHaveBeenCalledTimes(2);
    expect(onRejected).toHaveBeenCalledTimes(2);
  });

  test("other contents that are refused too are reported too", async () => {
    const { watcher, onRejected } = watchMatching();
    for (const text of ["2", "3"]) {
      await write("a", text);
      await watcher.check();
    }
    expect(onRejected.mock.calls).toEqual([[new Error("2 is not 1")], [new Error("3 is not 1")]]);
  });
});

test("a file that is being written is left for the next look", async () => {
  const states = ["half", "whole", "whole", "whole"];
  const read = async (name: string) => (name === path("a") ? (states.shift() ?? "") : "1");
  const { watcher, onChange, onRejected } = watchPair({ initial: ["1", "1"], read });
  await watcher.check();
  expect(onChange).not.toHaveBeenCalled();
  await watcher.check();
  expect(onChange).toHaveBeenCalledExactlyOnceWith(["whole", "1"]);
  expect(onRejected).not.toHaveBeenCalled();
});

describe("what cannot be read", () => {
  test("is reported once, with the file's name, and changes nothing until it is back", async () => {
    await write("a", "1");
    await write("b", "1");
    const { watcher, onChange, onReadError } = watchPair({ initial: ["1", "1"] });
    await rm(path("b"));
    await watcher.check();
    await watcher.check();
    expect(onReadError).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ code: "FILE_UNREADABLE", message: expect.stringContaining(path("b")) }),
    );
    await write("b", "1");
    await watcher.check();
    expect(onChange).not.toHaveBeenCalled();
    await rm(path("b"));
    await watcher.check();
    expect(onReadError).toHaveBeenCalledTimes(2);
  });

  test("is read as soon as it is there, if it was missing from the start", async () => {
    const { watcher, onChange, onReadError } = watchPair();
    await watcher.check();
    await write("a", "1");
    await watcher.check();
    await write("b", "1");
    await watcher.check();
    expect(onReadError.mock.calls.map(([error]) => error.message.includes(path("a")))).toEqual([true, false]);
    expect(onChange).toHaveBeenCalledExactlyOnceWith(["1", "1"]);
  });
});

describe("the clock", () => {
  beforeEach(async () => {
    await write("a", "1");
    await write("b", "1");
  });

  test("brings a look every five seconds by default, each after the one before", async () => {
    const { onChange } = watchPair({ initial: ["1", "1"] });
    for (const text of ["2", "3"]) {
      expect(timers.lengths()).toEqual([pollMs]);
      await write("a", text);
      timers.expire(pollMs);
      expect(timers.lengths()).toEqual([]);
      await vi.waitUntil(() => timers.lengths().length === 1);
      expect(onChange).toHaveBeenLastCalledWith([text, "1"]);
    }
  });

  test("goes on after a refusal and after a file that cannot be read", async () => {
    const { onChange, onReadError, onRejected } = watchPair({ intervalMs: 7 });
    onChange.mockRejectedValueOnce(new Error("refused"));
    timers.expire(7);
    await vi.waitUntil(() => timers.lengths().length === 1);
    expect(onRejected).toHaveBeenCalledOnce();
    await rm(path("a"));
    timers.expire(7);
    await vi.waitUntil(() => timers.lengths().length === 1);
    expect(onReadError).toHaveBeenCalledOnce();
  });

  test("is stopped by close", async () => {
    const { watcher, onChange } = watchPair();
    watcher.close();
    await watcher.check();
    expect(onChange).not.toHaveBeenCalled();
    expect(timers.lengths()).toEqual([]);
  });

  test.each([1, 2, 3, 4])("is stopped by a close during the %s. reading of a look", async (at) => {
    let readings = 0;
    const read = async () => {
      if (++readings === at) spies.watcher.close();
      return "text";
    };
    const spies = watchPair({ read });
    timers.expire(pollMs);
    await spies.watcher.check();
    expect(readings).toBeGreaterThanOrEqual(at);
    expect(spies.onChange).not.toHaveBeenCalled();
    expect(timers.lengths()).toEqual([]);
  });

  test("stopped by close reports no file that could not be read any more", async () => {
    const read = async () => {
      spies.watcher.close();
      throw new Error("gone");
    };
    const spies = watchPair({ read });
    await spies.watcher.check();
    expect(spies.onReadError).not.toHaveBeenCalled();
  });

  test("lets the process end", async () => {
    const script = `import { watchFiles } from ${JSON.stringify(new URL("../src/reload.ts", import.meta.url).href)};
      watchFiles([${JSON.stringify(path("a"))}], () => {}, { onReadError() {}, onRejected() {} });`;
    const run = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], {
      timeout: 20_000,
    });
    expect({ status: run.status, stderr: String(run.stderr) }).toMatchObject({ status: 0, stderr: "" });
  });
});

describe("two looks at once", () => {
  test("never run side by side, and the second sees what changed during the first", async () => {
    await write("a", "1");
    await write("b", "1");
    const { watcher, onChange } = watchPair();
    let inside = 0;
    onChange.mockImplementation(async ([a]) => {
      expect(++inside).toBe(1);
      if (a === "1") await write("a", "2");
      inside--;
    });
    await Promise.all([watcher.check(), watcher.check()]);
    await watcher.check();
    expect(onChange.mock.calls).toEqual([[["1", "1"]], [["2", "1"]]]);
  });

  test("end in one look for all who asked during another", async () => {
    await write("a", "1");
    await write("b", "1");
    const { watcher, onChange } = watchPair();
    const released = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<void>();
    onChange.mockImplementation(async () => {
      entered.resolve();
      await released.promise;
      throw new Error("refused, so that each look asks");
    });
    const first = watcher.check();
    await entered.promise;
    const later = [watcher.check(), watcher.check(), watcher.check()];
    released.resolve();
    await Promise.all([first, ...later]);
    expect(onChange).toHaveBeenCalledTimes(2);
  });
});

describe("events of the file system", () => {
  test("bring the look forward, once for several", async () => {
    await write("a", "1");
    await write("b", "1");
    const { onChange } = watchPair({ initial: ["1", "1"], hints: true });
    await write("a", "2");
    await write("b", "2");
    await vi.waitUntil(() => timers.lengths().includes(hintMs));
    expect(new Set(timers.lengths())).toEqual(new Set([hintMs, pollMs]));
    expect(timers.lengths()).toHaveLength(2);
    timers.expire(hintMs);
    await vi.waitUntil(() => onChange.mock.calls.length > 0);
    expect(onChange).toHaveBeenCalledExactlyOnceWith(["2", "2"]);
  });

  test("may be missing: a directory that is not there yet is polled", async () => {
    const onChange = vi.fn();
    const late = join(directory, "late", "a");
    watcher = watchFiles([late], onChange, { timers, onReadError: vi.fn(), onRejected: vi.fn() });
    await watcher.check();
    await mkdir(path("late"));
    await writeFile(late, "1");
    await watcher.check();
    expect(onChange).toHaveBeenCalledExactlyOnceWith(["1"]);
  });

  test("stop with close", async () => {
    await write("a", "1");
    await write("b", "1");
    const { watcher } = watchPair({ initial: ["1", "1"], hints: true });
    await write("a", "2");
    await vi.waitUntil(() => timers.lengths().includes(hintMs));
    watcher.close();
    expect(timers.lengths()).toEqual([]);
  });
});
