import { spawnSync } from "node:child_process";
import { chmod, mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { storeHash } from "../../src/nix/store-path.ts";
import { openNar } from "../../src/resolver/open-nar.ts";
import { cacheFiles, directoryNar, narInfoOf, pathOf, type FakePath } from "./fake-store.ts";
import { failureOf, resolverOf, temporaryDirectory } from "./fixture.ts";

const path = pathOf("app");
const narInfo = `${storeHash(path)}.narinfo`;
const nar = `nar/${storeHash(path)}.nar`;

/** A cache in `<directory>/cache`, with something secret beside it. */
async function cacheIn(
  options: FakePath = {},
): Promise<{ readonly directory: string; readonly url: string }> {
  const outside = await temporaryDirectory();
  const directory = join(outside, "cache");
  await writeFile(join(outside, "secret.nar"), directoryNar);
  for (const [name, bytes] of cacheFiles([[path, options]])) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), bytes);
  }
  return { directory, url: pathToFileURL(directory).href };
}

describe("a NAR in a directory", () => {
  test.for([
    ["under a relative name", () => nar],
    ["under a name with a dot", () => `./${nar}`],
    ["under an absolute URL", (url: string) => `${url}/${nar}`],
  ] as const)("%s is read", async ([, urlOf]) => {
    const { directory, url } = await cacheIn();
    await writeFile(join(directory, narInfo), narInfoOf(path, { fields: { url: urlOf(url) } }));
    const [location] = await resolverOf(url).narLocations("main", path);
    expect(Buffer.concat(await (await openNar(location!)).toArray())).toEqual(directoryNar);
  });

  test("under a name with characters that mean something in URLs is read", async () => {
    const name = "nar/a?b=c#d%20e f.nar";
    const { directory, url } = await cacheIn({ fields: { url: name } });
    await rename(join(directory, nar), join(directory, name));
    const [location] = await resolverOf(url).narLocations("main", path);
    expect(Buffer.concat(await (await openNar(location!)).toArray())).toEqual(directoryNar);
  });

  test.for([
    ["../secret.nar", "goes up with .."],
    ["nar/../../secret.nar", "goes up with .."],
    ["nar/../nar/x.nar", "goes up with .."],
    ["/secret.nar", undefined],
    ["//etc/passwd", undefined],
    ["file:///etc/passwd", "outside of the cache's directory"],
    ["file://host/etc/passwd", "not a file"],
    ["file:///%2e%2e/etc/passwd", "outside of the cache's directory"],
    ["file:nar/x.nar", "outside of the cache's directory"],
    ["FILE:///etc/passwd", "outside of the cache's directory"],
    ["http://127.0.0.1/x.nar", "may lead to files only"],
    ["https://cache.example/x.nar", "may lead to files only"],
    ["nar/\0.nar", "no file has such a name"],
    [".", "outside of the cache's directory"],
  ])("that a narinfo names %j is not opened outside", async ([name, why]) => {
    const { url } = await cacheIn({ fields: { url: name! } });
    const locate = resolverOf(url).narLocations("main", path);
    if (why === undefined) {
      // A leading slash means nothing in a file name that is below the directory.
      const [location] = await locate;
      expect(location?.url.startsWith(url)).toBe(true);
      expect((await failureOf(openNar(location!))).code).toBe("NAR_MISSING");
    } else {
      const error = await failureOf(locate);
      expect(error.code).toBe("CACHE_LEADS_AWAY");
      expect(error.message).toContain(why);
    }
  });

  test("behind a symbolic link that leads out is not opened", async () => {
    const { directory, url } = await cacheIn({ fields: { url: "link.nar" } });
    await symlink("../secret.nar", join(directory, "link.nar"));
    const [location] = await resolverOf(url).narLocations("main", path);
    const error = await failureOf(openNar(location!));
    expect(error.code).toBe("CACHE_LEADS_AWAY");
    expect(error.message).toContain("a symbolic link leads out");
  });

  test("in a linked directory that leads out is not opened", async () => {
    const { directory, url } = await cacheIn({ fields: { url: "up/secret.nar" } });
    await symlink("..", join(directory, "up"));
    const [location] = await resolverOf(url).narLocations("main", path);
    expect((await failureOf(openNar(location!))).code).toBe("CACHE_LEADS_AWAY");
  });

  test("behind a symbolic link that stays below is read, also if the cache itself is linked", async () => {
    const { directory, url } = await cacheIn({ fields: { url: "link.nar" } });
    await symlink(nar, join(directory, "link.nar"));
    await symlink("cache", join(directory, "../linked"));
    for (const cache of [url, url.replace(/cache$/, "linked")]) {
      const [location] = await resolverOf(cache).narLocations("main", path);
      expect(Buffer.concat(await (await openNar(location!)).toArray())).toEqual(directoryNar);
    }
  });

  test("that is a directory or a pipe is refused without waiting", async () => {
    const { directory, url } = await cacheIn({ fields: { url: "odd" } });
    const [location] = await resolverOf(url).narLocations("main", path);
    await mkdir(join(directory, "odd"));
    expect((await failureOf(openNar(location!))).message).toContain("not a regular file");
    await rename(join(directory, "odd"), join(directory, "old"));
    expect(spawnSync("mkfifo", [join(directory, "odd")]).status).toBe(0);
    expect((await failureOf(openNar(location!))).message).toContain("not a regular file");
  });

  test("that is gone is missing", async () => {
    const { directory, url } = await cacheIn();
    const [location] = await resolverOf(url).narLocations("main", path);
    await rename(join(directory, nar), join(directory, "old"));
    const error = await failureOf(openNar(location!));
    expect(error.code).toBe("NAR_MISSING");
    expect(error.message).toContain(`${url} has the narinfo of ${path}, but not its NAR`);
  });
});

describe("a narinfo in a directory", () => {
  test("behind a symbolic link that leads out is refused", async () => {
    const { directory, url } = await cacheIn();
    await rename(join(directory, narInfo), join(directory, "..", narInfo));
    await symlink(join("..", narInfo), join(directory, narInfo));
    expect((await failureOf(resolverOf(url).resolve("main", [path]))).code).toBe("CACHE_LEADS_AWAY");
  });

  test("of more than a megabyte is refused", async () => {
    const { directory, url } = await cacheIn();
    await writeFile(join(directory, narInfo), Buffer.alloc(2 ** 20 + 1, "#"));
    const error = await failureOf(resolverOf(url).resolve("main", [path]));
    expect(error.code).toBe("CACHE_INVALID_ANSWER");
    expect(error.message).toContain("more than 1048576 bytes");
  });

  test("that is not there makes the path unknown; a directory that is not there does not", async () => {
    const { directory, url } = await cacheIn();
    expect((await failureOf(resolverOf(url).resolve("main", [pathOf("b")]))).code).toBe("PATH_UNKNOWN");
    await rename(directory, join(directory, "../moved"));
    const error = await failureOf(resolverOf(url).resolve("main", [path]));
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toContain("its directory: ENOENT");
  });

  test.skipIf(process.getuid?.() === 0)("that may not be read is no missing one", async () => {
    const { directory, url } = await cacheIn();
    await chmod(join(directory, narInfo), 0);
    const error = await failureOf(resolverOf(url).resolve("main", [path]));
    expect(error.code).toBe("CACHE_UNAVAILABLE");
    expect(error.message).toContain("EACCES");
  });

  test("of a cache for another store directory is refused", async () => {
    const { directory, url } = await cacheIn();
    await writeFile(join(directory, "nix-cache-info"), "StoreDir: /opt/store\n");
    expect((await failureOf(resolverOf(url).resolve("main", [path]))).message).toContain("/opt/store");
  });
});
