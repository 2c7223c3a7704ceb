import { readdir, readFile } from "node:fs/promises";
import { parseNarInfo } from "../src/nix/narinfo.ts";
import { baseName, storePathName, type StorePath } from "../src/nix/store-path.ts";
import { demoCache } from "./configuration.ts";

/** How the demo shows that an unpacked closure works. */
export type Showing =
  /** Runs the Pod's command until it ends, and shows what it prints. */
  | { readonly kind: "command"; readonly command: readonly string[] }
  /** Starts the Pod's command, fetches a page from it, and stops it. */
  | { readonly kind: "server"; readonly command: readonly string[]; readonly port: number }
  /** Nothing is known of it: the first program in its bin says its version. */
  | { readonly kind: "first-program" };

/** A store path of the demo's cache, and what it runs. */
export interface App {
  readonly storePath: StorePath;
  readonly showing: Showing;
}

const pythonProgram =
  'import ssl, sqlite3, sys; print("Python", sys.version); ' +
  'print(ssl.OPENSSL_VERSION); print("SQLite", sqlite3.sqlite_version)';

/** The four apps that the cache was made for, by the name part of their store paths. */
const showings: Readonly<Record<string, Showing>> = {
  "hello-app": { kind: "command", command: ["run"] },
  "nginx-app-1.0": { kind: "server", command: ["nginx-app"], port: 8080 },
  "python3-defaults-3.11.2-1+b1": { kind: "command", command: ["python3", "-c", pythonProgram] },
  "mixed-app-1.0": { kind: "command", command: ["mixed-app"] },
};

/** What the demo shows where nobody asks for another root. */
export const defaultRoot = "hello-app";

/**
 * Finds a store path of the demo's cache.
 *
 * @param wanted a store path, its base name, or the beginning of its name part; among several, the four apps go first.
 * @throws Error in a line, naming what there is
 */
export async function findApp(wanted: string): Promise<App> {
  const paths = await demoStorePaths();
  const exact = paths.filter((path) => [path, baseName(path), storePathName(path)].includes(wanted));
  const begins = paths.filter((path) => storePathName(path).startsWith(wanted));
  const found = exact.length > 0 ? exact : preferApps(begins);
  const [storePath, second] = found;
  if (storePath === undefined) {
    const apps = preferApps(paths).map(storePathName).toSorted();
    throw new Error(`the demo's cache has no ${JSON.stringify(wanted)}; its apps are ${apps.join(", ")}`);
  }
  if (second !== undefined) {
    throw new Error(`${JSON.stringify(wanted)} fits several store paths: ${found.map(baseName).join(", ")}`);
  }
  return { storePath, showing: showings[storePathName(storePath)] ?? { kind: "first-program" } };
}

function preferApps(paths: readonly StorePath[]): readonly StorePath[] {
  const apps = paths.filter((path) => Object.hasOwn(showings, storePathName(path)));
  return apps.length > 0 ? apps : paths;
}

async function demoStorePaths(): Promise<readonly StorePath[]> {
  const names = (await readdir(demoCache)).filter((name) => name.endsWith(".narinfo")).toSorted();
  return Promise.all(
    names.map(async (name) => parseNarInfo(await readFile(`${demoCache}/${name}`)).storePath),
  );
}
