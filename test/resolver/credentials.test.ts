import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { storeHash } from "../../src/nix/store-path.ts";
import { findNetrcEntry, parseNetrc } from "../../src/resolver/netrc.ts";
import { openNar } from "../../src/resolver/open-nar.ts";
import { CacheServer, redirectTo } from "./cache-server.ts";
import { cacheFiles, narInfoOf, pathOf } from "./fake-store.ts";
import { failureOf, resolverOf, temporaryDirectory } from "./fixture.ts";
import { TestClock } from "./test-clock.ts";

const path = pathOf("app");
const narInfo = `${storeHash(path)}.narinfo`;

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

describe("netrc", () => {
  const entry = { machine: "cache.example", login: "me", password: "secret" };

  test.for([
    ["on one line", "machine cache.example login me password secret"],
    ["on lines of their own", "machine cache.example\n\tlogin me\r\n  password secret\n"],
    ["in another order", "machine cache.example password secret login me"],
    ["with comments", "# mine\nmachine cache.example # here\nlogin me\n#login you\npassword secret"],
    ["in quotes", 'machine "cache.example" login "me" password "secret"'],
    ["with an account", "machine cache.example login me account password password secret"],
    [
      "after a macro",
      "macdef init\nmachine cache.example login wrong\n\nmachine cache.example login me password secret",
    ],
    ["before a macro without end", "machine cache.example login me password secret macdef x\nlogin wrong"],
    ["after words that mean nothing", "port 443 machine cache.example login me password secret"],
    ["without a newline inside quotes", 'machine cache.example login me password "secret'],
  ])("is read %s", ([, text]) => {
    expect(findNetrcEntry(parseNetrc(text!), "cache.example")).toEqual(entry);
  });

  test.for([
    ['"with space"', "with space"],
    ['"a\\"b\\\\c\\td"', 'a"b\\c\td'],
    ["#hash", "#hash"],
    ['""', ""],
    ["back\\slash", "back\\slash"],
    ['mid"quote', 'mid"quote'],
  ])("a password %s is %j", ([text, password]) => {
    const entries = parseNetrc(`machine m login me password ${text}\nmachine other login you`);
    expect(entries.map((found) => found.password)).toEqual([password, ""]);
  });

  test.for([
    ["the first of its name", "b", "second"],
    ["without regard to case", "B", "second"],
    ["else the default", "c", "fallback"],
  ])("for a host it is %s", ([, host, login]) => {
    const text = "default login fallback machine a login first machine b login second machine b login third";
    expect(findNetrcEntry(parseNetrc(text), host!)?.login).toBe(login);
  });

  test("is nothing for a host without an entry", () => {
    expect(findNetrcEntry(parseNetrc("machine a login first"), "b")).toBeUndefined();
    expect(parseNetrc("login nobody password none")).toEqual([]);
  });
});

describe("what is sent", () => {
  async function sent(credentials: {
    readonly netrc?: string;
    readonly bearer?: string;
    readonly login?: string;
  }): Promise<string | undefined> {
    const directory = await temporaryDirectory();
    const server = await CacheServer.start(cacheFiles([[path]]));
    const [netrcFile, bearerTokenFile] = [join(directory, "netrc"), join(directory, "token")];
    if (credentials.netrc !== undefined) await writeFile(netrcFile, credentials.netrc);
    if (credentials.bearer !== undefined) await writeFile(bearerTokenFile, credentials.bearer);
    const url = server.url.replace("//", `//${credentials.login ?? ""}`);
    const resolver = resolverOf(url, {
      ...(credentials.netrc === undefined ? {} : { netrcFile }),
      ...(credentials.bearer === undefined ? {} : { bearerTokenFile }),
    });
    await resolver.resolve("main", [path]);
    const values = new Set(server.requests.map(({ authorization }) => authorization));
    expect(values.size).toBe(1);
    return [...values][0];
  }

  const netrc = "machine 127.0.0.1 login me password pässword\ndefault login all password any";

  test.for([
    ["nothing without credentials", {}, undefined],
    ["the machine's login", { netrc }, basic("me", "pässword")],
    ["the default's login", { netrc: "machine x login y default login all" }, basic("all", "")],
    ["nothing for other machines", { netrc: "machine x login y password z" }, undefined],
    ["the token, trimmed", { bearer: " token\n" }, "Bearer token"],
    ["nothing for an empty token", { bearer: "\n" }, undefined],
    ["the URL's login", { login: "m%40e:pa%3Ass@" }, basic("m@e", "pa:ss")],
    ["the URL's login before all", { login: "me:x@", netrc, bearer: "token" }, basic("me", "x")],
    ["the machine's login before the token", { netrc, bearer: "token" }, basic("me", "pässword")],
    ["the token before the default", { netrc: "default login all", bearer: "token" }, "Bearer token"],
  ] as const)("is %s", async ([, credentials, authorization]) => {
    expect(await sent(credentials)).toBe(authorization);
  });

  test("changes with the file, within a second", async () => {
    const bearerTokenFile = join(await temporaryDirectory(), "token");
    await writeFile(bearerTokenFile, "old");
    const clock = new TestClock();
    const server = await CacheServer.start(cacheFiles([[path], [pathOf("b")], [pathOf("c")]]));
    const resolver = resolverOf(server.url, { bearerTokenFile, clock });
    await resolver.resolve("main", [path]);
    await writeFile(bearerTokenFile, "a newer one");
    clock.advance(1000);
    await resolver.resolve("main", [pathOf("b")]);
    expect(server.requests.map(({ authorization }) => authorization)).toEqual([
      "Bearer old",
      "Bearer old",
      "Bearer a newer one",
    ]);
    await rm(bearerTokenFile);
    clock.advance(1000);
    const error = await failureOf(resolver.resolve("main", [pathOf("c")]));
    expect(error.code).toBe("FILE_UNREADABLE");
    expect(error.message).toContain(bearerTokenFile);
  });
});

describe("credentials stay with the configured origin", () => {
  test("a redirect to another port has none, nor has one back from there", async () => {
    const home = await CacheServer.start();
    const away = await CacheServer.start();
    home.answer(narInfo, redirectTo(`${away.url}/there`));
    away.answer("there", redirectTo(`${home.url}/back`));
    home.answer("back", (response) => response.end(narInfoOf(path)));
    await resolverOf(home.url.replace("//", "//me:secret@")).resolve("main", [path]);
    expect(away.requests).toEqual([{ path: "/there", authorization: undefined }]);
    expect(home.requests.map(({ path: asked, authorization }) => [asked, authorization])).toEqual([
      ["/nix-cache-info", basic("me", "secret")],
      [`/${narInfo}`, basic("me", "secret")],
      ["/back", undefined],
    ]);
  });

  test("a redirect on the same origin keeps them", async () => {
    const home = await CacheServer.start();
    home.answer(narInfo, redirectTo("/there"));
    home.answer("there", (response) => response.end(narInfoOf(path)));
    await resolverOf(home.url.replace("//", "//me:secret@")).resolve("main", [path]);
    expect(home.requests.at(-1)).toEqual({ path: "/there", authorization: basic("me", "secret") });
  });

  test("a NAR on another origin has none", async () => {
    const [home, away] = [await CacheServer.start(), await CacheServer.start()];
    away.answer("x.nar", (response) => response.end("bytes"));
    home.answer(narInfo, (response) =>
      response.end(narInfoOf(path, { fields: { url: `${away.url}/x.nar` } })),
    );
    const resolver = resolverOf(home.url.replace("//", "//me:secret@"));
    const [location] = await resolver.narLocations("main", path);
    expect(location).not.toHaveProperty("authorization");
    (await openNar(location!)).destroy();
    expect(away.requests).toEqual([{ path: "/x.nar", authorization: undefined }]);
  });

  test("a NAR on the cache's own origin has them, until a redirect leads away", async () => {
    const [home, away] = [await CacheServer.start(), await CacheServer.start()];
    away.answer("x.nar", (response) => response.end("bytes"));
    home.answer(narInfo, (response) => response.end(narInfoOf(path, { fields: { url: "x.nar" } })));
    home.answer("x.nar", redirectTo(`${away.url}/x.nar`));
    const resolver = resolverOf(home.url.replace("//", "//me:secret@"));
    const [location] = await resolver.narLocations("main", path);
    expect(location).toHaveProperty("authorization", basic("me", "secret"));
    (await openNar(location!)).destroy();
    expect(home.requests.at(-1)?.authorization).toBe(basic("me", "secret"));
    expect(away.requests).toEqual([{ path: "/x.nar", authorization: undefined }]);
  });

  test("no message shows them", async () => {
    const server = await CacheServer.start();
    server.answer("*", 401);
    const resolver = resolverOf(server.url.replace("//", "//me:secret@"));
    const denied = await failureOf(resolver.resolve("main", [path]));
    expect(denied.code).toBe("CACHE_ACCESS_DENIED");
    expect(denied.message).toContain(server.url);
    server.answer("*", 404);
    const unknown = await failureOf(resolver.resolve("main", [path]));
    expect(`${denied.message} ${unknown.message}`).not.toMatch(/secret|me:/);
  });
});
