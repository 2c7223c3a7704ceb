import { dumpYaml, loadYaml, type V1Pod } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { hello, mixed } from "../service/demo-cache.ts";
import { podWith } from "../webhook/https-client.ts";
import { cli, configFile } from "./fake-process.ts";

// Both ways lead through the client's ObjectSerializer. It drops fields that its types do not know: what comes back is
// what Kubernetes has a name for.
test.each([
  [hello, "per-path", 5],
  [mixed, "per-path", 6],
  [mixed, "bundle", 2],
])("the official client knows all that is injected: %s %s", async (root, strategy, volumes) => {
  const pod = podWith(
    { "nix.closure": root, "nix.closure/strategy": strategy, "nix.closure/system": "x86_64-linux" },
    {
      containers: [{ name: "app", image: "nix.closure/base", command: ["run"] }],
      initContainers: [{ name: "init", image: "debian:13", restartPolicy: "Always" }],
    },
  );
  const { stdout } = await cli(["inject", "--config", await configFile(), "-f", "-"], {
    stdin: JSON.stringify(pod),
  });
  const injected: unknown = JSON.parse(stdout);
  const typed = loadYaml<V1Pod>(stdout);

  expect(typed.spec?.volumes).toHaveLength(volumes);
  for (const { name, image } of typed.spec?.volumes ?? []) {
    expect(name).toMatch(/^nix-/);
    expect(image?.reference).toMatch(/^localhost:5417\/demo\/(path|closure)\//);
    expect(image?.pullPolicy).toBe("IfNotPresent");
  }
  for (const container of [typed.spec?.containers[0], typed.spec?.initContainers?.[0]]) {
    expect(container?.volumeMounts).toHaveLength(volumes + 1);
    for (const mount of container?.volumeMounts ?? []) expect(mount).toMatchObject({ readOnly: true });
  }
  expect(typed.spec?.nodeSelector).toEqual({ "kubernetes.io/arch": "amd64" });
  expect(typed.metadata?.annotations?.["nix.closure/status"]).toContain(`"volumes":${volumes}`);

  expect(parse(dumpYaml(typed))).toEqual(injected);
});
