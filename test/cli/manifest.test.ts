/**
 * Golden pairs: test/golden/manifests/<case>.yaml or .json is a manifest as `inject` reads it,
 * <case>.injected.yaml or .json what it prints.
 *
 * UPDATE=1 rewrites them; look at what changed before you commit it.
 */
import jsonPatch from "fast-json-patch";
import { describe, expect, test } from "vitest";
import { parseManifest, type ManifestDocument } from "../../src/cli/manifest.ts";
import { podOperations } from "../../src/patch/operations.ts";
import { parsePod } from "../../src/patch/pod.ts";
import { findPodTemplates } from "../../src/patch/workload.ts";
import { failureOf } from "../nix/failure.ts";
import { GoldenFolder } from "../patch/golden-files.ts";
import { testAdmission } from "../patch/test-admission.ts";

const folder = new GoldenFolder("manifests/");
const cases = folder.list().filter((name) => !name.includes(".injected."));
const admission = testAdmission();

/** Injects every Pod template of a document, as src/cli/inject.ts does. False if there was nothing to do. */
async function injectDocument(document: ManifestDocument): Promise<boolean> {
  let changed = false;
  for (const { path, value, namespace } of findPodTemplates(document.value)) {
    const pod = parsePod(value);
    const injection = await admission.inject(pod, namespace);
    const operations = injection ? podOperations(pod, injection.pod) : [];
    if (operations.length > 0) document.apply(path, operations);
    changed ||= operations.length > 0;
  }
  return changed;
}

/** The same on plain data. */
async function injectValue(value: unknown): Promise<unknown> {
  let edited = copy(value);
  for (const { path, value: template } of findPodTemplates(value)) {
    const pod = parsePod(template);
    const injection = await admission.inject(pod, undefined);
    if (injection === undefined) continue;
    if (path.length === 0) edited = injection.pod;
    else {
      const pointer = path.map((key) => `/${jsonPatch.escapePathComponent(String(key))}`).join("");
      jsonPatch.applyOperation(edited, { op: "replace", path: pointer, value: injection.pod });
    }
  }
  return edited;
}

function copy(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

const valuesOf = (text: string): readonly unknown[] => parseManifest(text, "x").map(({ value }) => value);

describe("golden manifests", () => {
  test.for(cases)("%s", async (name) => {
    const text = folder.read(name);
    const documents = parseManifest(text, name);
    expect(documents.map((document) => document.toText()).join(""), "what is not touched stays").toBe(text);

    const untouched = documents.map((document) => document.toText());
    const wanted = await Promise.all(documents.map(({ value }) => injectValue(value)));
    const before = copy(documents.map(({ value }) => value));
    for (const [i, document] of documents.entries()) {
      const changed = await injectDocument(document);
      if (!changed) expect(document.toText()).toBe(untouched[i]);
    }
    const output = documents.map((document) => document.toText()).join("");
    expect(copy(documents.map(({ value }) => value)), "what was read does not change").toEqual(before);
    expect(copy(valuesOf(output)), "the text says what the patch makes").toEqual(copy(wanted));
    for (const comment of commentsOf(text)) expect(commentsOf(output)).toContain(comment);

    const again = parseManifest(output, name);
    for (const document of again) expect(await injectDocument(document)).toBe(false);
    expect(again.map((document) => document.toText()).join("")).toBe(output);

    expect(output).toBe(folder.expected(name.replace(/\.(?=\w+$)/, ".injected."), output));
  });

  test("every expected file belongs to a manifest", () => {
    const stray = folder.list().filter((name) => !cases.includes(name.replace(".injected", "")));
    expect(stray).toEqual([]);
  });
});

/** Comments of YAML; the cases have no "#" elsewhere but in comments and block scalars. */
function commentsOf(text: string): readonly string[] {
  return text.split(/\r?\n/).flatMap((line) => /(?:^|\s)(#.*)$/.exec(line)?.[1] ?? []);
}

describe("refused", () => {
  test.for([
    ["kind: Pod\n\tname: x\n", /Tabs are not allowed/],
    ["a: [\n", /line/],
    ["a: *nowhere\n", /alias/i],
    ["a: 1\na: 2\n", /unique/],
    ['{"a": 1}\n{"b": 2}\n', /line 2/],
    ["a: 1\n---\nb: {\n", /line/],
    ["a: &a 1\nb: { <<: *a }\n", /[Mm]erge/],
    [bomb(), /alias/i],
  ] as const)("%j", ([text, why]) => {
    const error = failureOf(() => parseManifest(text, "pods.yaml"));
    expect(error.code).toBe("MANIFEST_INVALID");
    expect(error.message).toMatch(/^pods\.yaml is not a Kubernetes manifest: [^\n]+$/);
    expect(error.message).toMatch(why);
  });

  /** A text of a few lines whose aliases stand for ten thousand values. */
  function bomb(): string {
    const list = (of: string): string => `[${Array.from({ length: 10 }, () => of).join(", ")}]`;
    return `a: &a ${list("x")}\nb: &b ${list("*a")}\nc: &c ${list("*b")}\nd: &d ${list("*c")}\ne: ${list("*d")}\n`;
  }
});

describe("operations", () => {
  const apply = (text: string, ...operations: Parameters<ManifestDocument["apply"]>[1]): string => {
    const [document] = parseManifest(text, "x");
    document!.apply([], operations);
    return document!.toText();
  };

  test.for([
    [
      "remove of a list's entry",
      "a:\n  - 1\n  - 2 # two\n  - 3\n",
      "a:\n  - 1\n  - 3\n",
      { op: "remove", path: "/a/1" },
    ],
    ["remove of a member", "a: 1\nb: 2 # two\n", "a: 1\n", { op: "remove", path: "/b" }],
    [
      "replace of an entry",
      "a:\n  - x: 1\n",
      "a:\n  - y: 2\n",
      { op: "replace", path: "/a/0", value: { y: 2 } },
    ],
    [
      "a key with slash and tilde",
      "a:\n  b: 1\n",
      "a:\n  b: 1\n  x/y~z: v\n",
      { op: "add", path: "/a/x~1y~0z", value: "v" },
    ],
    [
      "a key that looks like a position",
      "a: {}\n",
      'a:\n  "0": v\n',
      { op: "add", path: "/a/0", value: "v" },
    ],
    [
      "a value that YAML would misread",
      "a: 1\n",
      'a: 1\nb: "true"\n',
      { op: "add", path: "/b", value: "true" },
    ],
    [
      "a scalar's quotes and comment stay",
      "a: 'x' # c\n",
      "a: 'it''s' # c\n",
      { op: "add", path: "/a", value: "it's" },
    ],
    ["JSON", '{"a":[1]}', '{"a":[1,2]}', { op: "add", path: "/a/-", value: 2 }],
  ] as const)("%s", ([, before, after, operation]) => {
    expect(apply(before, operation)).toBe(after);
  });

  test("begin below a base, whose keys may need escaping in JSON", () => {
    for (const text of ['{"a/b":[{"c":1}]}', "a/b:\n  - c: 1\n"]) {
      const [document] = parseManifest(text, "x");
      document!.apply(["a/b", 0], [{ op: "add", path: "/d", value: 2 }]);
      expect(valuesOf(document!.toText())).toEqual([{ "a/b": [{ c: 1, d: 2 }] }]);
    }
  });
});
