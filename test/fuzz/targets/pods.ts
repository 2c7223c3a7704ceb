import { parse } from "yaml";

import type { Pod } from "../../../src/patch/pod.ts";
import type { GoldenFolder } from "../../patch/golden-files.ts";

/** The Pods of a folder of golden files: those that come in, and those that go out. */
export function podsOf(folder: GoldenFolder): readonly Pod[] {
  return folder
    .list()
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => parse(folder.read(name)) as Pod)
    .filter((pod) => typeof pod === "object" && pod?.metadata !== undefined);
}
