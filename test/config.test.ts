import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadConfig, parseConfig, type Config } from "../src/config.ts";
import { demoKey } from "./nix/demo-cache.ts";
import { failureOf } from "./nix/failure.ts";

const gibibyte = 1024 ** 3;

const defaults: Config = {
  sources: [
    {
      name: "nixos",
      caches: ["https://cache.nixos.org"],
      publicKeys: ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="],
      namespaces: ["*"],
    },
  ],
  defaultSource: "nixos",
  baseImage: "localhost:5417/base:1",
  registry: {
    enabled: true,
    listen: { host: "localhost", port: 5417 },
    reference: "localhost:5417",
    blobs: { directory: "/var/lib/nix-closure", maxBytes: 20 * gibibyte },
  },
  kubelet: { registryPullQPS: 5, registryBurst: 10 },
  plan: { strategy: "auto", maxVolumes: 48, maxPaths: 2000, maxBytes: 20 * gibibyte, warnings: false },
  webhook: {
    listen: { host: "::", port: 10250 },
    certificate: { certFile: "certs/tls.pem", keyFile: "certs/tls.key" },
    minTLSVersion: "1.2",
  },
  cluster: undefined,
  admin: { listen: { host: "127.0.0.1", port: 5418 } },
  log: { level: "info" },
};

function problemsOf(text: string): readonly string[] {
  const error = failureOf(() => parseConfig(text, "nix-closure.yaml"));
  expect(error.code).toBe("CONFIG_INVALID");
  const start = "configuration nix-closure.yaml: ";
  expect(error.message.slice(0, start.length)).toBe(start);
  return error.message.slice(start.length).split("; ");
}

describe("a configuration", () => {
  test.for(["", "# nothing\n", "{}", "---\n", "registry: {}\nplan: {}\nlog: {}\n"])(
    "%j has all defaults",
    (text) => {
      expect(parseConfig(text, "x")).toEqual(defaults);
    },
  );

  test("can say everything", () => {
    const text = `
sources:
  demo:
    caches: [file:///srv/cache, "http://127.0.0.1:8080", "https://cache.example.com/nix?x=1"]
    publicKeys: ["${demoKey}"]
    netrcFile: /etc/netrc
    bearerTokenFile: /etc/token
    namespaces: ["team-*", build]
  bare:
    caches: [https://cache.example.com]
  shop:
    registry: registry.example.com:5000/nix/shop
    publicKeys: ["${demoKey}"]
    dockerConfigFile: /etc/config.json
    caFile: /etc/ca.pem
    plainHTTP: true
    pullSecret: regcred
    namespaces: [shop]
defaultSource: bare
baseImage: registry.example.com/base:1
registry:
  enabled: false
  listen: "[::1]:1"
  reference: registry.example.com
  blobs: { directory: /blobs, maxBytes: 1.5Gi }
kubelet: { registryPullQPS: 0, registryBurst: 1 }
plan: { strategy: bundle, maxVolumes: 200, maxPaths: 3844, maxBytes: 1048576, warnings: true }
webhook: { listen: "0.0.0.0:443", certFile: a, keyFile: b, minTLSVersion: "1.3" }
admin: { listen: ":0" }
log: { level: debug }
`;
    expect(parseConfig(text, "x")).toEqual({
      sources: [
        {
          name: "demo",
          caches: ["file:///srv/cache", "http://127.0.0.1:8080", "https://cache.example.com/nix?x=1"],
          publicKeys: [demoKey],
          netrcFile: "/etc/netrc",
          bearerTokenFile: "/etc/token",
          namespaces: ["team-*", "build"],
        },
        { name: "bare", caches: ["https://cache.example.com"], publicKeys: [], namespaces: ["*"] },
        {
          name: "shop",
          registry: "registry.example.com:5000/nix/shop",
          publicKeys: [demoKey],
          dockerConfigFile: "/etc/config.json",
          caFile: "/etc/ca.pem",
          plainHTTP: true,
          pullSecret: "regcred",
          namespaces: ["shop"],
        },
      ],
      defaultSource: "bare",
      baseImage: "registry.example.com/base:1",
      registry: {
        enabled: false,
        listen: { host: "::1", port: 1 },
        reference: "registry.example.com",
        blobs: { directory: "/blobs", maxBytes: 1.5 * gibibyte },
      },
      kubelet: { registryPullQPS: 0, registryBurst: 1 },
      plan: { strategy: "bundle", maxVolumes: 200, maxPaths: 3844, maxBytes: 1_048_576, warnings: true },
      webhook: {
        listen: { host: "0.0.0.0", port: 443 },
        certificate: { certFile: "a", keyFile: "b" },
        minTLSVersion: "1.3",
      },
      cluster: undefined,
      admin: { listen: { host: "::", port: 0 } },
      log: { level: "debug" },
    });
  });

  test("has the base image of its registry, or none without one", () => {
    const of = (text: string): string | undefined => parseConfig(text, "x").baseImage;
    expect(of("registry: {reference: r.example.com}")).toBe("r.example.com/base:1");
    expect(of("registry: {enabled: false}")).toBeUndefined();
    const digest = `sha256:${"0".repeat(64)}`;
    expect(of(`{baseImage: "r.example.com/a/b:1@${digest}"}`)).toBe(`r.example.com/a/b:1@${digest}`);
  });

  test("with one source needs no default", () => {
    expect(parseConfig("sources: {a: {caches: [https://x.org]}}", "x").defaultSource).toBe("a");
  });
});

describe("in a cluster", () => {
  const cluster = {
    namespace: "nix-closure",
    service: "nix-closure-webhook",
    webhookConfiguration: "nix-closure",
    secret: "nix-closure-ca",
    caValidityMs: 365 * 86_400_000,
    certificateValidityMs: 7 * 86_400_000,
  };

  test("certificates are our own", () => {
    const config = parseConfig("cluster: {}", "x");
    expect(config.cluster).toEqual(cluster);
    expect(config.webhook.certificate).toBe("own");
  });

  test("unless there are files", () => {
    const config = parseConfig(
      "{cluster: {caValidity: 90m, certificateValidity: 30s}, webhook: {certFile: a, keyFile: b}}",
      "x",
    );
    expect(config.cluster).toEqual({ ...cluster, caValidityMs: 5_400_000, certificateValidityMs: 30_000 });
    expect(config.webhook.certificate).toEqual({ certFile: "a", keyFile: "b" });
  });
});

describe("sizes", () => {
  test.for<[string, number]>([
    ["1", 1],
    ["1048576", 1_048_576],
    ['"10"', 10],
    ["1k", 1000],
    ["2M", 2e6],
    ["3G", 3e9],
    ["1T", 1e12],
    ["1Ki", 1024],
    ["1Mi", 1024 ** 2],
    ["20Gi", 20 * gibibyte],
    ["2Ti", 2 * 1024 ** 4],
    ["0.5Gi", gibibyte / 2],
    ["1.0001k", 1000],
  ])("%s are %i bytes", ([text, bytes]) => {
    expect(parseConfig(`plan: {maxBytes: ${text}}`, "x").plan.maxBytes).toBe(bytes);
  });

  test.for([
    '""',
    '"0"',
    "0k",
    "0.9",
    "0.0001Ki",
    "-1",
    "-1Gi",
    "1.5",
    "1 Gi",
    "1gi",
    "1KiB",
    '"1e3"',
    ".5Gi",
  ])("%s is none", (text) => {
    const [problem, ...more] = problemsOf(`registry: {blobs: {maxBytes: ${text}}}`);
    expect(more).toEqual([]);
    expect(problem).toMatch(/^registry\.blobs\.maxBytes.* is not a size such as 20Gi, 500M or 1048576$/);
  });

  test.for(["true", "[]", "{}", "null", "99999999Ti"])("%s is none either", (text) => {
    expect(problemsOf(`plan: {maxBytes: ${text}}`).join()).toContain("plan.maxBytes");
  });
});

describe("problems", () => {
  test.for<[text: string, ...problems: string[]]>([
    ["a: [", expect.stringMatching(/^not YAML: .* at line 1/)],
    ["plan: {}\nplan: {}", expect.stringMatching(/^not YAML: Map keys must be unique at line 2/)],
    ["{}\n---\n{}", expect.stringMatching(/^not YAML: .*multiple documents/)],
    ["!x", expect.stringMatching(/^not YAML: Unresolved tag: !x at line 1/)],
    ["? [a]\n: b", expect.stringContaining("unknown key [ a ]")],
    ['sources: {"a\\n": {caches: x}}', "sources.a\n.caches must be array"],
    ['sources: {"\\r": {caches: [x], publicKeys: [{}]}}', "sources.\r.publicKeys.0 must be string"],
    ["[]", "the file must be object"],
    ["text", "the file must be object"],
    ["regstry: {}", "unknown key regstry; did you mean registry?"],
    ["registry: {enabled: maybe}", "registry.enabled must be boolean"],
    ["baseImage: r.org/base", 'baseImage: "r.org/base" has neither tag nor digest; write one of them'],
    [
      "baseImage: debian",
      expect.stringMatching(/^baseImage: "debian" is not an image reference: it names no registry host/),
    ],
    ["registry: {listem: x}", "unknown key registry.listem; did you mean listen?"],
    ["registry: {blobs: {maxSize: 1}}", "unknown key registry.blobs.maxSize; did you mean maxBytes?"],
    ["kubelet: {registryPullQps: 5}", "unknown key kubelet.registryPullQps; did you mean registryPullQPS?"],
    ["plan: {maxVolume: 5}", "unknown key plan.maxVolume; did you mean maxVolumes?"],
    ["webhook: {cert: x}", "unknown key webhook.cert; did you mean certFile?"],
    ["admin: {address: x}", "unknown key admin.address; did you mean listen?"],
    ["cluster: {secrets: x}", "unknown key cluster.secrets; did you mean secret?"],
    ["cluster: {service: A_b}", 'cluster.service: "A_b" is not a name in Kubernetes'],
    [
      "cluster: {caValidity: 1y}",
      'cluster.caValidity: "1y" is not a time from 30s to 3650d, such as 90d or 12h',
    ],
    [
      "cluster: {certificateValidity: 29s}",
      'cluster.certificateValidity: "29s" is not a time from 30s to 3650d, such as 90d or 12h',
    ],
    [
      "cluster: {caValidity: 4m, certificateValidity: 1m}",
      "cluster.caValidity is too short: a change takes some time, so at least 5m",
    ],
    ["cluster: {caValidity: 6d}", "cluster.certificateValidity is longer than cluster.caValidity"],
    [
      "{cluster: {}, webhook: {certFile: x}}",
      "webhook: certFile and keyFile belong together; with cluster, leave out both or none",
    ],
    ["log: {levels: x}", "unknown key log.levels; did you mean level?"],
    ["plan: null", "plan must be object"],
    ["plan: {strategy: fast}", 'plan.strategy is not one of: "auto", "per-path", "packed", "bundle"'],
    ["plan: {maxVolumes: 0}", "plan.maxVolumes must be >= 1"],
    ["plan: {maxVolumes: 201}", "plan.maxVolumes must be <= 200"],
    ["plan: {maxPaths: 3845}", "plan.maxPaths must be <= 3844"],
    ["plan: {warnings: sometimes}", "plan.warnings must be boolean"],
    ["plan: {maxPaths: 1.5}", "plan.maxPaths must be integer"],
    ["kubelet: {registryPullQPS: -1}", "kubelet.registryPullQPS must be >= 0"],
    ["kubelet: {registryBurst: 0}", "kubelet.registryBurst must be >= 1"],
    ["webhook: {minTLSVersion: 1.3}", 'webhook.minTLSVersion is not one of: "1.2", "1.3"'],
    ["log: {level: loud}", 'log.level is not one of: "debug", "info", "warn", "error"'],
    ["defaultSource: x", 'defaultSource: there is no source "x"; there are: nixos'],
    ["sources: {}", "sources must not have fewer than 1 properties"],
    ["sources: {a: {}}", "sources.a has neither caches nor registry; write one of them"],
    ["sources: {a: {caches: []}}", "sources.a.caches must not have fewer than 1 items"],
    ["sources: {a: {caches: [5]}}", "sources.a.caches.0 must be string"],
    [
      "sources: {a: {caches: [https://x.org], publicKey: x}}",
      "unknown key sources.a.publicKey; did you mean publicKeys?",
    ],
    [
      "sources: {a: {caches: [https://x.org], pullSecret: x, caFile: y}}",
      "sources.a.caFile is for a source with registry; sources.a.pullSecret is for a source with registry",
    ],
    ["sources: {a: {registry: 5}}", "sources.a.registry must be string"],
    ["sources: {a: {registry: x, plainHTTP: yes}}", "sources.a.plainHTTP must be boolean"],
    ["sources: {a: {regstry: x.org/nix}}", "unknown key sources.a.regstry; did you mean registry?"],
    [
      "sources: {a: {caches: [https://x.org]}, b: {caches: [https://x.org]}}",
      "defaultSource is missing; with several sources one of them is to be named: a, b",
    ],
  ])("%j: %s", ([text, ...problems]) => {
    expect(problemsOf(text).join("; ")).toEqual(problems[0]);
  });

  test.for(["A", "a_b", "a.b", "-a", "a--b", "x".repeat(31), '"a/b"'])("%s names no source", (name) => {
    expect(problemsOf(`sources: {${name}: {caches: [https://x.org]}}`).join("; ")).toContain(
      "a source's name has up to 30 lower-case letters and digits, with single dashes between",
    );
  });

  test.for(["ftp://x.org", "https://", "cache.nixos.org", "/srv", "file://srv/cache", "https://[x"])(
    "%s is no cache",
    (cache) => {
      const problems = problemsOf(`sources: {a: {caches: ["${cache}"]}}`);
      expect(problems.join("; ")).toBe(
        `sources.a.caches: "${cache}" is not https://..., http://... or file:///...`,
      );
    },
  );

  describe("of a source in a registry", () => {
    const problemsWith = (...lines: readonly string[]): string =>
      problemsOf(["sources:", "  a:", ...lines.map((line) => `    ${line}`)].join("\n")).join("; ");
    const keys = `publicKeys: ["${demoKey}"]`;

    test.for([
      ["https://x.org/nix", '"https://x.org/nix" is a URL; write <host>/<repository>'],
      ["x.org/nix:latest", '"x.org/nix:latest" has a tag or digest; write <host>/<repository>'],
      [`x.org/nix@sha256:${"0".repeat(64)}`, "has a tag or digest"],
      ["x.org", '"x.org" is not an image reference: it names no registry host'],
      ["team/nix", '"team/nix" is not an image reference: it names no registry host'],
      ["x.org/Nix", "only lower case is allowed there"],
      ["x.org:99999/nix", '"x.org:99999/nix" has a port that is not from 1 to 65535'],
      ["x.org:0/nix", "has a port that is not from 1 to 65535"],
      [`x.org/${"n".repeat(250)}`, "at most 255 are allowed"],
      ["localhost:5417/nix", "is on the registry that nodes ask for images of caches (registry.reference)"],
      ["LOCALHOST:5417/nix", "is on the registry that nodes ask for images of caches (registry.reference)"],
    ])("%s is no repository", ([registry, problem]) => {
      const text = problemsWith(`registry: "${registry}"`, keys);
      expect(text).toContain("sources.a.registry: ");
      expect(text).toContain(problem);
    });

    test.for(["localhost:5000/nix", "docker.io/team/nix", "127.0.0.1/nix", "[::1]:5000/a/b__c/d.e-f"])(
      "%s is one",
      (registry) => {
        const text = `sources: {a: {registry: "${registry}", ${keys}}}`;
        expect(parseConfig(text, "x").sources).toEqual([
          { name: "a", registry, publicKeys: [demoKey], namespaces: ["*"] },
        ]);
      },
    );

    test.for(["[]", undefined])("with %s for keys", (value) => {
      const given = value === undefined ? [] : [`publicKeys: ${value}`];
      expect(problemsWith("registry: x.org/nix", ...given)).toBe(
        "sources.a.publicKeys is missing; a closure in a registry is believed only with a signature by one of them",
      );
    });

    test("that has caches too, or what belongs to them", () => {
      expect(problemsWith("registry: x.org/nix", "caches: [https://x.org]", keys)).toBe(
        "sources.a has both caches and registry; make two sources of them",
      );
      expect(problemsWith("registry: x.org/nix", "netrcFile: x", "bearerTokenFile: y", keys)).toBe(
        "sources.a.netrcFile is for a source with caches; sources.a.bearerTokenFile is for a source with caches",
      );
    });

    test.for(["A", "a_b", "-a", "a..b", "a-", ".a", "a".repeat(254)])("with %s for a Secret", (name) => {
      expect(problemsWith("registry: x.org/nix", keys, `pullSecret: "${name}"`)).toContain(
        "is not a name in Kubernetes",
      );
    });
  });

  test("of keys and namespaces name the source", () => {
    const problems = problemsOf(`
sources:
  a:
    caches: [https://x.org]
    publicKeys: ["${demoKey}", "demo:AAAA"]
    namespaces: [team, "Team", "a b"]
`).join("; ");
    expect(problems).toContain('sources.a.publicKeys: "demo:AAAA" is not a public key');
    expect(problems).toContain('sources.a.namespaces: "Team" is not a namespace');
    expect(problems).toContain('sources.a.namespaces: "a b" is not a namespace');
    expect(problems).not.toContain(demoKey);
  });

  test.for(["80", "localhost", "localhost:", "localhost:65536", "::1:80", "[::1]", "[x]:80", "http://x:80"])(
    "%s is no address",
    (address) => {
      for (const key of ["registry", "webhook", "admin"]) {
        expect(problemsOf(`${key}: {listen: "${address}"}`).join("; ")).toBe(
          `${key}.listen: "${address}" is not <host>:<port>, [<IPv6>]:<port> or :<port>`,
        );
      }
    },
  );

  test("come all in one message", () => {
    const problems = problemsOf(`
sources:
  A: {caches: [x]}
defaultSource: b
registry: {listen: x, reference: "x y", blobs: {maxBytes: x}}
`);
    expect(problems.map((problem) => problem.split(/[ :]/)[0])).toEqual([
      "sources.A",
      "sources.A.caches",
      "defaultSource",
      "there",
      "registry.reference",
      "registry.listen",
      "registry.blobs.maxBytes",
    ]);
    expect(problemsOf("regstry: {}\nplan: {maxPaths: x, strategy: x}\nlog: {x: 1}")).toHaveLength(6);
  });
});

describe("registry.reference", () => {
  test.for([
    "localhost",
    "localhost:5417",
    "127.0.0.1:5417",
    "registry.example.com",
    "[::1]:5417",
    "[fd00::1]",
    "registry:5000",
  ])("can be %s", (reference) => {
    expect(parseConfig(`registry: {reference: "${reference}"}`, "x").registry.reference).toBe(reference);
  });

  test.for([
    "",
    "http://x:80",
    "x:80/prefix",
    "x y:80",
    "a..b:80",
    "-a.org",
    "a.org-",
    "a.org:",
    "a.org:x",
    "a.org:0",
    "a.org:65536",
    "[::1",
    "a_b.org",
  ])("cannot be %j", (reference) => {
    expect(problemsOf(`registry: {reference: "${reference}"}`)).toEqual([
      `registry.reference: "${reference}" is not <host> or <host>:<port>`,
    ]);
  });

  test("cannot be a word that nodes take for a part of docker.io", () => {
    expect(problemsOf("registry: {reference: registry}")).toEqual([
      'registry.reference: nodes take "registry" for a repository of docker.io',
      "write it with its port or domain",
    ]);
  });

  test("has to leave room for image names", () => {
    const long = `${"a".repeat(60)}.`.repeat(3) + "example.com";
    expect(parseConfig(`registry: {reference: ${long}}`, "x").registry.reference).toBe(long);
    expect(problemsOf(`registry: {reference: ${`${"a".repeat(60)}.`.repeat(4)}org}`).join()).toContain(
      "leaves no room for a root in image names",
    );
  });
});

describe("loadConfig", () => {
  test("without a file gives the defaults", async () => {
    expect(await loadConfig(undefined)).toEqual(defaults);
  });

  test("reads a file, and names it where it is wrong or missing", async () => {
    const directory = await mkdtemp(join(tmpdir(), "nix-closure-config-"));
    try {
      const file = join(directory, "nix-closure.yaml");
      await expect(loadConfig(file)).rejects.toMatchObject({
        code: "FILE_UNREADABLE",
        message: expect.stringContaining(file),
      });
      await writeFile(file, "log: {level: warn}\n");
      expect((await loadConfig(file)).log.level).toBe("warn");
      await writeFile(file, "log: {level: 1}\n");
      await expect(loadConfig(file)).rejects.toMatchObject({
        code: "CONFIG_INVALID",
        message: expect.stringContaining(`configuration ${file}: log.level`),
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
