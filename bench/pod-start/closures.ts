import { parseStorePath, type StorePath } from "../../src/nix/store-path.ts";
import { syntheticGraph } from "../synthetic-graph.ts";
import { syntheticStorePath, type SyntheticPath } from "../synthetic-paths.ts";

/** A closure that Pods start with. */
export interface BenchClosure {
  readonly name: string;
  readonly roots: readonly StorePath[];
  /** What a container runs: it ends by itself, and well. */
  readonly command: readonly string[];
}

const hello = parseStorePath("/nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app");
const nginx = parseStorePath("/nix/store/q0ningk88png4ipb9hm8ja6av167wdzk-nginx-app-1.0");
const python = parseStorePath("/nix/store/2xm8zk49wy4fsqr9jhsi4wdxwdlc308i-python3-defaults-3.11.2-1+b1");
/** Paths of hello's closure, which every synthetic closure holds: what its Pod runs. */
const helloPaths = 5;
const greet = [`${hello}/bin/run`];
const compute = [`${python}/bin/python3`, "-c", "import ssl, sqlite3; print(ssl.OPENSSL_VERSION)"];

/** Paths and bytes of the base that two apps share. */
const sharedPaths = 60;
export const sharedBytes = 500e6;

/** Apps that have all but their root in common with {@link firstApp}: one for each round, which has then never run. */
const maxSecondApps = 15;

/** A closure with so many paths, hello's among them. */
function syntheticClosure(count: number): {
  readonly closure: BenchClosure;
  readonly paths: readonly SyntheticPath[];
} {
  const { root, paths } = syntheticGraph(count - helloPaths, "pod");
  return {
    closure: { name: `${count} paths`, roots: [root], command: greet },
    paths: withReference(paths, root, hello),
  };
}

const sizes = [50, 150, 400].map(syntheticClosure);
const warmUpGraph = syntheticGraph(30, "warm-up");
const shared = syntheticGraph(sharedPaths - helloPaths, "shared");

function appPath(name: string): SyntheticPath {
  return { storePath: syntheticStorePath(name), references: [shared.root, hello], type: "directory" };
}

const apps = [
  "first-app",
  ...Array.from({ length: maxSecondApps }, (_, index) => `second-app-${index + 1}`),
].map(appPath);

/** The closures of which each is measured with every strategy, in ascending order of their paths. */
export const mainClosures: readonly BenchClosure[] = [
  { name: "hello", roots: [hello], command: greet },
  { name: "nginx", roots: [nginx], command: [`${nginx}/bin/nginx-app`, "-v"] },
  { name: "python", roots: [python], command: compute },
  { name: "python + nginx", roots: [python, nginx], command: compute },
  ...sizes.map(({ closure }) => closure),
];

/** What a registry that was started anew makes before anything is measured; it has no path in common with the others. */
export const warmUp: BenchClosure = { name: "warm-up", roots: [warmUpGraph.root], command: [] };

/** An app of 500 MB. */
export const firstApp: BenchClosure = appClosure(0);

/** Another one of which only the root is its own. @param round from 1 */
export function secondApp(round: number): BenchClosure {
  if (round > maxSecondApps) throw new Error(`there are ${maxSecondApps} apps, one for each round`);
  return appClosure(round);
}

function appClosure(index: number): BenchClosure {
  const root = apps[index]?.storePath;
  if (root === undefined) throw new Error(`there is no app ${index}`);
  return { name: index === 0 ? "first app" : "second app", roots: [root], command: greet };
}

/** All paths that are not in the demo's cache. */
export const syntheticPaths: readonly SyntheticPath[] = [
  ...sizes.flatMap(({ paths }) => paths),
  ...shared.paths,
  ...apps,
  ...warmUpGraph.paths,
];

/** What apps that share {@link sharedBytes} have of their own: all the same, so that rounds are. */
export const ownStorePaths: ReadonlySet<StorePath> = new Set(apps.map(({ storePath }) => storePath));
export const ownBytes = 200_000;

/** The paths whose bytes add up to {@link sharedBytes}. */
export const sharedStorePaths: ReadonlySet<StorePath> = new Set(
  shared.paths.map(({ storePath }) => storePath),
);

function withReference(
  paths: readonly SyntheticPath[],
  root: StorePath,
  reference: StorePath,
): readonly SyntheticPath[] {
  return paths.map((path) =>
    path.storePath === root ? { ...path, references: [...path.references, reference] } : path,
  );
}
