import { createHash } from "node:crypto";
import { describe, expect, it, test } from "vitest";
import type { PathType } from "../../src/nix/closure.ts";
import { isContentAddressed } from "../../src/nix/content-address.ts";
import { formatNarHash } from "../../src/nix/hash.ts";
import { NarReader, sniffPathType } from "../../src/nix/nar-reader.ts";
import { findTrustedKey, parsePublicKey } from "../../src/nix/signature.ts";
import { baseName, isDerivation, parseRoot, storePathName } from "../../src/nix/store-path.ts";
import { cut, NarRecorder, recordNar, treeOf } from "./nar-recorder.ts";
import { writeNar } from "./nar-writer.ts";
import { demoFiles, demoKey, demoNarInfos, readDemoNar } from "./demo-cache.ts";

const infos = demoNarInfos();

describe("the narinfos of the demo's cache", () => {
  it("are 39, and each has the name of its hash", () => {
    const hashes = infos.map(({ storePath }) => `${baseName(storePath).slice(0, 32)}.narinfo`);
    expect(hashes).toEqual(demoFiles(".narinfo"));
    expect(hashes).toHaveLength(39);
  });

  test.each(infos)("$storePath is signed by the demo's key, and by no other", (info) => {
    const key = parsePublicKey(demoKey);
    const other = parsePublicKey("nixlab-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=");
    expect(findTrustedKey(info, [other, key])).toBe(key);
    expect(findTrustedKey(info, [other])).toBeUndefined();
    expect(findTrustedKey({ ...info, narSize: info.narSize + 1 }, [key])).toBeUndefined();
    expect(parseRoot(info.storePath)).toBe(info.storePath);
    expect(isDerivation(info.storePath)).toBe(false);
  });

  it("refer to each other alone, so that their closures are whole", () => {
    const paths = new Set(infos.map(({ storePath }) => storePath));
    expect(infos.flatMap(({ references }) => references).filter((path) => !paths.has(path))).toEqual([]);
  });

  it("have one content-addressed path, a file that builtins.toFile made", () => {
    const addressed = infos.filter(isContentAddressed);
    expect(addressed.map(({ storePath }) => storePathName(storePath))).toEqual(["mixed-app.conf"]);
    const [info] = addressed;
    const [root] = recordNar(readDemoNar(info!));
    const contents = root?.type === "regular" ? root.contents : "";
    expect(createHash("sha256").update(contents, "latin1").digest()).toEqual(
      Buffer.from(info!.contentAddress!.hash),
    );
  });
});

describe("the NARs of the demo's cache", () => {
  test.each(infos)("$storePath is read whole", (info) => {
    const nar = readDemoNar(info);
    expect(nar.length).toBe(info.narSize);
    expect(formatNarHash(createHash("sha256").update(nar).digest())).toBe(info.narHash);

    const recorder = new NarRecorder();
    const reader = new NarReader(recorder, info.narSize);
    for (const chunk of cut(nar, [65_536, 1, 4097])) reader.write(chunk);
    reader.end();
    expect(recorder.records[0]).toMatchObject({ type: sniffPathType(nar.subarray(0, 96)), path: "" });
    expect(writeNar(treeOf(recorder.records)).equals(nar)).toBe(true);
  });

  it("of mixed-app are 5 directories, 2 files and a symlink", () => {
    const mixed = ["mixed-app-1.0", "mixed-app.conf", "mixed-greet", "mixed-link"];
    const types = new Map<string, PathType | undefined>(
      infos
        .filter(({ storePath }) => mixed.includes(storePathName(storePath)))
        .map((info) => [storePathName(info.storePath), sniffPathType(readDemoNar(info))]),
    );
    expect(Object.fromEntries(types)).toEqual({
      "mixed-app-1.0": "directory",
      "mixed-app.conf": "regular",
      "mixed-greet": "regular",
      "mixed-link": "symlink",
    });
  });
});
