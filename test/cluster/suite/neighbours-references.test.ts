/** References to our registry that a Pod brings itself, and sources that only some namespaces may use. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { productImage } from "../kind/product-image.ts";
import { type ApiServer, connectApiServer } from "./api-server.ts";
import { refusalOf } from "./refusal.ts";
import { waitForAll } from "./injected.ts";
import {
  attemptCreate,
  get,
  kubectl,
  logs,
  makeNamespace,
  patch,
  removeNamespace,
  restrictedNamespace,
  waitFor,
} from "./kubectl.ts";
import { annotatedPod, baseImage, type KubernetesObject, roots } from "./pods.ts";

const namespace = "suite-references";

let server: ApiServer;

beforeAll(async () => {
  server = await connectApiServer(1);
  await makeNamespace(namespace, restrictedNamespace);
});

afterAll(async () => {
  await server.close();
  await removeNamespace(namespace);
});

const refusal = (pod: KubernetesObject): Promise<string | undefined> => refusalOf(server, pod);

describe("a Pod that names images of our registry by hand", () => {
  const hash = roots.hello.slice(11, 43);
  const byHand = (name: string, source: string, image = baseImage): KubernetesObject => {
    const volume = { name: "hello", image: { reference: `localhost:5417/${source}/path/${hash}:1` } };
    const { metadata, ...pod } = annotatedPod({
      name,
      namespace,
      container: { image, volumeMounts: [{ name: "hello", mountPath: "/hello" }] },
      command: ["node", "-e", "console.log(fs.readdirSync('/hello/bin').join())"],
      spec: { restartPolicy: "Never", volumes: [volume] },
    });
    return { ...pod, metadata: { name: metadata.name!, namespace } };
  };

  test("runs with those of a source that its namespace may use", async () => {
    expect(await attemptCreate(byHand("allowed", "demo", productImage))).toMatchObject({ ok: true });
    await waitForAll(namespace, ["allowed"], 60_000);
    expect(await logs(namespace, "allowed")).toBe("hello,run\n");
  });

  test("is refused with those of any other", async () => {
    const { ok, output } = await attemptCreate(byHand("refused", "team", productImage));
    expect(ok).toBe(false);
    expect(output).toMatch(
      new RegExp(
        `^.*ValidatingAdmissionPolicy 'nix-closure-references' .*localhost:5417/team/path/${hash}:1 is of the source team, ` +
          `and Pods of the namespace ${namespace} may use only: demo, nixos; .*$`,
        "m",
      ),
    );
  });

  test("is refused with what only stands for the base image", async () => {
    expect(await refusal(byHand("base", "demo"))).toContain("the Pod has no annotation nix.closure; add it");
  });

  test("an annotated Pod in a namespace that the webhook does not see is refused", async () => {
    expect(await refusal(annotatedPod({ name: "elsewhere", namespace: "kube-system" }))).toContain(
      "the webhook is not given Pods of the namespace kube-system; use another namespace",
    );
  });
});

describe("a source that only some namespaces may use", () => {
  interface ConfigMap {
    readonly data: { readonly "nix-closure.yaml": string };
  }
  let before: string;

  beforeAll(async () => {
    const config = await get<ConfigMap>("configmap", "nix-closure-config", "nix-closure");
    before = config.data["nix-closure.yaml"];
    const { sources, ...rest } = parse(before) as { readonly sources: Readonly<Record<string, object>> };
    const team = { ...sources["demo"], namespaces: ["team-*"] };
    await write(stringify({ ...rest, sources: { ...sources, team } }));
  });

  afterAll(() => write(before));

  async function write(text: string): Promise<void> {
    await patch("configmap", "nix-closure-config", "nix-closure", { data: { "nix-closure.yaml": text } });
    // A kubelet looks at a Pod's ConfigMaps about once a minute, and when the Pod changes.
    const touched = `suite.example.com/touched=${Date.now()}`;
    await kubectl(["annotate", "pods", "--all", "-n", "nix-closure", "--overwrite", touched]);
  }

  const ofTeam = annotatedPod({
    name: "team",
    namespace,
    annotations: { "nix.closure": `team:${roots.hello}` },
  });

  test("is refused to others in words, without a restart of anything", async () => {
    const message = await waitFor(
      "the new source",
      async () => {
        const text = await refusal(ofTeam);
        return text?.includes("SOURCE_UNKNOWN") === true ? undefined : text;
      },
      { deadlineMs: 90_000, everyMs: 500 },
    );
    expect(message).toMatch(
      /^admission webhook "pods\.nix\.closure" denied the request: nix-closure: .*"?team"?.*suite-references.*team-\*.*\[NAMESPACE_NOT_ALLOWED, see \S+\]$/,
    );
    const { ok, output } = await attemptCreate(ofTeam);
    expect(ok).toBe(false);
    expect(output).toContain("[NAMESPACE_NOT_ALLOWED, see docs/errors.md#namespace_not_allowed]");
  });
});
