import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { afterAll, expect, it } from "vitest";

import { parseBaseName } from "../../src/nix/store-path.ts";
import { demoKey } from "../nix/demo-cache.ts";
import { demoDirectory, failureOf } from "../resolver/fixture.ts";
import { imagesOf, pathImage, pull, resolverFor } from "./images-fixture.ts";
import { checkBlobs, filesIn } from "./store-fixture.ts";

const mountPoint = mkdtempSync(join(tmpdir(), "nix-closure-disk-"));
/** Only root can have a disk that is so small. */
const isMounted =
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "nix-closure-test", mountPoint]).status === 0;
afterAll(() => {
  if (isMounted) spawnSync("umount", ["-l", mountPoint]);
  rmdirSync(mountPoint);
});

const large = parseBaseName("ra4afjxdcbsb5s1k7k8phm8wk7f2z9lj-glibc-2.36");
const small = parseBaseName("lfxl2j3iwlp4cn809rdp0xdnv9v4n797-hello-2.10");

it.skipIf(!isMounted)(
  "a full disk is an error in words, and leaves nothing of what did not fit",
  async () => {
    const directory = join(mountPoint, "store");
    mkdirSync(directory);
    const resolver = resolverFor({
      main: { caches: [pathToFileURL(demoDirectory).href], publicKeys: [demoKey] },
    });
    const { images } = await imagesOf(resolver, { directory });
    await pull(images, pathImage(small));
    const before = await filesIn(directory);
    for (let time = 0; time < 2; time++) {
      const error = await failureOf(images.resolveTag(...pathImage(large)));
      expect(error).toMatchObject({ code: "DISK_FAILED", status: 503 });
      expect(error.message).toMatch(/ENOSPC|no space/);
      expect(await filesIn(directory)).toEqual(before);
    }
    await pull(images, pathImage(small));
    expect(await checkBlobs(directory)).toBe(1);
    await images.close();
    // A start needs no room of its own.
    const reopened = await imagesOf(resolver, { directory });
    await pull(reopened.images, pathImage(small));
    await reopened.images.close();
  },
);
