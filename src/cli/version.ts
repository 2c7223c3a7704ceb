import { readFileSync } from "node:fs";

/** The version of package.json, which lies two directories up in the source and in the compiled package alike. */
export const version = (
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }
).version;
