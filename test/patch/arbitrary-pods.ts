import fc from "fast-check";
import type { Container, EnvVar, Pod, Volume, VolumeMount } from "../../src/patch/pod.ts";
import { demoPath } from "./closures.ts";
import { demoNames } from "./named-closures.ts";

const roots = [
  "hello-app",
  "hello-2.10",
  "glibc-2.36",
  "nginx-app-1.0",
  "mixed-app-1.0",
  "mixed-greet",
  "mixed-link",
  "mixed-app.conf",
].map(demoPath);

/** The value of nix.closure: a source or none, and some roots. */
const rootsText: fc.Arbitrary<string> = fc
  .tuple(
    fc.constantFrom("", "demo:", "other: ", "shop:", "depot: "),
    fc.uniqueArray(fc.constantFrom(...roots), { minLength: 1, maxLength: 3 }),
  )
  .map(([source, words]) => source + words.join(" "));

const closureText: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: rootsText, weight: 3 },
  fc.tuple(fc.constantFrom("shop:", "depot: "), fc.constantFrom(...demoNames)).map((words) => words.join("")),
);

/** Annotations that are right for a Pod with these containers, and ask for at least one closure. */
export function annotationsFor(names: readonly string[]): fc.Arbitrary<Readonly<Record<string, string>>> {
  const name = fc.constantFrom(...names);
  return fc
    .record(
      {
        closure: closureText,
        own: fc.dictionary(name, closureText, { maxKeys: 2 }),
        containers: fc.uniqueArray(name, { minLength: 1, maxLength: 2 }),
        strategy: fc.constantFrom("auto", "per-path", "packed", "bundle"),
        profile: fc.constantFrom("none", "/nix/var/nix/profiles/default", "/app"),
        path: fc.constantFrom("true", "false"),
        system: fc.constantFrom("x86_64-linux"),
        foreign: fc.constantFrom("1"),
      },
      { requiredKeys: [] },
    )
    .map(({ closure, own = {}, containers, strategy, profile, path, system, foreign }) => {
      const asked = closure ?? (Object.keys(own).length > 0 ? undefined : `demo: ${roots[0]}`);
      const texts = [asked ?? "", ...Object.values(own)];
      const isNamed = texts.some((text) => demoNames.some((one) => text.endsWith(one)));
      const entries: readonly (readonly [string, string | undefined])[] = [
        ["nix.closure", asked],
        ...Object.entries(own).map(([key, text]) => [`container.nix.closure/${key}`, text] as const),
        ["nix.closure/containers", asked === undefined ? undefined : containers?.join(", ")],
        ["nix.closure/strategy", isNamed && strategy !== "bundle" ? undefined : strategy],
        ["nix.closure/profile", profile],
        ["nix.closure/path", profile === "none" && path === "true" ? undefined : path],
        ["nix.closure/system", system],
        ["example.com/other", foreign],
      ];
      return Object.fromEntries(
        entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
      );
    });
}

/** Volumes of the user, some with names or references that resemble ours. */
const userVolumes: readonly Volume[] = [
  { name: "data", emptyDir: {} },
  { name: "config", configMap: { name: "config" } },
  { name: "model", image: { reference: "registry.example.com/model:1", pullPolicy: "Always" } },
  { name: "nix-00000000000000000000000000000000", image: { reference: "localhost:5000/demo/path/0:1" } },
  {
    name: "nix-00000000000000000000000000000001",
    image: { reference: "registry.example.com/nixos@sha256:0" },
  },
  { name: "tools", image: { reference: "localhost:5417/demo/path/00000000000000000000000000000000:1" } },
];

const mount: fc.Arbitrary<VolumeMount> = fc.record({
  name: fc.constantFrom(...userVolumes.map((volume) => volume.name)),
  mountPath: fc.constantFrom("/data", "/nix/var", "/opt/x/", "/nix/store-of-mine"),
});
const mounts = fc.uniqueArray(mount, { maxLength: 3, selector: ({ mountPath }) => mountPath });

const variable: fc.Arbitrary<EnvVar> = fc.oneof(
  fc.constant({ name: "HOME", value: "/tmp" }),
  fc.constant({ name: "PATH", value: "/usr/bin:/bin" }),
  fc.constant({ name: "PATH", value: "" }),
  fc.constant({ name: "PATH" }),
  fc.constant({ name: "PATH", valueFrom: { configMapKeyRef: { name: "paths", key: "path" } } }),
);

/** A container but for its name. */
export const container: fc.Arbitrary<Omit<Container, "name">> = fc.record(
  {
    image: fc.constantFrom("debian:12", "nix.closure/base", "localhost:5417/base:1"),
    imagePullPolicy: fc.constantFrom("Always", "Never"),
    env: fc.option(fc.array(variable, { maxLength: 3 })),
    volumeMounts: fc.option(mounts),
    restartPolicy: fc.constant("Always"),
  },
  { requiredKeys: ["image"] },
);

function containers(prefix: string, minLength: number): fc.Arbitrary<readonly Container[]> {
  return fc
    .array(container, { minLength, maxLength: 3 })
    .map((list) => list.map((one, i) => ({ name: `${prefix}${i}`, ...one })));
}

/** A Pod as users write it, with every list in some of them and missing in others. */
export const userPod: fc.Arbitrary<Pod> = fc
  .record({
    regular: containers("app", 1),
    init: fc.option(containers("init", 0), { nil: undefined }),
    volumes: fc.boolean(),
    nodeSelector: fc.option(fc.constantFrom({}, { disk: "ssd" }), { nil: undefined }),
    pullSecrets: fc.option(fc.uniqueArray(fc.constantFrom("mine", "shop-registry"), { maxLength: 2 }), {
      nil: undefined,
    }),
  })
  .chain(({ regular, init, volumes, nodeSelector, pullSecrets }) => {
    const all = [...regular, ...(init ?? [])];
    // A volume that is mounted must be there.
    const needed = volumes || all.some(({ volumeMounts }) => (volumeMounts ?? []).length > 0);
    return annotationsFor(all.map(({ name }) => name)).map((annotations) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "app", annotations },
      spec: {
        ...(nodeSelector === undefined ? {} : { nodeSelector }),
        ...(pullSecrets === undefined ? {} : { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
        ...(init === undefined ? {} : { initContainers: init }),
        containers: regular,
        ...(needed ? { volumes: userVolumes } : {}),
        terminationGracePeriodSeconds: 5,
      },
    }));
  });
