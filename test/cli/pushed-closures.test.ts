import { beforeEach, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { Pod } from "../../src/patch/pod.ts";
import { pathOf, signer } from "../resolver/fake-store.ts";
import { push, pushedChain } from "../resolver/pushed.ts";
import { RegistryServer } from "../resolver/registry-server.ts";
import { cli, configFile, type Outcome } from "./fake-process.ts";

let server: RegistryServer;
beforeEach(async () => {
  server = await RegistryServer.start();
});

const root = pathOf("link-0");

/** A configuration with the source `shop`, whose registry has a chain of so many directories and a file. */
async function configWith(
  length: number,
  storeImages: "all" | "per-path",
  source: object = {},
): Promise<string> {
  const closure = pushedChain(length + 1);
  const images = closure.storeImages.filter(({ own }) => storeImages === "all" || own.length > 0);
  push(server, { ...closure, storeImages: images });
  const shop = { registry: server.repository, publicKeys: [signer.publicKey], ...source };
  return configFile({ sources: { shop } });
}

describe("plan", () => {
  async function plan(config: string, ...args: readonly string[]): Promise<Outcome> {
    return cli(["plan", "--config", config, ...args, root]);
  }
  interface PlanJson {
    readonly strategy: string;
    readonly volumes: readonly { readonly reference: string; readonly mountPath: string }[];
    readonly estimate: { readonly coldSeconds: { readonly stock: number; readonly tuned: number } };
  }

  test("shows the images that were pushed", async () => {
    const config = await configWith(3, "all");
    const { code, stdout, stderr } = await plan(config, "--json");
    expect([code, stderr]).toEqual([0, ""]);
    const { strategy, volumes } = JSON.parse(stdout) as PlanJson;
    expect(strategy).toBe("per-path");
    expect(volumes.map(({ mountPath }) => mountPath)).toEqual([
      "/nix/store",
      root,
      ...["link-1", "link-2"].map(pathOf).toSorted(),
    ]);
    for (const { reference } of volumes)
      expect(reference).toMatch(new RegExp(`^${RegExp.escape(server.repository)}@sha256:[0-9a-f]{64}$`));
    expect((await plan(config, "--strategy", "bundle")).stdout).toContain("bundle: 2 volumes, 4 paths,");
    expect(server.requests).toHaveLength(6);
  });

  test("estimates a start beyond the burst as one of pulls that fail", async () => {
    const config = await configWith(40, "all");
    const { stdout } = await plan(config, "--json", "--strategy", "per-path");
    const { stock, tuned } = (JSON.parse(stdout) as PlanJson).estimate.coldSeconds;
    expect(stock - tuned).toBeCloseTo(87.5, 1);
  });

  test("warns where nothing that was pushed is small enough", async () => {
    const { code, stdout, stderr } = await plan(await configWith(12, "per-path"));
    expect([code, stderr]).toEqual([
      0,
      'every plan that link-0 was pushed with has 13 images or more, and this Pod has room for 8: its start may be slow; push it with "--plan 8" too\n',
    ]);
    expect(stdout).toContain("per-path: 13 volumes, 13 paths,");
  });

  test("refuses a strategy whose plan was not pushed", async () => {
    const { code, stdout, stderr } = await plan(await configWith(3, "per-path"), "--strategy", "bundle");
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toMatch(/with plans of 4 images, and none is for the strategy bundle; .*PLAN_NOT_PUSHED/);
  });
});

describe("inject", () => {
  const podWith = (spec: object): object => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "app", annotations: { "nix.closure": root } },
    spec: { ...spec, containers: [{ name: "app", image: "debian:13" }] },
  });
  async function inject(source: object, spec: object): Promise<Outcome & { readonly pod: Pod }> {
    const config = await configWith(2, "all", source);
    const outcome = await cli(["inject", "--config", config, "-f", "-"], { stdin: stringify(podWith(spec)) });
    expect(outcome.code).toBe(0);
    return { ...outcome, pod: parse(outcome.stdout) as Pod };
  }
  const pullSecret = "shop-registry";

  test("says that a list of its own keeps a Pod from its ServiceAccount's", async () => {
    const { pod, stderr, stdout } = await inject({ pullSecret }, {});
    expect(pod.spec.imagePullSecrets).toEqual([{ name: pullSecret }]);
    expect(stderr).toBe(
      'Pod "app": it has a list imagePullSecrets now, so it does not get that of its ServiceAccount; add what it needs of those\n',
    );
    expect(stdout).toContain("  imagePullSecrets:\n    - name: shop-registry\n");
  });

  test("says nothing of it where there was a list, or no Secret is needed", async () => {
    const beside = await inject({ pullSecret }, { imagePullSecrets: [{ name: "mine" }] });
    expect(beside.pod.spec.imagePullSecrets).toEqual([{ name: "mine" }, { name: pullSecret }]);
    expect(beside.stderr).toBe("");
    const without = await inject({}, {});
    expect(without.pod.spec.imagePullSecrets).toBeUndefined();
    expect(without.stderr).toBe("");
  });

  test("leaves what it has injected as it is", async () => {
    const { stdout } = await inject({ pullSecret }, {});
    const config = await configWith(2, "all", { pullSecret });
    const again = await cli(["inject", "--config", config, "-f", "-"], { stdin: stdout });
    expect(again).toMatchObject({ code: 0, stdout, stderr: "" });
  });
});
