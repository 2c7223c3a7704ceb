import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { parse } from "yaml";

import { parseConfig, type Config, type ListenAddress } from "../../../src/config.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { maxRoots } from "../../../src/plan/image-name.ts";
import { mutateJson } from "../json-mutator.ts";
import { accepted, refused, type FuzzTarget, type Verdict } from "../target.ts";

/** A configuration is wrong in words, or complete, within bounds, and the same when it is written out. */
function check(input: Uint8Array): Verdict {
  const text = Buffer.from(input).toString();
  let config: Config;
  try {
    config = parseConfig(text, "fuzz.yaml");
  } catch (error) {
    return refused(error, "CONFIG_INVALID");
  }
  const { sources, registry, webhook, admin, plan, kubelet } = config;
  assert.ok(sources.some(({ name }) => name === config.defaultSource));
  for (const source of sources) {
    if ("caches" in source) {
      assert.ok(maxRoots(registry.reference, source.name) >= 1);
      assert.ok(source.caches.length > 0 && source.caches.every((cache) => URL.canParse(cache)));
    } else {
      assert.ok(source.publicKeys.length > 0);
      const { host, tag, digest } = parseReference(source.registry);
      assert.ok(host !== registry.reference && tag === undefined && digest === undefined);
    }
  }
  for (const { port, host } of [registry.listen, webhook.listen, admin.listen]) {
    assert.ok(Number.isInteger(port) && port >= 0 && port <= 65_535);
    assert.ok(host.length > 0);
  }
  const counts = [
    plan.maxBytes,
    registry.blobs.maxBytes,
    plan.maxPaths,
    plan.maxVolumes,
    kubelet.registryBurst,
  ];
  for (const count of counts) assert.ok(Number.isSafeInteger(count) && count >= 1, String(count));
  assert.ok(kubelet.registryPullQPS >= 0);
  assert.deepEqual(parseConfig(JSON.stringify(fileOf(config)), "fuzz.yaml"), config);
  return accepted(`${sources.length} ${webhook.certificate === "own"} ${config.cluster !== undefined}`);
}

/** The file that says all of a configuration; JSON is YAML. */
function fileOf(config: Config): unknown {
  const { certificate, minTLSVersion } = config.webhook;
  const { caValidityMs, certificateValidityMs, ...names } = config.cluster ?? {};
  return {
    sources: Object.fromEntries(config.sources.map(({ name, ...source }) => [name, source])),
    defaultSource: config.defaultSource,
    registry: { ...config.registry, listen: listen(config.registry.listen) },
    ...(config.baseImage !== undefined && { baseImage: config.baseImage }),
    kubelet: config.kubelet,
    plan: config.plan,
    webhook: {
      listen: listen(config.webhook.listen),
      minTLSVersion,
      ...(certificate === "own" ? {} : certificate),
    },
    ...(config.cluster !== undefined && {
      cluster: {
        ...names,
        caValidity: `${(caValidityMs ?? 0) / 1000}s`,
        certificateValidity: `${(certificateValidityMs ?? 0) / 1000}s`,
      },
    }),
    admin: { listen: listen(config.admin.listen) },
    log: config.log,
  };
}

function listen({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

const documentation = readFileSync(new URL("../../../docs/configuration.md", import.meta.url), "utf8");
const examples = [...documentation.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1] ?? "");

/** Configuration files. */
export const config: FuzzTarget = {
  name: "config",
  seeds: [
    ...examples,
    ...examples.map((example) => JSON.stringify(parse(example))),
    "",
    "cluster: {}",
    "{cluster: {caValidity: 90m, certificateValidity: 30s}, webhook: {certFile: a, keyFile: b}}",
    'sources: {a: {caches: ["http://[::1]:8080/x", file:///srv]}, b: {caches: [https://x.org]}}\ndefaultSource: b\n',
  ].map((seed) => Buffer.from(seed)),
  words: [
    "sources:",
    "caches: [",
    "baseImage: registry.example.com/nix:base-1",
    "registry: registry.example.com/nix",
    "pullSecret: ",
    "publicKeys:",
    "registry:",
    "listen: ",
    "reference: ",
    "blobs: {maxBytes: 1.5Gi}",
    "plan:",
    "cluster:",
    "&a ",
    "*a",
    "<<: ",
    "? ",
    "!!binary ",
    "!x ",
    "%YAML 1.1\n---\n",
    "---\n",
    "...\n",
    "| \n",
    "__proto__: ",
    "constructor: ",
    "toString: ",
    "null",
    "[[[[[[[[",
    "1e308",
    "0x7fffffffffffffff",
    ".inf",
    "\ufeff",
    "\t",
    "\0",
  ],
  mutate: mutateJson,
  maxLength: 8 * 1024,
  maxMs: 2000,
  check,
};
