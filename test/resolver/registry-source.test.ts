import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { storeHash, type StorePath } from "../../src/nix/store-path.ts";
import type { Resolver } from "../../src/resolver/resolver.ts";
import { TrustedClosure } from "../../src/resolver/trusted-closure.ts";
import { CacheServer } from "./cache-server.ts";
import { cacheFiles, pathOf, signer } from "./fake-store.ts";
import { failureOf, noLimits, resolverWith, temporaryDirectory } from "./fixture.ts";
import { documentOf, manifestOf, push, pushedChain, pushedPath, registrySource } from "./pushed.ts";
import { RegistryServer } from "./registry-server.ts";
import { TestClock } from "./test-clock.ts";

const document = pushedChain(4);
const [root] = document.roots as [StorePath];

describe("a pushed closure", () => {
  test("is what was pushed, in at most three requests, and then in none", async () => {
    const server = await RegistryServer.start();
    const parts = push(server, document);
    const resolver = resolverWith([registrySource(server)]);
    expect(resolver.known("main", [root])).toBeUndefined();
    const closure = await resolver.resolve("main", [root]);
    expect(closure.roots).toEqual([root]);
    expect(closure.paths).toEqual(document.paths);
    expect([...closure.byPath.keys()]).toEqual(document.paths.map(({ storePath }) => storePath));
    expect(closure.narSize).toBe(4000);
    expect(server.requests).toHaveLength(3);
    expect(server.requests[0]).toBe(`manifests/${parts.tag}`);
    expect(server.requests[1]).toBe(`manifests/${parts.manifest.digest}`);
    expect(server.requests[2]).toMatch(/^blobs\/sha256:/);

    expect(resolver.known("main", [root])).toBe(closure);
    expect(await resolver.resolve("main", [root])).toBe(closure);
    expect(await resolver.resolveHashes("main", [storeHash(root)])).toBe(closure);
    expect(await resolver.lookup("main", storeHash(root))).toEqual(closure.byPath.get(root));
    const paths = closure.paths.map(({ storePath }) => storePath).toReversed();
    const types = await resolver.pathTypes("main", paths);
    expect([...types]).toEqual(
      paths.map((path) => [path, path === pathOf("link-3") ? "regular" : "directory"]),
    );
    expect(server.requests).toHaveLength(3);
  });

  test("has the images that it was pushed with", async () => {
    const server = await RegistryServer.start();
    push(server, document);
    const resolver = resolverWith([registrySource(server)]);
    const closure = await resolver.resolve("main", [root]);
    const images = resolver.pushedImages("main", closure);
    const directories = [0, 1, 2].map((index) => pathOf(`link-${index}`)).toSorted();
    expect(images).toEqual({
      repository: server.repository,
      system: "x86_64-linux",
      paths: new Map(directories.map((path) => [path, manifestOf(path).digest])),
      storeImages: [
        { own: new Set(), digest: manifestOf(`all of ${root}`).digest },
        { own: new Set(directories), digest: manifestOf(`the rest of ${root}`).digest },
      ],
    });
    expect(resolver.repositoryOf("main")).toBe(server.repository);
  });

  test("keeps its images when the resolver is another one by then", async () => {
    const server = await RegistryServer.start();
    push(server, document);
    const closure = await resolverWith([registrySource(server)]).resolve("main", [root]);
    const images = resolverWith([registrySource(server)]).pushedImages("main", closure);
    expect(images?.repository).toBe(server.repository);
  });

  test("is asked for once by all who ask at a time", async () => {
    const server = await RegistryServer.start();
    push(server, document);
    const resolver = resolverWith([registrySource(server)]);
    const closures = await Promise.all(Array.from({ length: 20 }, () => resolver.resolve("main", [root])));
    expect(new Set(closures).size).toBe(1);
    expect(server.requests).toHaveLength(3);
  });

  test("of a file alone has no images of paths", async () => {
    const server = await RegistryServer.start();
    push(server, pushedChain(1, "script"));
    const resolver = resolverWith([registrySource(server)]);
    const closure = await resolver.resolve("main", [pathOf("script-0")]);
    expect(resolver.pushedImages("main", closure)?.paths.size).toBe(0);
  });

  test("can have thousands of paths", async () => {
    const server = await RegistryServer.start();
    push(server, pushedChain(2000));
    const resolver = resolverWith([registrySource(server)]);
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(2000);
    const paths = Array.from({ length: 2000 }, (_, index) => pathOf(`link-${index}`));
    expect((await resolver.pathTypes("main", paths)).size).toBe(2000);
    expect(server.requests).toHaveLength(3);
  });

  test("has no NARs", async () => {
    const server = await RegistryServer.start();
    push(server, document);
    const error = await failureOf(resolverWith([registrySource(server)]).narLocations("main", root));
    expect(error.code).toBe("SOURCE_WITHOUT_NARS");
    expect(error.message).toBe(
      `source "main" has images, in ${server.repository}, and no NARs; name a source with caches`,
    );
  });

  test("tells the type of a path that nobody has resolved yet, if it is a root", async () => {
    const server = await RegistryServer.start();
    push(server, document);
    const resolver = resolverWith([registrySource(server)]);
    expect([...(await resolver.pathTypes("main", [root])).values()]).toEqual(["directory"]);
    const error = await failureOf(resolver.pathTypes("main", [pathOf("other")]));
    expect(error.code).toBe("CLOSURE_NOT_PUSHED");
  });
});

describe("limits", () => {
  const limited = async (limits: Partial<typeof noLimits>): Promise<Resolver> => {
    const server = await RegistryServer.start();
    push(server, document);
    return resolverWith([registrySource(server)], { limits: { ...noLimits, ...limits } });
  };

  test.for([
    [{ maxPaths: 3 }, "CLOSURE_TOO_MANY_PATHS", `the closure of ${root} has more than 3 paths, the limit`],
    [{ maxBytes: 3999 }, "CLOSURE_TOO_LARGE", `the closure of ${root} has 3.9 KiB, the limit is 3.9 KiB`],
  ] as const)("%j", async ([limits, code, message]) => {
    const resolver = await limited(limits);
    const error = await failureOf(resolver.resolve("main", [root]));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(resolver.known("main", [root])).toBeUndefined();
  });

  test("that are not exceeded", async () => {
    const resolver = await limited({ maxPaths: 4, maxBytes: 4000 });
    expect((await resolver.resolve("main", [root])).paths).toHaveLength(4);
  });
});

describe("several roots", () => {
  const [a, b, c, shared] = ["a", "b", "c", "shared"].map(pathOf) as [
    StorePath,
    StorePath,
    StorePath,
    StorePath,
  ];
  const together = documentOf(
    [a, b],
    [pushedPath(a, [shared]), pushedPath(b, [shared]), pushedPath(shared, [])],
  );
  const alone = documentOf([a], [pushedPath(a, [shared]), pushedPath(shared, [])]);

  test("that were pushed together are one closure, in the order in which they are asked for", async () => {
    const server = await RegistryServer.start();
    push(server, together);
    const resolver = resolverWith([registrySource(server)]);
    const closure = await resolver.resolve("main", [b, a, b]);
    expect(closure.roots).toEqual([b, a]);
    expect(closure.paths).toHaveLength(3);
    expect(resolver.known("main", [b, a])).toBe(closure);
    expect((await resolver.resolve("main", [a, b])).roots).toEqual([a, b]);
    expect((await resolver.resolveHashes("main", [b, a].map(storeHash))).roots).toEqual([b, a]);
    expect(server.requests).toHaveLength(3);
    for (const order of [
      [a, b],
      [b, a],
    ]) {
      const found = await resolver.resolve("main", order);
      expect(resolver.pushedImages("main", found)?.storeImages).toHaveLength(2);
    }
  });

  test("that were pushed one by one are refused with the command", async () => {
    const server = await RegistryServer.start();
    push(server, alone);
    const resolver = resolverWith([registrySource(server)]);
    const error = await failureOf(resolver.resolve("main", [a, b]));
    expect(error.code).toBe("CLOSURE_NOT_PUSHED");
    expect(error.message).toBe(
      `the closure of ${a} ${b} was not pushed to ${server.repository}; check the paths, or push it there with ` +
        `"nix-closure push ${a} ${b} --to ${server.repository} --together"`,
    );
  });

  test("have no root of their own if they were pushed together alone", async () => {
    const server = await RegistryServer.start();
    push(server, together);
    const error = await failureOf(resolverWith([registrySource(server)]).resolve("main", [a]));
    expect(error.message).toBe(
      `the closure of ${a} was not pushed to ${server.repository}; check the path, or push it there with ` +
        `"nix-closure push ${a} --to ${server.repository}"`,
    );
  });

  test("are at most three", async () => {
    const server = await RegistryServer.start();
    const resolver = resolverWith([registrySource(server)]);
    const error = await failureOf(resolver.resolve("main", [a, b, c, shared]));
    expect(error.code).toBe("TOO_MANY_TOGETHER");
    expect(resolver.known("main", [a, b, c, shared])).toBeUndefined();
    // One of them could have the others.
    expect(server.requests).toEqual([a, b, c, shared].map((path) => `manifests/${storeHash(path)}`));
  });

  test("are one closure if that of one of them has the others, in whatever order, and then without a request", async () => {
    const server = await RegistryServer.start();
    push(server, document);
    const resolver = resolverWith([registrySource(server)]);
    const [second, file] = [pathOf("link-1"), pathOf("link-3")];
    const closure = await resolver.resolve("main", [second, root]);
    expect(closure.roots).toEqual([second, root]);
    expect(closure.paths).toEqual(document.paths);
    expect(resolver.pushedImages("main", closure)?.storeImages).toHaveLength(2);
    // Under the tag of both is nothing, and under that of the second one neither.
    expect(server.requests).toHaveLength(5);
    expect(resolver.known("main", [second, root])).toBe(closure);
    expect(await resolver.resolve("main", [second, root])).toBe(closure);
    const all = [file, pathOf("link-2"), root, second];
    expect((await resolver.resolve("main", all)).roots).toEqual(all);
    expect(resolver.known("main", all)?.roots).toEqual(all);
    expect(server.requests).toHaveLength(5);
    const error = await failureOf(resolver.resolve("main", [root, pathOf("other")]));
    expect(error.code).toBe("CLOSURE_NOT_PUSHED");
    expect(error.message).toContain("--together");
  });

  test("in any number of orders are not all kept", async () => {
    const closure = new TrustedClosure("a.example/b", manifestOf("index").digest, pushedChain(40), 1);
    const asked = (index: number) => closure.closure([root, pathOf(`link-${index}`)]);
    const first = asked(1);
    expect(asked(1)).toBe(first);
    for (let index = 2; index < 40; index++) expect(asked(index)?.roots).toHaveLength(2);
    expect(asked(1)).not.toBe(first);
    expect(asked(1)).toEqual(first);
  });
});

test("another name with the same hash is refused with the right one", async () => {
  const server = await RegistryServer.start();
  push(server, document);
  const resolver = resolverWith([registrySource(server)]);
  const misspelt = `${root}-typo` as StorePath;
  const error = await failureOf(resolver.resolve("main", [misspelt]));
  expect(error.code).toBe("CLOSURE_ROOTS_DIFFER");
  expect(error.message).toBe(
    `${server.repository} has the closure of ${root} where that of ${misspelt} should be; check the path's name, or push the closure again`,
  );
  expect(resolver.known("main", [misspelt])).toBeUndefined();
  expect(resolver.known("main", [root])).toBeDefined();
});

test("sources of both kinds are beside each other", async () => {
  const registry = await RegistryServer.start();
  push(registry, document);
  const cache = await CacheServer.start(cacheFiles([[pathOf("cached")]]));
  const resolver = resolverWith([
    registrySource(registry),
    { name: "caches", caches: [cache.url], publicKeys: [signer.publicKey] },
  ]);
  expect(resolver.sources).toEqual(["main", "caches"]);
  const closure = await resolver.resolve("caches", [pathOf("cached")]);
  expect(resolver.repositoryOf("caches")).toBeUndefined();
  expect(resolver.pushedImages("caches", closure)).toBeUndefined();
  expect((await failureOf(resolver.resolve("caches", [root]))).code).toBe("PATH_UNKNOWN");
  expect((await failureOf(resolver.resolve("main", [pathOf("cached")]))).code).toBe("CLOSURE_NOT_PUSHED");
  expect((await resolver.resolve("main", [root])).paths).toHaveLength(4);
});

describe("a path that is forgotten", () => {
  test("takes the closures with it", async () => {
    const server = await RegistryServer.start();
    push(server, document);
    const resolver = resolverWith([registrySource(server)]);
    await resolver.resolve("main", [root]);
    resolver.forget("main", pathOf("other"));
    expect(resolver.known("main", [root])).toBeDefined();
    resolver.forget("main", pathOf("link-2"));
    expect(resolver.known("main", [root])).toBeUndefined();
    await resolver.resolve("main", [root]);
    expect(server.requests).toHaveLength(6);
  });
});

describe("credentials", () => {
  const configFor = (server: RegistryServer, password: string): string => {
    const auth = Buffer.from(`me:${password}`).toString("base64");
    return JSON.stringify({ auths: { [server.host]: { auth } } });
  };

  test.for(["basic", "bearer"] as const)(
    "are shown as %s, and cost no request of a closure",
    async (scheme) => {
      const server = await RegistryServer.start();
      server.login = { scheme, user: "me", password: "secret" };
      push(server, document);
      push(server, pushedChain(2, "other"));
      const dockerConfigFile = join(await temporaryDirectory(), "config.json");
      await writeFile(dockerConfigFile, configFor(server, "secret"));
      const resolver = resolverWith([registrySource(server, { dockerConfigFile })]);
      await resolver.resolve("main", [root]);
      expect([server.requests.length, server.challenges, server.tokens]).toEqual([
        3,
        1,
        scheme === "bearer" ? 1 : 0,
      ]);
      await resolver.resolve("main", [pathOf("other-0")]);
      expect([server.requests.length, server.challenges]).toEqual([6, 1]);
    },
  );

  test("that are wrong are named, and used when they were replaced", async () => {
    const server = await RegistryServer.start();
    server.login = { scheme: "basic", user: "me", password: "new" };
    push(server, document);
    const dockerConfigFile = join(await temporaryDirectory(), "config.json");
    await writeFile(dockerConfigFile, configFor(server, "old"));
    const resolver = resolverWith([registrySource(server, { dockerConfigFile })]);
    const error = await failureOf(resolver.resolve("main", [root]));
    expect(error.code).toBe("REGISTRY_ACCESS_DENIED");
    expect(error.message).toContain(dockerConfigFile);
    expect(error.message).toContain(root);
    expect(error.message).not.toContain("old");
    await writeFile(dockerConfigFile, configFor(server, "new"));
    // Another path: the refusal stands for some seconds.
    push(server, pushedChain(2, "other"));
    await resolver.resolve("main", [pathOf("other-0")]);
  });

  test("that are not configured are missed in words", async () => {
    const server = await RegistryServer.start();
    server.login = { scheme: "bearer", user: "me", password: "secret" };
    const error = await failureOf(resolverWith([registrySource(server)]).resolve("main", [root]));
    expect(error.code).toBe("REGISTRY_ACCESS_DENIED");
    expect(error.message).toContain("no credentials are configured for it");
  });
});

describe("the connection", () => {
  const fast = { timeouts: { connect: 200, headers: 200, attempt: 200 }, clock: new TestClock() };

  test("is plain on the loopback, and has TLS if that is asked for", async () => {
    const server = await RegistryServer.start();
    push(server, document);
    await resolverWith([registrySource(server, { plainHTTP: true })]).resolve("main", [root]);
    const secure = resolverWith([registrySource(server, { plainHTTP: false })], fast);
    expect((await failureOf(secure.resolve("main", [root]))).code).toBe("REGISTRY_UNAVAILABLE");
    expect(server.requests).toHaveLength(3);
  });

  test("trusts the authorities of a file, which is named if it cannot be read", async () => {
    const server = await RegistryServer.start();
    const resolver = resolverWith([registrySource(server, { caFile: "/nowhere/ca.pem" })], fast);
    const error = await failureOf(resolver.resolve("main", [root]));
    expect(error.code).toBe("FILE_UNREADABLE");
    expect(error.message).toContain("/nowhere/ca.pem");
    expect(server.requests).toEqual([]);
  });
});
