import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  baseName,
  isDerivation,
  parseBaseName,
  parseRoot,
  parseStoreHash,
  parseStorePath,
  storeHash,
  storePathName,
} from "../../src/nix/store-path.ts";
import { failureOf } from "./failure.ts";

const hash = "4vlwxs24hwlvm23q063xvdmkzvlxjw1s";
const longest = "n".repeat(211);

describe("legal store paths", () => {
  test.each([
    "hello-app",
    "a",
    "1",
    "-",
    "-x",
    "--help",
    "...",
    "....",
    ".a",
    "..a",
    ".gitignore",
    "._.-",
    "python3-defaults-3.11.2-1+b1",
    "A-Z_0.9?=+",
    "source.tar.gz?rev=1",
    longest,
    "hello.drv",
  ])("a path of name %s is read", (name) => {
    const path = parseStorePath(`/nix/store/${hash}-${name}`);
    expect(path).toBe(`/nix/store/${hash}-${name}`);
    expect(storeHash(path)).toBe(hash);
    expect(storePathName(path)).toBe(name);
    expect(baseName(path)).toBe(`${hash}-${name}`);
    expect(parseBaseName(`${hash}-${name}`)).toBe(path);
    expect(parseStoreHash(hash)).toBe(storeHash(path));
  });

  it("are those that Nix's rule describes, whatever the name", () => {
    const rule = /^(?!\.\.?(?:-|$))[0-9a-zA-Z+._?=-]{1,211}$/;
    const names = fc.oneof(
      fc.string({ unit: fc.constantFrom("a", "Z", "0", ".", "-", "+", "_", "?", "="), maxLength: 6 }),
      fc.string({ unit: "binary", maxLength: 4 }),
    );
    fc.assert(
      fc.property(names, (name) => {
        const read = (): unknown => parseStorePath(`/nix/store/${hash}-${name}`);
        if (rule.test(name)) expect(read()).toBe(`/nix/store/${hash}-${name}`);
        else expect(failureOf(read).code).toBe("STORE_PATH_INVALID");
      }),
      { numRuns: 2000 },
    );
  });
});

describe("illegal store paths", () => {
  const path = `/nix/store/${hash}-hello`;
  test.each([
    ["nothing", "", "it is empty"],
    ["the store directory", "/nix/store", "it is the store directory itself"],
    ["the store directory with a slash", "/nix/store/", "it is the store directory itself"],
    ["a trailing newline", `${path}\n`, "white space or a newline at its end"],
    ["a trailing space", `${path} `, "white space or a newline at its end"],
    ["a leading space", ` ${path}`, "white space around it"],
    ["a trailing slash", `${path}/`, 'it ends with "/"; leave that out'],
    ["a subpath", `${path}/bin/hello`, 'it points below a store path; leave out "/bin/hello"'],
    ["a dotted subpath", `${path}/..`, 'leave out "/.."'],
    ["a doubled slash", `/nix/store//${hash}-hello`, 'a "/" too many'],
    ["a dotted store directory", `/nix/./store/${hash}-hello`, 'store directory "/nix/./store"'],
    ["another store directory", `/gnu/store/${hash}-hello`, 'it lies in the store directory "/gnu/store"'],
    ["a store below a root", `/mnt${path}`, 'it has "/mnt" before /nix/store/'],
    ["a URL", `https://cache.nixos.org${path}`, 'it has "https://cache.nixos.org" before'],
    ["a base name alone", `${hash}-hello`, "/nix/store/ is missing before it"],
    ["some other file", "/usr/bin/hello", "it does not start with /nix/store/"],
    ["a relative path", "./result", "it does not start with /nix/store/"],
    ["a flake reference", "nixpkgs#hello", "it does not start with /nix/store/"],
    ["a name without a hash", "/nix/store/hello", "its hash has 5 characters, not 32"],
    ["too short a hash", `/nix/store/${hash.slice(1)}-hello`, "has 31 characters, not 32"],
    ["too long a hash", `/nix/store/0${hash}-hello`, "has 33 characters, not 32"],
    ["a hash with e", `/nix/store/e${hash.slice(1)}-hello`, 'its hash has "e"'],
    ["a hash with o", `/nix/store/o${hash.slice(1)}-hello`, 'its hash has "o"'],
    ["a hash with u", `/nix/store/u${hash.slice(1)}-hello`, 'its hash has "u"'],
    ["a hash with t", `/nix/store/t${hash.slice(1)}-hello`, 'its hash has "t"'],
    ["a hash in capitals", `/nix/store/${hash.toUpperCase()}-hello`, 'its hash has "V"'],
    ["a hash alone", `/nix/store/${hash}`, "its name is missing"],
    ["an empty name", `/nix/store/${hash}-`, "its name is empty"],
    ["the name .", `/nix/store/${hash}-.`, 'its name is "."'],
    ["the name ..", `/nix/store/${hash}-..`, 'its name is ".."'],
    ["a name that starts with .-", `/nix/store/${hash}-.-a`, 'its name starts with ".-"'],
    ["a name that starts with ..-", `/nix/store/${hash}-..-a`, 'its name starts with "..-"'],
    ["too long a name", `/nix/store/${hash}-n${longest}`, "its name has 212 characters, at most 211"],
    ["a name with a space", `/nix/store/${hash}-hello world`, 'its name has " "'],
    ["a name with a zero byte", `/nix/store/${hash}-a\0b`, 'its name has "\\u0000"'],
    ["a name with ~", `/nix/store/${hash}-a~b`, 'its name has "~"'],
    ["a name with é", `/nix/store/${hash}-café`, 'its name has "é"'],
    [
      "an output of a derivation, new",
      `/nix/store/${hash}-a.drv^out`,
      '"^" selects an output of a derivation',
    ],
    [
      "an output of a derivation, old",
      `/nix/store/${hash}-a.drv!out`,
      '"!" selects an output of a derivation',
    ],
    ["a thousand slashes", `/nix/store/${"/".repeat(1000)}`, 'a "/" too many'],
    ["two lines", `${path}\n${path}`, "white space or a newline at its end"],
    ["a file below a malformed path", "/nix/store/hello/bin", "its hash has 5 characters, not 32"],
  ])("%s is refused", (_, text, reason) => {
    const failure = failureOf(() => parseStorePath(text));
    expect(failure.code).toBe("STORE_PATH_INVALID");
    expect(failure.message.split("; write /nix/store/")[0]).toContain(reason);
    expect(failure.message).toContain("write /nix/store/<32 characters>-<name>");
  });

  test.each([
    ["", "store directory itself"],
    ["hello", "5 characters"],
    [path, 'a "/" too many'],
    ["a b", "3 characters"],
  ])("the base name %j is refused", (text, reason) => {
    expect(failureOf(() => parseBaseName(text)).message).toContain(reason);
  });

  test.each([
    ["", "0 characters"],
    [hash.slice(1), "31 characters"],
    [`${hash}\n`, "33 characters"],
    [`${hash.slice(1)}\n`, '"\\n"'],
    [`e${hash.slice(1)}`, '"e"'],
  ])("the hash part %j is refused", (text, reason) => {
    const failure = failureOf(() => parseStoreHash(text));
    expect(failure.code).toBe("STORE_PATH_INVALID");
    expect(failure.message).toContain(reason);
  });
});

describe("roots", () => {
  it("are store paths", () => {
    expect(parseRoot(`/nix/store/${hash}-hello`)).toBe(`/nix/store/${hash}-hello`);
    expect(failureOf(() => parseRoot("hello")).code).toBe("STORE_PATH_INVALID");
  });

  it("are not derivations", () => {
    const derivation = parseStorePath(`/nix/store/${hash}-hello.drv`);
    expect(isDerivation(derivation)).toBe(true);
    expect(isDerivation(parseStorePath(`/nix/store/${hash}-hello-drv`))).toBe(false);
    expect(failureOf(() => parseRoot(derivation)).message).toContain(
      "it names a derivation, not its output; write its output path",
    );
  });
});
