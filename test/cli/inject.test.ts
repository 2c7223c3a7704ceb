import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments, stringify } from "yaml";
import type { Pod } from "../../src/patch/pod.ts";
import { hello, mixedFile, unknown } from "../service/demo-cache.ts";
import { patched, podWith, reviewOf } from "../webhook/https-client.ts";
import { runWith } from "../service/running-service.ts";
import { makePair } from "../webhook/made-pair.ts";
import { cli, configFile, fileWith, type Outcome } from "./fake-process.ts";

/** Injects a text from standard input. */
async function inject(stdin: string, config: object = {}): Promise<Outcome> {
  return cli(["inject", "--config", await configFile(config), "-f", "-"], { stdin });
}

/** Injects, and takes what is printed; fails the test on any complaint. */
async function injected(stdin: string): Promise<string> {
  const { code, stdout, stderr } = await inject(stdin);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

const annotated = { annotations: { "nix.closure": hello } };
const template = {
  metadata: annotated,
  spec: { containers: [{ name: "app", image: "debian:13" }] },
};
const named = { name: "web", namespace: "shop" };
const kinds: readonly [kind: string, manifest: object, path: string][] = [
  ["Pod", { kind: "Pod", metadata: { ...named, ...annotated }, spec: template.spec }, ""],
  ["PodTemplate", { kind: "PodTemplate", metadata: named, template }, "template"],
  ...["ReplicationController", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"].map(
    (kind) => [kind, { kind, metadata: named, spec: { replicas: 1, template } }, "spec.template"] as const,
  ),
  [
    "CronJob",
    { kind: "CronJob", metadata: named, spec: { jobTemplate: { spec: { template } } } },
    "spec.jobTemplate.spec.template",
  ],
] as [string, object, string][];

/** The Pod or Pod template at a path of a manifest. */
function at(manifest: unknown, path: string): Pod {
  const keys = path.split(".").filter(Boolean);
  return keys.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], manifest) as Pod;
}

function isInjected(pod: Pod): boolean {
  return pod.spec.volumes?.length === 5 && pod.spec.containers[0]?.volumeMounts?.length === 6;
}

describe("the Pod of every kind", () => {
  test.each(kinds)("%s, as YAML and as JSON", async (_, manifest, path) => {
    const yaml = await injected(stringify(manifest));
    const json = await injected(JSON.stringify(manifest, null, 2));
    expect(isInjected(at(parse(yaml), path))).toBe(true);
    expect(JSON.parse(json)).toEqual(parse(yaml));
    // All but the Pod stays: it is put back as it was.
    const copy: unknown = JSON.parse(json);
    Object.assign(at(copy, path), at(manifest, path));
    expect(copy).toEqual(manifest);
    expect(await injected(yaml)).toBe(yaml);
    expect(await injected(json)).toBe(json);
  });

  test("in a List, each item by itself", async () => {
    const items = kinds.map(([, manifest]) => manifest);
    const others = [
      { kind: "ConfigMap", data: { a: "1" } },
      { kind: "Pod", ...template, metadata: {} },
    ];
    const list = { apiVersion: "v1", kind: "List", items: [...others, ...items] };
    const { items: printed } = JSON.parse(await injected(JSON.stringify(list))) as { items: unknown[] };
    expect(printed.slice(0, 2)).toEqual(others);
    for (const [i, [kind, , path]] of kinds.entries())
      expect(isInjected(at(printed[i + 2], path)), kind).toBe(true);
  });
});

const document = (name: string, annotations = ""): string => `# ${name}
apiVersion: v1
kind: Pod
metadata:
    name:   ${name}   # odd   spaces
${annotations}spec:
    containers: [{name: app, image: 'debian:13'}]
`;
const request = `    annotations:
        nix.closure: ${hello}   # the app
`;

describe("YAML of several documents", () => {
  test("keeps those that do not change to the last byte", async () => {
    const [first, second, third] = [document("first"), document("second", request), "# nothing\n"];
    const stdout = await injected(`${first}---\n${second}---\n${third}`);
    expect(stdout.startsWith(`${first}---\n# second\n`)).toBe(true);
    expect(stdout.endsWith(`---\n${third}`)).toBe(true);
    expect(stdout).toContain(`nix.closure: ${hello} # the app\n`);
    const pods = parseAllDocuments(stdout).map((each) => each.toJS() as Pod | null);
    expect(pods).toHaveLength(3);
    expect(isInjected(pods[1]!)).toBe(true);
  });

  test.each([
    ["nothing", ""],
    ["a comment", "# nothing here\n"],
    ["Pods that ask for nothing", `${document("a")}---\n${document("b")}`],
    ["another kind", "kind: ConfigMap\ndata: {a: '1'}\n"],
    ["no manifest at all", "- 1\n- two\n"],
    ["JSON of another kind", '{"kind": "ConfigMap",\n\t"data": {}}'],
  ])("and prints %s as it is", async (_, text) => {
    expect(await injected(text)).toBe(text);
  });
});

test("a file and standard input are read alike", async () => {
  const text = document("app", request);
  const args = ["inject", "--config", await configFile(), "--file", await fileWith(text)];
  expect(await cli(args)).toMatchObject({ code: 0, stdout: await injected(text) });
});

test("what is not ASCII comes through", async () => {
  const stdout = await injected(document("app", `${request}        note: "Grüße, 世界 🌍"\n`));
  expect(stdout).toContain('note: "Grüße, 世界 🌍"\n');
});

describe("standard error", () => {
  const deployment = (own: object, name = "web") =>
    stringify({ kind: "Deployment", metadata: { name, annotations: own }, spec: { template } });

  test.each(["nix.closure", "nix.closure/profile", "container.nix.closure/app"])(
    "says that %s on the workload has no effect",
    async (key) => {
      const { code, stdout, stderr } = await inject(deployment({ [key]: "x", "example.com/nix": "y" }));
      expect(code).toBe(0);
      expect(stderr).toBe(
        'Deployment "web": its own nix.closure annotations have no effect; they belong on its Pod template\n',
      );
      expect(isInjected(at(parse(stdout), "spec.template"))).toBe(true);
    },
  );

  test("has the webhook's warnings, with the owner", async () => {
    const pod = {
      kind: "Pod",
      metadata: { name: "a", annotations: { "nix.closure": mixedFile } },
      spec: template.spec,
    };
    const { code, stderr } = await inject(JSON.stringify(pod));
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^Pod "a": [^\n]*profile[^\n]*\n$/)]);
  });

  test.each<[string, object, number, RegExp]>([
    [
      "a wrong annotation",
      { "nix.closure": "hello" },
      3,
      /"hello" is not a store path.*\[STORE_PATH_INVALID/,
    ],
    ["an unknown path", { "nix.closure": unknown }, 3, /is not in file:.*\[PATH_UNKNOWN/],
    ["an annotation that is no text", { "nix.closure": 5 }, 3, /quote it.*\[POD_INVALID/],
    [
      "several things",
      { "nix.closure": "x", "nix.closure/pat": "y" },
      3,
      /\[ANNOTATION_UNKNOWN\].*\[ANNOTATIONS_INVALID/,
    ],
  ])("names the owner of %s, and nothing is printed", async (_, annotations, code, words) => {
    const bad = {
      kind: "CronJob",
      metadata: { generateName: "bad-" },
      spec: { jobTemplate: { spec: { template: { metadata: { annotations }, spec: template.spec } } } },
    };
    const outcome = await inject(`${document("good", request)}---\n${stringify(bad)}`);
    expect([outcome.code, outcome.stdout]).toEqual([code, ""]);
    expect(outcome.stderr).toMatch(/^nix-closure: CronJob "bad-": [^\n]*\n$/);
    expect(outcome.stderr).toMatch(words);
  });

  test("names the manifest's namespace where the source is not for it", async () => {
    const sources = { demo: { caches: ["file:///none"], publicKeys: [], namespaces: ["team-*"] } };
    const pod = { kind: "Pod", metadata: { ...named, ...annotated }, spec: template.spec };
    const { code, stderr } = await inject(stringify(pod), { sources });
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(/^nix-closure: Pod "web": .*"shop".*\[NAMESPACE_NOT_AL/),
    ]);
  });
});

test("the webhook does the same to the same Pod", async () => {
  const pair = await makePair();
  const running = await runWith(pair, "webhook");
  const client = running.client([pair.ca]);
  for (const annotations of [
    { "nix.closure": hello },
    { "nix.closure": mixedFile, "nix.closure/strategy": "bundle", "nix.closure/system": "x86_64-linux" },
  ]) {
    const pod = podWith(annotations);
    const fromWebhook = patched(pod, await client.review(reviewOf(pod)));
    const { stdout } = await inject(JSON.stringify(pod));
    expect(JSON.parse(stdout)).toEqual(fromWebhook);
  }
});
