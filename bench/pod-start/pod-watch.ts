import { createInterface } from "node:readline";
import type { Pod, PodApi, WatchEvent } from "./pod-api.ts";

/** What a watch needs of the API server. */
export type PodSource = Pick<PodApi, "list" | "watch">;

/** The Pods of a namespace as they are now: the API server tells of each change as it comes. */
export class PodWatch implements AsyncDisposable {
  readonly #api: PodSource;
  readonly #namespace: string;
  readonly #stop = new AbortController();
  #following: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #pods = new Map<string, Pod>();
  /** Called after each change. */
  readonly #waiting = new Set<() => void>();

  private constructor(api: PodSource, namespace: string) {
    this.#api = api;
    this.#namespace = namespace;
  }

  static async open(api: PodSource, namespace: string): Promise<PodWatch> {
    const watch = new PodWatch(api, namespace);
    const version = await watch.#read();
    watch.#following = watch.#follow(version).catch((error: unknown) => {
      if (watch.#stop.signal.aborted) return;
      watch.#failure = error instanceof Error ? error : new Error(String(error));
      for (const look of watch.#waiting) look();
    });
    return watch;
  }

  /**
   * Waits for a state of all Pods of the namespace.
   *
   * @param look its answer, or undefined or false while there is none; it is asked after each change
   * @throws Error after the deadline, with how the Pods are; what `look` throws
   */
  until<T>(
    what: string,
    look: (pods: ReadonlyMap<string, Pod>) => T | undefined | false,
    deadlineMs: number,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const attempt = (): void => {
        if (this.#failure !== undefined)
          return end(() => reject(this.#failure ?? new Error("the watch ended")));
        try {
          const answer = look(this.#pods);
          if (answer !== undefined && answer !== false) end(() => resolve(answer));
        } catch (error) {
          end(() => reject(error instanceof Error ? error : new Error(String(error))));
        }
      };
      const timer = setTimeout(() => {
        const states = [...this.#pods.values()].map(({ metadata, status }) => ({
          name: metadata.name,
          status,
        }));
        const error = new Error(
          `not within ${deadlineMs / 1000} s: ${what}: ${JSON.stringify(states).slice(0, 3000)}`,
        );
        end(() => reject(error));
      }, deadlineMs);
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(attempt);
        settle();
      };
      this.#waiting.add(attempt);
      attempt();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  /** @returns the version from which to watch */
  async #read(): Promise<string> {
    const { items, metadata } = await this.#api.list(this.#namespace);
    this.#pods = new Map(items.map((pod) => [pod.metadata.name, pod]));
    for (const look of this.#waiting) look();
    return metadata.resourceVersion;
  }

  async #follow(first: string): Promise<void> {
    for (let version = first; !this.#stop.signal.aborted; version = await this.#read()) {
      const input = await this.#api.watch(this.#namespace, version, this.#stop.signal);
      for await (const line of createInterface({ input, crlfDelay: Infinity })) {
        const { type, object } = JSON.parse(line) as WatchEvent;
        if (type === "ERROR") break;
        if (type === "DELETED") this.#pods.delete(object.metadata.name);
        else if (type !== "BOOKMARK") this.#pods.set(object.metadata.name, object);
        for (const look of this.#waiting) look();
      }
    }
  }
}
