/** What people see of a mistake in a Pod template: one line with cause, remedy and code. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  apply,
  attempt,
  attemptCreate,
  kubectl,
  list,
  makeNamespace,
  removeNamespace,
  restrictedNamespace,
  waitFor,
} from "./kubectl.ts";
import { annotatedPod, deploymentOf, type KubernetesObject, type PodOptions, roots } from "./pods.ts";

const namespace = "suite-mistakes";

/** A mistake, and what has to be said about it. */
interface Mistake {
  readonly name: string;
  readonly annotations?: PodOptions["annotations"];
  readonly image?: string;
  readonly cause: string;
  readonly remedy: string;
  readonly code: string;
}

const unknownPath = "/nix/store/00000000000000000000000000000000-shop-1.0";

const mistakes: readonly Mistake[] = [
  {
    name: "malformed-path",
    annotations: { "nix.closure": "demo:/nix/store/hello-app" },
    cause: `annotation nix.closure: "/nix/store/hello-app" is not a store path`,
    remedy: "write /nix/store/<32 characters>-<name>",
    code: "STORE_PATH_INVALID",
  },
  {
    name: "path-below",
    annotations: { "nix.closure": `demo:${roots.hello}/bin/run` },
    cause: `${roots.hello}/bin/run" is not a store path`,
    remedy: `as "nix build --print-out-paths" prints it`,
    code: "STORE_PATH_INVALID",
  },
  {
    name: "unknown-path",
    annotations: { "nix.closure": `demo:${unknownPath}` },
    cause: `${unknownPath} is not in http://demo-cache.nix-closure-demo.svc.cluster.local`,
    remedy: `check the path, or copy it there with "nix copy --to`,
    code: "PATH_UNKNOWN",
  },
  {
    name: "unknown-source",
    annotations: { "nix.closure": `demmo:${roots.hello}` },
    cause: `there is no source "demmo"`,
    remedy: "the configured sources are: ",
    code: "SOURCE_UNKNOWN",
  },
  {
    name: "unknown-annotation",
    annotations: { "nix.closure/stategy": "bundle" },
    cause: "nix.closure/stategy",
    remedy: "did you mean nix.closure/strategy?",
    code: "ANNOTATION_UNKNOWN",
  },
  {
    name: "unknown-container",
    annotations: { "container.nix.closure/ap": `demo:${roots.nginx}` },
    cause: "container.nix.closure/ap",
    remedy: "the Pod has: app",
    code: "CONTAINER_UNKNOWN",
  },
  {
    name: "unknown-strategy",
    annotations: { "nix.closure/strategy": "bundled" },
    cause: `"bundled" is not one of`,
    remedy: "auto, per-path, packed, bundle",
    code: "ANNOTATION_INVALID",
  },
  {
    name: "base-image-with-tag",
    image: "nix.closure/base:1",
    cause: "nix.closure/base:1",
    remedy: "is written nix.closure/base, without tag or digest",
    code: "BASE_IMAGE_UNKNOWN",
  },
  {
    name: "several",
    annotations: { "nix.closure": "demo:/nix/store/hello-app", "nix.closure/paht": "true" },
    cause: `"/nix/store/hello-app" is not a store path`,
    remedy: "did you mean nix.closure/path?",
    code: "ANNOTATIONS_INVALID",
  },
];

function podOf({ name, annotations, image }: Mistake): KubernetesObject {
  return annotatedPod({
    name,
    namespace,
    ...(annotations === undefined ? {} : { annotations }),
    ...(image === undefined ? {} : { container: { image } }),
  });
}

/** The annotation on the Deployment instead of on its Pod template. */
const misplaced = ((): KubernetesObject => {
  const { metadata, ...pod } = annotatedPod({ name: "misplaced", namespace });
  const { annotations, ...others } = metadata;
  const deployment = deploymentOf({ ...pod, metadata: others }, 1);
  return { ...deployment, metadata: { ...deployment.metadata, annotations: annotations! } };
})();

let descriptions: readonly string[];

beforeAll(async () => {
  await makeNamespace(namespace, restrictedNamespace);
  await apply(...mistakes.map((mistake) => deploymentOf(podOf(mistake), 1)), misplaced);
  const failed = async (): Promise<boolean> => {
    const events = await list<{ reason: string; involvedObject: { name: string } }>("events", namespace);
    const names = events
      .filter(({ reason }) => reason === "FailedCreate")
      .map((event) => event.involvedObject.name);
    return [...mistakes.map(({ name }) => name), "misplaced"].every((name) =>
      names.some((replicaSet) => replicaSet.replace(/-[^-]+$/, "") === name),
    );
  };
  await waitFor("an event of each ReplicaSet", failed, { deadlineMs: 45_000, everyMs: 500 });
  // Of one alone, kubectl shows the events without being asked to.
  const text = await kubectl(["describe", "replicasets", "-n", namespace, "--show-events"]);
  descriptions = text.split(/^(?=Name: )/m);
});

afterAll(() => removeNamespace(namespace));

/** The lines of a Deployment's described ReplicaSet that tell of the failure. */
function failures(deployment: string): readonly string[] {
  const described = descriptions.find((text) => new RegExp(`^Name: +${deployment}-[^-\\s]+\n`).test(text));
  if (described === undefined) throw new Error(`no ReplicaSet of ${deployment} is described`);
  const events = described.slice(described.indexOf("\nEvents:"));
  return events.split("\n").filter((line) => /nix-closure|nix\.closure/.test(line));
}

describe("kubectl describe replicaset", () => {
  test.for(mistakes)("$name: one line with cause, remedy and code", ({ name, cause, remedy, code }) => {
    const lines = failures(name);
    expect(lines).toHaveLength(1);
    const [line = ""] = lines;
    expect(line).toMatch(
      / Warning +FailedCreate .* admission webhook "pods\.nix\.closure" denied the request: /,
    );
    const words = line.slice(line.indexOf("nix-closure: "));
    expect(words).toContain(cause);
    expect(words).toContain(remedy);
    // The end is there, so nothing was cut.
    expect(words).toMatch(new RegExp(`\\[${code}, see docs/errors\\.md#${code.toLowerCase()}\\]$`));
  });

  test("several mistakes have a code each, in the same line", () => {
    const [line] = failures("several");
    expect(line).toContain("[STORE_PATH_INVALID]");
    expect(line).toContain("[ANNOTATION_UNKNOWN]");
  });

  test("an annotation on the Deployment instead of its template: what is missing, and where", () => {
    // Each try has a name of its own in the message, so there is a line for each.
    for (const line of failures("misplaced")) {
      expect(line).toMatch(
        /ValidatingAdmissionPolicy 'nix-closure-injected' .* denied request: the image nix\.closure\/base/,
      );
      expect(line).toMatch(
        /the Pod has no annotation nix\.closure; add it, in a workload to the Pod template$/,
      );
    }
    expect(failures("misplaced").length).toBeGreaterThan(0);
  });
});

describe("kubectl apply of a Pod", () => {
  test.for(mistakes)("$name: the last line has all of it", async (mistake) => {
    const { ok, output } = await attemptCreate(podOf(mistake));
    expect(ok).toBe(false);
    const lines = output.split("\n").filter((line) => line.includes("nix-closure: "));
    expect(lines).toEqual([output.trimEnd().split("\n").at(-1)]);
    const [line = ""] = lines;
    expect(line).toMatch(/^Error from server/);
    for (const part of [mistake.cause, mistake.remedy]) expect(line).toContain(part);
    expect(line).toMatch(new RegExp(`\\[${mistake.code}, see [^\\]]+\\]$`));
  });

  test("what is no mistake for certain is a warning, and the Pod is created", async () => {
    const annotations = { "nix.closure/containers": "app, agent" };
    const pod = JSON.stringify(annotatedPod({ name: "warned", namespace, annotations }));
    const create = ["create", "--dry-run=server", "-f", "-"];
    expect(await attempt(create, pod)).toMatchObject({ ok: true });
    // How it is told from standard error without looking there.
    const { ok, output } = await attempt([...create, "--warnings-as-errors"], pod);
    expect(ok).toBe(false);
    expect(output).toMatch(/^Warning: nix-closure: annotation nix\.closure\/containers names agent, .*$/m);
  });
});
