/** manifests/examples as they are, in the restricted namespace that they bring. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { recordFigure } from "./counts.ts";
import { closureMounts, containerOf, imageVolumes, type InjectedPod, waitForAll } from "./injected.ts";
import { attemptCreate, find, get, isReady, kubectl, list, logs, patch } from "./kubectl.ts";
import { plainPod, roots } from "./pods.ts";

const namespace = "nix-closure-examples";
const examples = ["-k", "manifests/examples"];
const page = "hello from a nix closure";

beforeAll(async () => {
  // Jobs of an earlier time would have ended without today's product.
  await kubectl(["delete", ...examples, "--ignore-not-found", "--timeout=120s"]);
  await runExamples();
});

afterAll(() => kubectl(["delete", ...examples, "--ignore-not-found", "--wait=false"]));

/** Makes what is not there, and waits until it has ended or is ready. */
async function runExamples(): Promise<void> {
  await kubectl(["apply", ...examples]);
  // Its own Jobs would take the place of the one below: it keeps one that has ended.
  await patch("cronjob", "greeting", namespace, { spec: { suspend: true } });
  if ((await find("job", "greeting-now", namespace)) === undefined)
    await kubectl(["create", "job", "greeting-now", "--from=cronjob/greeting", "-n", namespace]);
  const ours = ["-n", namespace, "--timeout=150s"];
  await Promise.all([
    kubectl(["wait", "--for=condition=Complete", "job", "--all", ...ours]),
    kubectl(["rollout", "status", "deployment/nginx", ...ours]),
  ]);
}

/** What a Job's Pod printed. A runtime can lose the output of a container that lives for milliseconds: then it runs again, once. */
async function ofJob(job: string, ...options: readonly string[]): Promise<string> {
  const printed = await logs(namespace, `job/${job}`, ...options);
  if (printed !== "") return printed;
  const { status } = await podOfJob(job);
  await recordFigure(`Job ${job}, which ended without a word and ran again`, JSON.stringify(status));
  await kubectl(["delete", "job", job, "-n", namespace, "--timeout=120s"]);
  await runExamples();
  return logs(namespace, `job/${job}`, ...options);
}

async function podsOf(selector: string): Promise<readonly InjectedPod[]> {
  const pods = await list<InjectedPod>("pods", namespace, selector);
  if (pods.length === 0) throw new Error(`no Pod is ${selector}`);
  return pods;
}

async function podOfJob(job: string): Promise<InjectedPod> {
  const [pod] = await podsOf(`job-name=${job}`);
  return pod!;
}

describe("the examples", () => {
  test("hello prints its greeting", async () => {
    expect(await ofJob("hello")).toBe("Hello, world!\n");
  });

  test("nginx answers through its Service, to a Pod that has nothing of ours", async () => {
    const fetchPage =
      "fetch('http://nginx').then(async (answer) => console.log(answer.status, await answer.text()))";
    const spec = { restartPolicy: "Never" };
    const visitor = plainPod({ name: "visitor", namespace, command: ["node", "-e", fetchPage], spec });
    expect(await attemptCreate(visitor)).toMatchObject({ ok: true });
    await waitForAll(namespace, ["visitor"]);
    expect(await logs(namespace, "visitor")).toMatch(new RegExp(`^200 .*${page}`, "s"));
  });

  test("nginx answers through the API server's proxy, from both of its Pods", async () => {
    const pods = await podsOf("app=nginx");
    expect(pods.map(isReady)).toEqual([true, true]);
    const proxied = (path: string): Promise<string> =>
      kubectl(["get", "--raw", `/api/v1/namespaces/${namespace}/${path}/proxy/`]);
    const answers = await Promise.all([
      proxied("services/nginx:http"),
      ...pods.map(({ metadata }) => proxied(`pods/${metadata.name}:8080`)),
    ]);
    expect(answers).toEqual(answers.map(() => expect.stringContaining(page)));
  });

  test("python imports ssl and sqlite3", async () => {
    expect(await ofJob("python")).toMatch(/^Python 3\.11\.\d+\nOpenSSL 3\.\S+ .*\nSQLite 3\.\d+\.\d+\n$/);
  });

  test("two containers have a closure each", async () => {
    expect(await ofJob("two-closures", "-c", "hello")).toBe("Hello, world!\n");
    expect(await ofJob("two-closures", "-c", "mixed")).toBe(
      "greeting: from a file store path\nHello, world!\n",
    );
    const pod = await podOfJob("two-closures");
    const hello = closureMounts(pod, "hello");
    const mixed = closureMounts(pod, "mixed");
    expect(hello).toContain(roots.hello);
    expect(hello).not.toContain(roots.mixed);
    expect(mixed).toContain(roots.mixed);
    expect(mixed).not.toContain(roots.hello);
    // What both need is one volume.
    expect(imageVolumes(pod).size).toBe(new Set(imageVolumes(pod).values()).size);
    expect(hello.filter((path) => mixed.includes(path) && path.startsWith("/nix/store/"))).toHaveLength(4);
  });

  test("an init container has the Pod's closure", async () => {
    expect(await ofJob("init-container", "-c", "fill")).toBe("filled the database\n");
    expect(await ofJob("init-container", "-c", "read")).toBe("hello from an init container\n");
    const pod = await podOfJob("init-container");
    expect(closureMounts(pod, "fill")).toEqual(closureMounts(pod, "read"));
  });

  test("a native sidecar has a closure of its own and serves the Job until it ends", async () => {
    expect(await ofJob("sidecar", "-c", "fetch")).toContain(page);
    const pod = await podOfJob("sidecar");
    expect(closureMounts(pod, "web")).toContain(roots.nginx);
    expect(closureMounts(pod, "web")).not.toContain(roots.python);
    expect(closureMounts(pod, "fetch")).toContain(roots.python);
    expect(closureMounts(pod, "fetch")).not.toContain(roots.nginx);
  });

  test("the CronJob's Jobs greet", async () => {
    expect(await ofJob("greeting-now")).toBe("Hello, world!\n");
  });

  test("every container has its closure read-only, and the base image instead of nix.closure/base", async () => {
    const pods = (await list<InjectedPod>("pods", namespace)).filter(
      ({ metadata }) => metadata.name !== "visitor",
    );
    expect(pods.length).toBeGreaterThanOrEqual(8);
    for (const pod of pods) {
      const volumes = imageVolumes(pod);
      for (const reference of volumes.values()) expect(reference).toMatch(/^localhost:5417\/demo\//);
      for (const { name } of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
        const container = containerOf(pod, name);
        expect(container).toMatchObject({
          image: expect.stringMatching(/^localhost:5417\/base:\d+$/),
          imagePullPolicy: "IfNotPresent",
        });
        const ours = (container.volumeMounts ?? []).filter((mount) => volumes.has(mount.name));
        expect(ours.length).toBeGreaterThan(1);
        expect(ours.map(({ readOnly }) => readOnly)).toEqual(ours.map(() => true));
      }
    }
  });

  test("Pod Security's level restricted holds where they run", async () => {
    const { metadata } = await get<InjectedPod>("namespace", namespace);
    expect(metadata.labels).toMatchObject({ "pod-security.kubernetes.io/enforce": "restricted" });
    const loose = plainPod({ name: "loose", namespace, container: { securityContext: {} } });
    const { ok, output } = await attemptCreate(loose);
    expect(ok, output).toBe(false);
    expect(output).toContain(`violates PodSecurity "restricted:latest"`);
  });
});
