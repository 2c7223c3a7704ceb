import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** Set to write the expected files anew instead of comparing: UPDATE=1 npx vitest run test/patch/golden.test.ts. Read the diff. */
export const update = process.env["UPDATE"] === "1";

/** A folder of golden files below test/golden. */
export class GoldenFolder {
  readonly #url: URL;

  constructor(path: string) {
    this.#url = new URL(path, new URL("../golden/", import.meta.url));
  }

  /** Names of all files, sorted. */
  list(): readonly string[] {
    return readdirSync(this.#url, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .toSorted();
  }

  read(name: string): string {
    return readFileSync(new URL(name, this.#url), "utf8");
  }

  /** What a golden file says, undefined if there is none. With UPDATE=1 it is made to say `actual` first. */
  expected(name: string, actual: string | undefined): string | undefined {
    const file = new URL(name, this.#url);
    if (update && actual === undefined) rmSync(file, { force: true });
    if (update && actual !== undefined) writeFileSync(file, actual);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }
}
