import { describe, expect, test } from "vitest";
import type { NixClosureError } from "../../src/errors.ts";
import { parseAnnotations, type Annotations } from "../../src/patch/annotations.ts";
import { parseAskedClosure, type KnownSources, type Roots } from "../../src/patch/asked-closure.ts";

const hello = "/nix/store/4vlwxs24hwlvm23q063xvdmkzvlxjw1s-hello-app";
const nginx = "/nix/store/q0ningk88png4ipb9hm8ja6av167wdzk-nginx-app-1.0";
const known: KnownSources = { sources: ["demo", "other-2"], defaultSource: "demo" };

function parse(annotations: Readonly<Record<string, string>>): {
  readonly parsed: Annotations | undefined;
  readonly errors: readonly string[];
} {
  const errors: NixClosureError[] = [];
  const parsed = parseAnnotations(annotations, known, errors);
  return { parsed, errors: errors.map(({ code, message }) => `${code}: ${message}`) };
}

/** The annotations of a Pod that asks for hello, with one more. */
function withOption(key: string, value: string): ReturnType<typeof parse> {
  return parse({ "nix.closure": hello, [key]: value });
}

describe("roots", () => {
  test.for<[string, Roots]>([
    [hello, { source: "demo", roots: [hello] as never }],
    [`  ${hello}\n`, { source: "demo", roots: [hello] as never }],
    [`${nginx} ${hello}`, { source: "demo", roots: [nginx, hello] as never }],
    [`${nginx},${hello}`, { source: "demo", roots: [nginx, hello] as never }],
    [`,${nginx} ,\n\t, ${hello},`, { source: "demo", roots: [nginx, hello] as never }],
    [`${hello} ${nginx} ${hello}`, { source: "demo", roots: [hello, nginx] as never }],
    [`demo:${hello}`, { source: "demo", roots: [hello] as never }],
    [`other-2:${hello}`, { source: "other-2", roots: [hello] as never }],
    [`other-2 :\n  ${hello}`, { source: "other-2", roots: [hello] as never }],
  ])("%j", ([text, expected]) => {
    expect(parse({ "nix.closure": text })).toEqual({
      parsed: { closure: expected, containerClosures: new Map(), profile: "/nix/var/nix/profiles/default" },
      errors: [],
    });
  });

  test.for([
    ["", "ROOTS_MISSING"],
    [" , ", "ROOTS_MISSING"],
    ["demo:", "ROOTS_MISSING"],
    [`nixos:${hello}`, "SOURCE_UNKNOWN"],
    [`:${hello}`, "SOURCE_UNKNOWN"],
    [`https://cache.nixos.org${hello}`, "SOURCE_UNKNOWN", "STORE_PATH_INVALID"],
    ["nixos:", "SOURCE_UNKNOWN", "ROOTS_MISSING"],
    ["hello", "STORE_PATH_INVALID"],
    [`${hello}/bin`, "STORE_PATH_INVALID"],
    [`${hello}/`, "STORE_PATH_INVALID"],
    [`${hello}.drv`, "STORE_PATH_INVALID"],
    [`${hello}^out`, "STORE_PATH_INVALID"],
    [`${hello};${nginx}`, "STORE_PATH_INVALID"],
    [`${hello} other-2:${nginx}`, "STORE_PATH_INVALID"],
    [`a ${hello} b`, "STORE_PATH_INVALID", "STORE_PATH_INVALID"],
  ])("%j", ([text = "", ...codes]) => {
    const { errors } = parse({ "nix.closure": text });
    expect(errors.map((error) => error.split(":")[0])).toEqual(codes);
    for (const error of errors) expect(error).toContain("annotation nix.closure");
  });

  test.for<[string, Partial<Record<"source" | "name", string>>]>([
    ["demo:web-1.2", { source: "demo", name: "web-1.2" }],
    ["other-2:\n  Web_1.2 \n", { source: "other-2", name: "Web_1.2" }],
    [`demo: ${"0".repeat(31)}`, { source: "demo", name: "0".repeat(31) }],
  ])("%j is a name", ([text, asked]) => {
    const { parsed, errors } = parse({ "nix.closure": text, "container.nix.closure/app": text });
    expect(errors).toEqual([]);
    expect(parsed?.closure).toEqual(asked);
    expect(parsed?.containerClosures.get("app")).toEqual(asked);
  });

  test.for<[string, string, string]>([
    ["web-1.2", "STORE_PATH_INVALID", "is not a store path"],
    [`demo:${hello.slice(11)}`, "STORE_PATH_INVALID", "is not a store path"],
    ["demo:result/x", "STORE_PATH_INVALID", "is not a store path"],
    [`demo:web-1.2 ${hello}`, "CLOSURE_NAME_INVALID", "a name stands alone"],
    ["demo:.web", "CLOSURE_NAME_INVALID", "a name is up to 128 letters"],
    ["demo:web+1", "CLOSURE_NAME_INVALID", "a name is up to 128 letters"],
    [`demo:${"a".repeat(129)}`, "CLOSURE_NAME_INVALID", "a name is up to 128 letters"],
    [`demo:${"0".repeat(32)}`, "CLOSURE_NAME_INVALID", "begins like the hash of a store path"],
    [`demo:${"0".repeat(32)}_${"1".repeat(32)}`, "CLOSURE_NAME_INVALID", "begins like the hash"],
    [`demo:sha256-${"0".repeat(64)}`, "CLOSURE_NAME_INVALID", "registries keep signatures"],
  ])("%j is no name", ([text, code, why]) => {
    const { errors } = parse({ "nix.closure": text });
    expect(errors).toEqual([expect.stringContaining(why) as string]);
    expect(errors[0]).toMatch(new RegExp(`^${code}: annotation nix.closure: `));
  });

  test("of a command line name their own place", () => {
    const errors: NixClosureError[] = [];
    expect(parseAskedClosure("argument", "demo:", known, errors)).toBeUndefined();
    expect(errors.map(({ message }) => message)).toEqual([
      "argument names no store path; write /nix/store/<32 characters>-<name>",
    ]);
  });
});

describe("options", () => {
  test.for<[string, string, Partial<Annotations>]>([
    ["nix.closure/containers", "app", { containers: ["app"] }],
    ["nix.closure/containers", " app,proxy\n app ", { containers: ["app", "proxy"] }],
    ["nix.closure/strategy", "auto", { strategy: "auto" }],
    ["nix.closure/strategy", "per-path", { strategy: "per-path" }],
    ["nix.closure/strategy", "packed", { strategy: "packed" }],
    ["nix.closure/strategy", " bundle\n", { strategy: "bundle" }],
    ["nix.closure/profile", "none", { profile: undefined }],
    ["nix.closure/profile", "/app", { profile: "/app" }],
    ["nix.closure/profile", "/nix/var/x", { profile: "/nix/var/x" }],
    ["nix.closure/profile", "/nix/store-2", { profile: "/nix/store-2" }],
    ["nix.closure/path", "true", { path: true }],
    ["nix.closure/path", "false", { path: false }],
    ["nix.closure/system", "x86_64-linux", { system: "x86_64-linux" }],
    ["nix.closure/system", "aarch64-linux", { system: "aarch64-linux" }],
    ["nix.closure/status", "whatever", {}],
    ["example.com/nix.closure", "not ours", {}],
    ["nix.closures/strategy", "not ours", {}],
  ])("%s: %j", ([key, value, expected]) => {
    const { parsed, errors } = withOption(key, value);
    expect(errors).toEqual([]);
    expect(parsed).toMatchObject(expected);
  });

  test.for([
    ["nix.closure/containers", "", "it names no container; remove it for all"],
    ["nix.closure/containers", " ,", "it names no container; remove it for all"],
    ["nix.closure/strategy", "", '"" is not one of: auto, per-path, packed, bundle'],
    ["nix.closure/strategy", "Auto", '"Auto" is not one of: auto, per-path, packed, bundle'],
    ["nix.closure/path", "1", '"1" is not one of: true, false'],
    ["nix.closure/path", "True", '"True" is not one of: true, false'],
    ["nix.closure/system", "amd64", '"amd64" is not one of: x86_64-linux, aarch64-linux'],
    ["nix.closure/profile", "", '"": it must be an absolute path, or "none"'],
    ["nix.closure/profile", "None", '"None": it must be an absolute path, or "none"'],
    ["nix.closure/profile", "app", '"app": it must be an absolute path, or "none"'],
    ...["/", "/nix", "/nix/store", "/nix/store/x"].map((path) => [
      "nix.closure/profile",
      path,
      `"${path}": a profile cannot be there; the default is /nix/var/nix/profiles/default`,
    ]),
    ...["/app/", "//app", "/a//b", "/./app", "/app/..", "/nix/var/../store/x", "/a:b"].map((path) => [
      "nix.closure/profile",
      path,
      `"${path}": it must be a plain path, without ":", "." or ".." and without a slash at its end`,
    ]),
  ])("%s: %j", ([key = "", value = "", why]) => {
    expect(withOption(key, value).errors).toEqual([`ANNOTATION_INVALID: annotation ${key}: ${why}`]);
  });

  test("path: true cannot do without a profile", () => {
    const { errors } = parse({
      "nix.closure": hello,
      "nix.closure/path": "true",
      "nix.closure/profile": "none",
    });
    expect(errors).toEqual([
      'ANNOTATION_INVALID: annotation nix.closure/path: "true" needs a profile, nix.closure/profile is "none"',
    ]);
  });
});

describe("keys", () => {
  test.for([
    ["nix.closure/stratgy", "nix.closure/strategy"],
    ["nix.closure/Strategy", "nix.closure/strategy"],
    ["nix.closure/profiles", "nix.closure/profile"],
    ["nix.closure/container", "nix.closure/containers"],
    ["nix.closure/systems", "nix.closure/system"],
    ["nix.closure/PATH", "nix.closure/path"],
    ["nix.closure/", "nix.closure"],
    ["container.nix.closure/", "container.nix.closure/<container>"],
    ["container.nix.closure", "container.nix.closure/<container>"],
    ["containers.nix.closure/app", "container.nix.closure/<container>"],
    ["app.container.nix.closure/x", "container.nix.closure/<container>"],
  ])("%s is not known, %s is near", ([key = "", near]) => {
    expect(withOption(key, "x").errors).toEqual([
      `ANNOTATION_UNKNOWN: there is no annotation ${JSON.stringify(key)}; did you mean ${near}?`,
    ]);
  });

  test("of containers give each a closure", () => {
    const { parsed, errors } = parse({
      "container.nix.closure/app": hello,
      "container.nix.closure/proxy": `other-2: ${nginx}`,
    });
    expect(errors).toEqual([]);
    expect(parsed?.closure).toBeUndefined();
    expect([...(parsed?.containerClosures ?? [])]).toEqual([
      ["app", { source: "demo", roots: [hello] }],
      ["proxy", { source: "other-2", roots: [nginx] }],
    ]);
  });
});

describe("a Pod that asks for nothing", () => {
  test.for([{}, { "example.com/x": "1" }, { "nix.closure/status": "{}" }])("%j", (annotations) => {
    expect(parse(annotations)).toEqual({ parsed: undefined, errors: [] });
  });

  test("cannot have options", () => {
    expect(parse({ "nix.closure/strategy": "bundle", "nix.closure/status": "{}" })).toEqual({
      parsed: undefined,
      errors: ["ANNOTATION_INVALID: annotation nix.closure/strategy: no effect without nix.closure; add it"],
    });
    expect(parse({ "nix.closure/containers": "app" }).errors).toEqual([
      "ANNOTATION_INVALID: annotation nix.closure/containers: it has no effect without nix.closure",
    ]);
  });
});

test("all that is wrong is found at once", () => {
  const { errors } = parse({
    "nix.closure": "nixos: x y",
    "container.nix.closure/app": "",
    "nix.closure/containers": "",
    "nix.closure/strategy": "x",
    "nix.closure/profile": "x",
    "nix.closure/path": "x",
    "nix.closure/system": "x",
    "nix.closure/x": "x",
  });
  expect(errors.map((error) => error.split(":")[0])).toEqual([
    "ANNOTATION_UNKNOWN",
    "SOURCE_UNKNOWN",
    "CLOSURE_NAME_INVALID",
    "CLOSURE_NAME_INVALID",
    "ROOTS_MISSING",
    "ANNOTATION_INVALID",
    "ANNOTATION_INVALID",
    "ANNOTATION_INVALID",
    "ANNOTATION_INVALID",
    "ANNOTATION_INVALID",
  ]);
});
