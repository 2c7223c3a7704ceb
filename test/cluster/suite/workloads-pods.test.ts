/** What a Pod can ask for, in a namespace of the level restricted. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { productImage } from "../kind/product-image.ts";
import { closureMounts, containerOf, imageVolumes, type InjectedPod, waitForAll } from "./injected.ts";
import {
  apply,
  attempt,
  attemptCreate,
  exec,
  get,
  kubectl,
  logs,
  makeNamespace,
  removeNamespace,
  restrictedNamespace,
  waitForReady,
} from "./kubectl.ts";
import { annotatedPod, demoSource, restrictedContainer, roots, untilItEndsWell } from "./pods.ts";
import { idle, listStore, shell } from "./shell.ts";

const namespace = "suite-pods";
const defaultProfile = "/nix/var/nix/profiles/default";
const greeting = "Hello, world!\n";
const stock = { image: productImage, imagePullPolicy: "Never" };
const path = "/usr/local/bin:/usr/bin:/bin";

/** A program of Python that says where it finds itself. */
const place = `import json, os
print(json.dumps({"path": os.environ["PATH"], "user": os.getuid(), "profile": sorted(os.listdir("${defaultProfile}/bin")),
  "root": sorted(os.listdir("${roots.python}/bin")), "store": len(os.listdir("/nix/store")), "tmp": os.access("/tmp", os.W_OK)}))`;

const pods = [
  annotatedPod({
    name: "place",
    namespace,
    spec: untilItEndsWell,
    root: roots.python,
    command: ["python3", "-c", place],
  }),
  annotatedPod({
    name: "own-profile",
    namespace,
    spec: untilItEndsWell,
    annotations: { "nix.closure/profile": "/app", "nix.closure/path": "true" },
    command: ["sh", "-c", "run; echo $PATH"],
    container: { ...stock, env: [{ name: "PATH", value: path }] },
  }),
  annotatedPod({
    name: "no-profile",
    namespace,
    spec: untilItEndsWell,
    annotations: { "nix.closure/profile": "none" },
    command: [`${roots.hello}/bin/run`],
  }),
  ...(["per-path", "bundle"] as const).map((strategy) =>
    annotatedPod({
      name: strategy,
      namespace,
      spec: untilItEndsWell,
      root: roots.mixed,
      annotations: { "nix.closure/strategy": strategy },
      command: ["mixed-app"],
    }),
  ),
  annotatedPod({
    name: "several-roots",
    namespace,
    spec: untilItEndsWell,
    annotations: { "nix.closure": `${demoSource}: ${roots.hello}\n${roots.mixed}` },
    command: [shell, "-c", `run; ${roots.mixed}/bin/mixed-app`],
  }),
  annotatedPod({
    name: "listed",
    namespace,
    annotations: { "nix.closure/containers": "app" },
    spec: {
      ...untilItEndsWell,
      containers: [
        { name: "app", image: "nix.closure/base", command: ["run"], securityContext: restrictedContainer },
        {
          name: "other",
          ...stock,
          command: ["node", "-e", "console.log(fs.existsSync('/nix'))"],
          securityContext: restrictedContainer,
        },
      ],
    },
  }),
];

beforeAll(async () => {
  await makeNamespace(namespace, restrictedNamespace);
  await apply(...pods, annotatedPod({ name: "shell", namespace, command: [shell, "-c", idle] }));
  await waitForAll(
    namespace,
    pods.map(({ metadata }) => metadata.name!),
  );
});

afterAll(() => removeNamespace(namespace));

const read = (name: string): Promise<InjectedPod> => get<InjectedPod>("pod", name, namespace);

function status(pod: InjectedPod): unknown {
  return JSON.parse(pod.metadata.annotations?.["nix.closure/status"] ?? "null");
}

describe("the profile", () => {
  test("is the first root, and its bin is first in the PATH of the base image", async () => {
    const found = JSON.parse(await logs(namespace, "place")) as Record<string, unknown>;
    expect(found).toMatchObject({
      path: expect.stringMatching(`^${defaultProfile}/bin:/`),
      profile: expect.arrayContaining(["python3"]),
      user: 65_532,
      tmp: true,
    });
    expect(found["profile"]).toEqual(found["root"]);
    // All of the closure and nothing else.
    expect(found["store"]).toBe((status(await read("place")) as { paths: number }).paths);
  });

  test("can be elsewhere, and on the PATH that a container of another image has", async () => {
    expect(await logs(namespace, "own-profile")).toBe(`${greeting}/app/bin:${path}\n`);
    const pod = await read("own-profile");
    expect(closureMounts(pod, "app")).toContain("/app");
    expect(closureMounts(pod, "app")).not.toContain(defaultProfile);
    expect(containerOf(pod, "app")).toMatchObject(stock);
  });

  test("can be left out", async () => {
    expect(await logs(namespace, "no-profile")).toBe(greeting);
    const pod = await read("no-profile");
    const mounts = closureMounts(pod, "app");
    expect(mounts).toEqual(mounts.filter((mount) => mount.startsWith("/nix/store/")));
    expect(mounts).toHaveLength(5);
  });
});

describe("strategies", () => {
  const output = `greeting: from a file store path\n${greeting}`;

  test("per-path: a volume for each directory, and a store image for the rest", async () => {
    expect(await logs(namespace, "per-path")).toBe(output);
    const pod = await read("per-path");
    expect(status(pod)).toMatchObject({ strategy: "per-path", volumes: 6 });
    expect(imageVolumes(pod).size).toBe(6);
    expect(closureMounts(pod, "app")).toEqual(expect.arrayContaining(["/nix/store", roots.mixed]));
  });

  test("bundle: one image for all of it, and the root's own", async () => {
    expect(await logs(namespace, "bundle")).toBe(output);
    const pod = await read("bundle");
    expect(status(pod)).toMatchObject({ strategy: "bundle", volumes: 2 });
    expect(imageVolumes(pod).size).toBe(2);
    const own = imageVolumes(await read("per-path"));
    const store = [...imageVolumes(pod).values()].find((reference) => reference.includes("/closure/"));
    expect(store).toMatch(/^localhost:5417\/demo\/closure\//);
    expect([...own.values()]).not.toContain(store);
  });

  test("several roots are one closure, and the first is the profile", async () => {
    expect(await logs(namespace, "several-roots")).toBe(greeting + output);
    expect([...imageVolumes(await read("several-roots")).values()]).toEqual(
      expect.arrayContaining([expect.stringMatching(/\/demo\/closure\//)]),
    );
  });
});

test("only the containers that nix.closure/containers lists get the closure", async () => {
  expect(await logs(namespace, "listed", "-c", "app")).toBe(greeting);
  expect(await logs(namespace, "listed", "-c", "other")).toBe("false\n");
  expect(closureMounts(await read("listed"), "other")).toEqual([]);
});

describe("a running Pod", () => {
  beforeAll(() => waitForReady(namespace, "shell"));

  test("programs in image volumes can be run by exec", async () => {
    expect(await exec(namespace, "shell", "run")).toBe(greeting);
  });

  test("its mounts are read-only and not noexec", async () => {
    const mounts = await exec(namespace, "shell", shell, "-c", 'echo "$(</proc/self/mounts)"');
    const ours = mounts.split("\n").filter((line) => line.includes(" /nix/"));
    expect(ours.length).toBe(closureMounts(await read("shell"), "app").length);
    for (const line of ours) {
      const options = line.split(" ")[3]!.split(",");
      expect(options).toContain("ro");
      expect(options).not.toContain("noexec");
    }
  });

  test("nothing can be written to its store", async () => {
    const write = `: > ${roots.hello}/bin/other`;
    const { ok, output } = await attempt(["exec", "shell", "-n", namespace, "--", shell, "-c", write]);
    expect(ok, output).toBe(false);
    expect(output).toContain("Read-only file system");
  });

  test("an ephemeral container sees what it shares, and brings nothing of ours", async () => {
    const debug = ["debug", "shell", "-n", namespace, "--image", productImage, "--image-pull-policy=Never"];
    const inside = ["--profile=restricted", "--container=debugger", "--attach=false", "--target=app"];
    const store = "path.join('/proc/1', 'root', 'nix/store')";
    const program = `console.log(fs.existsSync('/nix'), fs.readdirSync(${store}).length)`;
    await kubectl([...debug, ...inside, "--", "node", "-e", program]);
    await expect
      .poll(() => logs(namespace, "shell", "-c", "debugger").catch(() => ""), { timeout: 30_000 })
      .toBe("false 5\n");
  });
});

describe("user namespaces", () => {
  const ownUsers = { hostUsers: false, restartPolicy: "Never" } as const;
  const printMap = 'echo "$(</proc/self/uid_map)"';

  test("a Pod with hostUsers: false has its closure", async ({ skip }) => {
    const plain = annotatedPod({
      name: "plain-users",
      namespace,
      container: { ...stock, command: ["cat", "/proc/self/uid_map"] },
      spec: ownUsers,
    });
    const { annotations: _, ...metadata } = plain.metadata;
    const ours = annotatedPod({
      name: "own-users",
      namespace,
      command: [shell, "-c", `run; ${listStore}; ${printMap}`],
      spec: ownUsers,
    });
    expect(await attemptCreate({ ...plain, metadata }, ours)).toMatchObject({ ok: true });
    // Without a closure it is the machine's part alone.
    const reason = await waitForAll(namespace, ["plain-users"], 45_000).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (reason !== undefined) skip(`this machine runs no Pod with hostUsers: false: ${reason}`);
    expect(await logs(namespace, "plain-users")).not.toMatch(/^\s*0\s+0\s/);
    await waitForAll(namespace, ["own-users"], 45_000);
    const output = await logs(namespace, "own-users");
    expect(output).toMatch(/^Hello, world!\n(?:[0-9a-z]{32}-\S+\n){5}/);
    expect(output.split("\n")[6]).not.toMatch(/^\s*0\s+0\s/);
  });
});
