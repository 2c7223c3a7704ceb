import { describe, expect, test } from "vitest";
import { NixClosureError } from "../../src/errors.ts";
import { parseCacheUrl, withoutSecrets } from "../../src/resolver/cache-url.ts";
import { resolverOf } from "./fixture.ts";

describe("a cache's URL", () => {
  test.for([
    ["https://cache.nixos.org", "https://cache.nixos.org", "https://cache.nixos.org/"],
    ["https://cache.nixos.org/", "https://cache.nixos.org", "https://cache.nixos.org/"],
    ["HTTP://Cache.Example:80/a/b", "http://cache.example/a/b", "http://cache.example/a/b/"],
    ["https://me:pw@cache.example:8443/x/", "https://cache.example:8443/x", "https://cache.example:8443/x/"],
  ])("%s is called %s", ([url, name, base]) => {
    const address = parseCacheUrl(url!);
    expect(address).toMatchObject({ kind: "http", name });
    expect(address.kind === "http" && address.base.href).toBe(base);
  });

  test("may hold a login", () => {
    expect(parseCacheUrl("http://a%3Ab:c%40d@h")).toMatchObject({ login: { user: "a:b", password: "c@d" } });
    expect(parseCacheUrl("http://only@h")).toMatchObject({ login: { user: "only", password: "" } });
    expect(parseCacheUrl("http://h")).not.toHaveProperty("login");
  });

  test("may be a directory", () => {
    expect(parseCacheUrl("file:///a%20b/c")).toMatchObject({ kind: "file", directory: "/a b/c" });
  });

  test.for([
    ["", "not a URL"],
    ["/var/cache", "not a URL"],
    ["cache.nixos.org", "not a URL"],
    ["s3://bucket", "s3 is not spoken here"],
    ["ssh://host", "its scheme is ssh:"],
    ["file://host/dir", "has no host"],
    ["file:///a%2fb", "escapes that no file name can have"],
    ["https://cache.example?trusted=true", "settings after ? or #"],
    ["https://cache.example/#x", "settings after ? or #"],
    ["https://me:p%@cache.example", "% that starts no escape"],
    ["https://me:secret@cache.example?x=secret", "settings after ? or #"],
    ["https://me:secret@", "not a URL"],
  ])("%j is refused: %s", ([url, why]) => {
    const parse = (): unknown => parseCacheUrl(url!);
    expect(parse).toThrow(NixClosureError);
    expect(parse).toThrow(why);
    expect(parse).not.toThrow("secret");
  });

  test("is checked when the resolver is made, as are keys", () => {
    expect(() => resolverOf("nonsense")).toThrow(
      '"nonsense" is not a cache: it is not a URL; write https://',
    );
    expect(() => resolverOf("https://h", { publicKeys: ["k:x"] })).toThrow("is not a public key");
  });
});

test.for([
  ["https://me:secret@h/x?sig=1#y", "https://h/x?…"],
  ["//me:secret@h/x", "//h/x"],
  ["https:\\\\me:secret@h", "https:\\\\h"],
  ["https://h/a@b", "https://h/a@b"],
  ["nar/x.nar?hash=1", "nar/x.nar?…"],
  ["mailto:a@b", "mailto:b"],
])("in a message %s is %s", ([text, shown]) => {
  expect(withoutSecrets(text!)).toBe(shown);
});
