import { expect, test } from "vitest";
import { pathOf, signer } from "../resolver/fake-store.ts";
import { push, pushedChain } from "../resolver/pushed.ts";
import { RegistryServer } from "../resolver/registry-server.ts";
import { cli, configFile } from "./fake-process.ts";

test("resolve shows what was pushed to a registry", async () => {
  const server = await RegistryServer.start();
  push(server, pushedChain(3));
  const sources = { shop: { registry: server.repository, publicKeys: [signer.publicKey] } };
  const config = await configFile({ sources });
  const { code, stdout } = await cli(["resolve", "--config", config, "--json", pathOf("link-0")]);
  expect(code).toBe(0);
  const { paths, narSize } = JSON.parse(stdout) as {
    readonly paths: readonly { readonly storePath: string; readonly type: string }[];
    readonly narSize: number;
  };
  expect(new Map(paths.map(({ storePath, type }) => [storePath, type]))).toEqual(
    new Map([
      [pathOf("link-0"), "directory"],
      [pathOf("link-1"), "directory"],
      [pathOf("link-2"), "regular"],
    ]),
  );
  expect(narSize).toBe(3000);
  expect(server.requests).toHaveLength(3);
  expect((await cli(["resolve", "--config", config, pathOf("link-0")])).stdout).toContain("link-2");
});

test("resolve says what was not", async () => {
  const server = await RegistryServer.start();
  const sources = { shop: { registry: server.repository, publicKeys: [signer.publicKey] } };
  const config = await configFile({ sources });
  const [a, b] = [pathOf("a"), pathOf("b")];
  const { code, stderr } = await cli(["resolve", "--config", config, a, b]);
  expect(code).not.toBe(0);
  expect(stderr).toContain(`"nix-closure push ${a} ${b} --to ${server.repository} --together"`);
});
