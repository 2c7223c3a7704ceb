import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { describe, expect, test } from "vitest";
import { storeHash } from "../../src/nix/store-path.ts";
import { followLead } from "../../src/resolver/leads.ts";
import { localKindOfAddress, localKindOfHost } from "../../src/local-address.ts";
import { NixClosureError } from "../../src/errors.ts";
import { CacheServer, redirectTo } from "./cache-server.ts";
import { cacheFiles, narInfoOf, pathOf } from "./fake-store.ts";
import { failureOf, resolverOf } from "./fixture.ts";
import { TestClock } from "./test-clock.ts";

describe("kinds of addresses", () => {
  test.for([
    ["127.0.0.1", "loopback"],
    ["127.255.0.9", "loopback"],
    ["0.0.0.0", "loopback"],
    ["::1", "loopback"],
    ["::", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["::127.0.0.1", "loopback"],
    ["64:ff9b::7f00:1", "loopback"],
    ["169.254.169.254", "link-local"],
    ["::ffff:169.254.169.254", "link-local"],
    ["64:ff9b::a9fe:a9fe", "link-local"],
    ["fe80::1", "link-local"],
    ["fe80::1%eth0", "link-local"],
    ["fd00:ec2::254", "link-local"],
    ["100.100.100.200", "link-local"],
    ["168.63.129.16", "link-local"],
    ["10.0.0.1", undefined],
    ["192.168.1.1", undefined],
    ["126.255.255.255", undefined],
    ["169.253.255.255", undefined],
    ["fec0::1", undefined],
    ["fd00:ec2::253", undefined],
    ["2001:db8::1", undefined],
    ["::ffff:8.8.8.8", undefined],
    ["cache.example", undefined],
  ])("%s is %s", ([address, kind]) => {
    expect(localKindOfAddress(address!)).toBe(kind);
  });

  test.for([
    ["http://localhost/", "loopback"],
    ["http://LOCALHOST./", "loopback"],
    ["http://cache.localhost/", "loopback"],
    ["http://2130706433/", "loopback"],
    ["http://0x7f.1/", "loopback"],
    ["http://0177.0.0.1/", "loopback"],
    ["http://127.1./", "loopback"],
    ["http://[::1]/", "loopback"],
    ["http://[::ffff:127.0.0.1]/", "loopback"],
    ["http://[fe80::1]/", "link-local"],
    ["http://0xa9fea9fe/", "link-local"],
    ["http://localhost.example/", undefined],
    ["http://notlocalhost/", undefined],
  ])("the host of %s is %s", ([url, kind]) => {
    expect(localKindOfHost(new URL(url!).hostname)).toBe(kind);
  });
});

describe("leads by their text", () => {
  const https = "https://cache.example/nix/";
  const http = "http://cache.example/nix/";

  test.for([
    [https, "nar/x.nar.xz", "https://cache.example/nix/nar/x.nar.xz"],
    [https, "nar/x.nar?hash=abc#there", "https://cache.example/nix/nar/x.nar?hash=abc"],
    [https, "/other/x.nar", "https://cache.example/other/x.nar"],
    [https, "../x.nar", "https://cache.example/x.nar"],
    [https, "//cdn.example/x.nar", "https://cdn.example/x.nar"],
    [https, "https://cdn.example/x.nar?sig=1", "https://cdn.example/x.nar?sig=1"],
    [http, "http://cdn.example/x.nar", "http://cdn.example/x.nar"],
    [http, "https://cdn.example:8443/x.nar", "https://cdn.example:8443/x.nar"],
    [https, "https://10.1.2.3/x.nar", "https://10.1.2.3/x.nar"],
    ["http://127.0.0.1:5000/", "http://127.0.0.1:6000/x", "http://127.0.0.1:6000/x"],
    ["http://localhost/", "http://[::1]/x", "http://[::1]/x"],
    ["http://169.254.1.1/", "http://169.254.1.2/x", "http://169.254.1.2/x"],
  ])("from %s to %s is allowed", ([base, target, url]) => {
    const from = new URL(base!);
    expect(followLead({ cache: base!, origin: from.origin }, from, target!).href).toBe(url);
  });

  test.for([
    [https, "http://cache.example/x", "from https to http"],
    [https, "http://cdn.example/x", "from https to http"],
    [http, "file:///etc/passwd", "http and https only"],
    [http, "ftp://cdn.example/x", "http and https only"],
    [http, "data:text/plain,x", "http and https only"],
    [http, "http://", "not a URL"],
    [http, "http://a b/", "not a URL"],
    [http, "http://user:secret@cdn.example/x", "holds credentials"],
    [http, "http://127.0.0.1/x", "loopback"],
    [http, "http://2130706433/x", "loopback"],
    [http, "//localhost/x", "loopback"],
    [http, "http://0/x", "loopback"],
    [http, "http://[::ffff:7f00:1]/x", "loopback"],
    [http, "http://169.254.169.254/latest", "link-local"],
    ["http://127.0.0.1/", "http://169.254.169.254/latest", "link-local"],
    ["http://169.254.1.1/", "http://127.0.0.1/x", "loopback"],
  ])("from %s to %s is refused", ([base, target, why]) => {
    const from = new URL(base!);
    const follow = (): URL => followLead({ cache: base!, origin: from.origin }, from, target!);
    expect(follow).toThrow(NixClosureError);
    expect(follow).toThrow(why);
    expect(follow).not.toThrow("secret");
  });

  test("a signed permission in a query does not get into messages", () => {
    const from = new URL(https);
    const follow = (): URL => followLead({ cache: "c", origin: from.origin }, from, "http://x/y?sig=abc");
    expect(follow).toThrow('leads to "http://x/y?…"');
  });
});

/** A name service with fixed answers. */
function names(table: Readonly<Record<string, readonly string[]>>): LookupFunction {
  return (hostname, options, callback) => {
    const found: LookupAddress[] = (table[hostname] ?? []).map((address) => ({
      address,
      family: address.includes(":") ? 6 : 4,
    }));
    if (options.all === true) callback(null, found);
    else callback(null, found[0]?.address ?? "", found[0]?.family ?? 4);
  };
}

describe("leads by what their names resolve to", () => {
  const path = pathOf("app");
  const narInfo = `${storeHash(path)}.narinfo`;

  test.for([
    ["loopback", ["127.0.0.1"]],
    ["loopback in IPv6", ["::ffff:127.0.0.1"]],
    ["a public address first, then loopback", ["192.0.2.1", "127.0.0.1"]],
    ["link-local", ["169.254.169.254"]],
  ] as const)("a redirect to a name with %s is refused", async ([, addresses]) => {
    const target = await CacheServer.start(cacheFiles([[path]]));
    const server = await CacheServer.start();
    server.answer(narInfo, redirectTo(`http://inside.test:${target.port}/${narInfo}`));
    const lookup = names({ "cache.test": ["127.0.0.1"], "inside.test": addresses });
    const resolver = resolverOf(`http://cache.test:${server.port}`, { lookup, clock: new TestClock() });
    const error = await failureOf(resolver.resolve("main", [path]));
    expect(error.code).toBe("CACHE_LEADS_AWAY");
    expect(error.message).toContain("http://cache.test");
    expect(error.message).toContain("inside.test");
    expect(target.requests).toEqual([]);
    expect(server.paths.filter((asked) => asked === narInfo)).toHaveLength(1);
  });

  test("the configured cache itself may have a name for loopback, and lead to itself", async () => {
    const server = await CacheServer.start(cacheFiles([[path]]));
    server.answer(narInfo, redirectTo("/elsewhere"));
    server.answer("elsewhere", (response) => response.end(narInfoOf(path)));
    const lookup = names({ "cache.test": ["127.0.0.1"] });
    const resolver = resolverOf(`http://cache.test:${server.port}`, { lookup });
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
  });

  test("a cache at loopback may lead to loopback under a name", async () => {
    const target = await CacheServer.start(cacheFiles([[path]]));
    const server = await CacheServer.start();
    server.answer(narInfo, redirectTo(`http://other.test:${target.port}/${narInfo}`));
    const resolver = resolverOf(server.url, { lookup: names({ "other.test": ["127.0.0.1"] }) });
    expect((await resolver.resolve("main", [path])).paths).toHaveLength(1);
  });
});

describe("redirects", () => {
  const path = pathOf("app");
  const narInfo = `${storeHash(path)}.narinfo`;

  test.for([301, 302, 303, 307, 308])("%i is followed", async (status) => {
    const server = await CacheServer.start();
    server.answer(narInfo, redirectTo("/moved/it?x=1", status));
    server.answer("moved/it?x=1", (response) => response.end(narInfoOf(path)));
    expect((await resolverOf(server.url).resolve("main", [path])).paths).toHaveLength(1);
  });

  test("five in a row are followed, not six", async () => {
    const server = await CacheServer.start();
    server.answer(narInfo, redirectTo("/1"));
    for (let hop = 1; hop < 5; hop++) server.answer(`${hop}`, redirectTo(`/${hop + 1}`));
    server.answer("5", (response) => response.end(narInfoOf(path)));
    expect((await resolverOf(server.url).resolve("main", [path])).paths).toHaveLength(1);
    server.answer("5", redirectTo("/6"));
    const error = await failureOf(resolverOf(server.url).resolve("main", [path]));
    expect(error.message).toContain("more than 5 redirects");
    expect(server.paths).not.toContain("6");
  });

  test("circles are seen", async () => {
    const server = await CacheServer.start();
    server.answer(narInfo, redirectTo("/1"));
    server.answer("1", redirectTo(`/${narInfo}`));
    const error = await failureOf(resolverOf(server.url).resolve("main", [path]));
    expect(error.code).toBe("CACHE_LEADS_AWAY");
    expect(error.message).toContain("in a circle");
  });
});
