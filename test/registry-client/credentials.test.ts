import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { fitOf } from "../../src/registry-client/auth-key.ts";
import { type CredentialStore, openCredentialStore } from "../../src/registry-client/credentials.ts";
import { failureOf, temporaryDirectory } from "./fixture.ts";

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** A user of which the name tells where it was found. */
const found = (user: string) => ({ auth: base64(`${user}:secret`) });

async function write(file: string, content: unknown): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

/** A store of one file with this content. */
async function storeOf(content: unknown, env: Record<string, string> = {}): Promise<CredentialStore> {
  const file = await write(join(await temporaryDirectory(), "config.json"), content);
  return openCredentialStore({ env, file });
}

/** Who is found, in a word. */
async function who(store: CredentialStore, host: string, repository = "team/app"): Promise<string> {
  const login = await store.find(host, repository);
  if (login === undefined) return "nobody";
  return login.kind === "password" ? `${login.user}:${login.password}` : `${login.kind} ${login.token}`;
}

describe("an entry", () => {
  test.for<[string, unknown, string]>([
    ["with user and password", { auth: base64("me:secret") }, "me:secret"],
    ["with colons in the password", { auth: base64("me:a:b:") }, "me:a:b:"],
    ["with letters beyond ASCII", { auth: base64("mé:пароль") }, "mé:пароль"],
    ["that ends with zeros, as docker once wrote it", { auth: base64("me:secret\0\0") }, "me:secret"],
    ["with an empty password", { auth: base64("me:") }, "me:"],
    ["in Kubernetes' form", { username: "me", password: "secret" }, "me:secret"],
    ["with both", { username: "x", password: "y", auth: base64("me:secret") }, "me:secret"],
    ["with an identity token", { auth: base64("me:"), identitytoken: "t" }, "identity-token t"],
    ["with a registry token", { registrytoken: "t" }, "registry-token t"],
    ["of nothing", {}, "nobody"],
    ["of an empty text", { auth: "" }, "nobody"],
    ["of an e-mail", { email: "me@example.com" }, "nobody"],
  ])("%s", async ([, entry, expected]) => {
    const store = await storeOf({ auths: { "a.example": entry } });
    expect(await who(store, "a.example")).toBe(expected);
    expect(await who(store, "b.example")).toBe("nobody");
  });

  test("says where it is from, without the secret", async () => {
    const store = await storeOf({ auths: { "a.example/team": found("me") } });
    const login = await store.find("a.example", "team/app");
    expect(login?.from).toBe(`${store.places[0]} (its entry "a.example/team")`);
  });

  test.for<[string, unknown, string]>([
    ["no JSON", '{"auths": secret', "it is not JSON"],
    ["a list", "[]", "the file is not a JSON object"],
    ["a text for auths", { auths: "secret" }, "auths is not a JSON object"],
    [
      "a text for an entry",
      { auths: { "a.example": "secret" } },
      'the entry "a.example" is not a JSON object',
    ],
    [
      "a number for auth",
      { auths: { "a.example": { auth: 1 } } },
      'auth of the entry "a.example" is not a text',
    ],
    [
      "no colon in auth",
      { auths: { "a.example": { auth: base64("secret") } } },
      'auth of the entry "a.example" is not the base64 of <user>:<password>',
    ],
    ["a list for helpers", { credHelpers: ["secret"] }, "credHelpers is not a JSON object"],
    ["a helper elsewhere", { credsStore: "../secret" }, "it names a credential helper that cannot be"],
    ["a helper that is no text", { credHelpers: { x: 1 } }, "it names a credential helper that cannot be"],
  ])("file with %s is an error that shows nothing of it", async ([, content, words]) => {
    const store = await storeOf(content);
    const error = await failureOf(store.find("a.example", "x"));
    expect(error.code).toBe("CREDENTIALS_INVALID");
    expect(error.message).toContain(store.places[0]);
    expect(error.message).toContain(words);
    expect(error.message).not.toContain("secret");
  });
});

describe("the key", () => {
  test.for<[string, string, string, boolean]>([
    ["a.example", "a.example", "x", true],
    ["A.Example", "a.example", "x", true],
    ["a.example:5000", "a.example", "x", false],
    ["a.example", "a.example:5000", "x", false],
    ["a.example:5000", "a.example:5000", "x", true],
    ["https://a.example", "a.example", "x", true],
    ["https://a.example/", "a.example", "x", true],
    ["https://a.example/v1/", "a.example", "x", true],
    ["https://a.example/v2/", "a.example", "x", true],
    ["a.example/v2", "a.example", "x", true],
    ["http://a.example:5000/v1", "a.example:5000", "x", true],
    ["a.example/team", "a.example", "team/app", true],
    ["a.example/team/app", "a.example", "team/app", true],
    ["a.example/team/app", "a.example", "team", false],
    ["a.example/tea", "a.example", "team/app", false],
    ["a.example/team", "a.example", "x/team", false],
    ["https://index.docker.io/v1/", "docker.io", "x", true],
    ["index.docker.io", "docker.io", "x", true],
    ["docker.io", "registry-1.docker.io", "x", true],
    ["docker.io/team", "docker.io", "team/app", true],
    ["docker.io", "a.example", "x", false],
    ["*.example", "a.example", "x", true],
    ["*.example", "a.b.example", "x", false],
    ["*.example", "a-example", "x", false],
    ["a*.example:5000", "ab.example:5000", "x", true],
    ["*", "a.example", "x", false],
    ["", "a.example", "x", false],
  ])("%j is for %s/%s: %s", ([key, host, repository, expected]) => {
    expect(fitOf(key, host, repository) !== undefined).toBe(expected);
  });

  test("that has the most of the path comes first, the host before a pattern", async () => {
    const auths = {
      "*.example": found("pattern"),
      "a.example": found("host"),
      "a.example/team": found("team"),
      "a.example/team/app": found("app"),
      "*.example/team/app/x": found("deep"),
      "a.example/empty/app": {},
    };
    const store = await storeOf({ auths });
    expect(await who(store, "a.example", "team/app")).toBe("app:secret");
    expect(await who(store, "a.example", "team/app/x")).toBe("deep:secret");
    expect(await who(store, "a.example", "team/other")).toBe("team:secret");
    expect(await who(store, "a.example", "other")).toBe("host:secret");
    expect(await who(store, "a.example", "empty/app")).toBe("host:secret");
    expect(await who(store, "b.example", "other")).toBe("pattern:secret");
  });
});

describe("places", () => {
  const config = { auths: { "a.example": found("config") } };
  const runtime = { auths: { "a.example": found("runtime"), "b.example": found("runtime") } };
  const home = {
    auths: { "a.example": found("home"), "b.example": found("home"), "c.example": found("home") },
  };

  test("are those of docker and podman, in order", async () => {
    const directory = await temporaryDirectory();
    const env = { HOME: join(directory, "home"), XDG_RUNTIME_DIR: join(directory, "run") };
    await write(join(env.HOME, ".docker/config.json"), config);
    await write(join(env.XDG_RUNTIME_DIR, "containers/auth.json"), runtime);
    await write(join(env.HOME, ".config/containers/auth.json"), home);
    const store = openCredentialStore({ env });
    expect(store.places).toEqual([
      join(env.HOME, ".docker/config.json"),
      join(env.XDG_RUNTIME_DIR, "containers/auth.json"),
      join(env.HOME, ".config/containers/auth.json"),
    ]);
    expect(await who(store, "a.example")).toBe("config:secret");
    expect(await who(store, "b.example")).toBe("runtime:secret");
    expect(await who(store, "c.example")).toBe("home:secret");
    expect(await who(store, "d.example")).toBe("nobody");
  });

  test("move with DOCKER_CONFIG and XDG_CONFIG_HOME", () => {
    const env = { HOME: "/home/me", DOCKER_CONFIG: "/docker", XDG_CONFIG_HOME: "/xdg", XDG_RUNTIME_DIR: "" };
    expect(openCredentialStore({ env }).places).toEqual(["/docker/config.json", "/xdg/containers/auth.json"]);
  });

  test("are only REGISTRY_AUTH_FILE where that is set, there or not", async () => {
    const directory = await temporaryDirectory();
    await write(join(directory, "config.json"), config);
    const env = { HOME: directory, DOCKER_CONFIG: directory, REGISTRY_AUTH_FILE: join(directory, "auth") };
    const store = openCredentialStore({ env });
    expect(store.places).toEqual([join(directory, "auth")]);
    expect(await who(store, "a.example")).toBe("nobody");
    await write(join(directory, "auth"), runtime);
    expect(await who(store, "a.example")).toBe("runtime:secret");
  });

  test("may be empty, or not there", async () => {
    const directory = await temporaryDirectory();
    await write(join(directory, ".docker"), "a file where a directory is expected");
    await write(join(directory, ".config/containers/auth.json"), "");
    expect(await who(openCredentialStore({ env: { HOME: directory } }), "a.example")).toBe("nobody");
  });

  test("named by the user have to be there, and are read anew each time", async () => {
    const store = await storeOf(config);
    const [file = ""] = store.places;
    expect(await who(store, "a.example")).toBe("config:secret");
    await write(file, runtime);
    expect(await who(store, "a.example")).toBe("runtime:secret");
    await rm(file);
    const error = await failureOf(store.find("a.example", "x"));
    expect(error.code).toBe("FILE_UNREADABLE");
    expect(error.message).toContain(file);
  });
});

describe("a helper", () => {
  /** Programs `docker-credential-<name>` in a directory of their own, as the only ones in PATH. */
  async function withHelpers(scripts: Record<string, string>): Promise<{ PATH: string; LOG: string }> {
    const directory = await temporaryDirectory();
    for (const [name, script] of Object.entries(scripts)) {
      const file = await write(join(directory, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`);
      await chmod(file, 0o755);
    }
    return { PATH: `${directory}:/bin:/usr/bin`, LOG: join(directory, "log") };
  }

  const says = (user: string, secret: string) =>
    `read -r server; echo '{"ServerURL":"'$server'","Username":"${user}","Secret":"${secret}"}'`;
  const knows = (server: string, user: string) =>
    `read -r server; if [ "$server" = "${server}" ]; then echo '{"Username":"${user}","Secret":"x"}'; else echo 'credentials not found in native keychain'; exit 1; fi`;

  test("is asked with get, and the host on its standard input", async () => {
    const env = await withHelpers({ one: `[ "$1" = get ] || exit 3; ${says("me", "secret")}` });
    const store = await storeOf({ credHelpers: { "a.example:5000": "one" } }, env);
    expect(await store.find("a.example:5000", "x")).toEqual({
      kind: "password",
      user: "me",
      password: "secret",
      from: `docker-credential-one, which ${store.places[0]} names`,
    });
    expect(await who(store, "b.example")).toBe("nobody");
  });

  test("may leave a program behind that holds its output open", async () => {
    const env = await withHelpers({ one: `sleep 60 & ${says("me", "secret")}` });
    const started = performance.now();
    expect(await who(await storeOf({ credsStore: "one" }, env), "a.example")).toBe("me:secret");
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  test("may have an identity token", async () => {
    const env = await withHelpers({ one: says("<token>", "t") });
    expect(await who(await storeOf({ credsStore: "one" }, env), "a.example")).toBe("identity-token t");
  });

  test("of a host comes before that of all, and both before the file's own entries", async () => {
    const env = await withHelpers({ one: knows("a.example", "own"), all: knows("b.example", "all") });
    const auths = { "a.example": found("file"), "b.example": found("file"), "c.example": found("file") };
    const content = { auths, credHelpers: { "https://a.example/v1/": "one" }, credsStore: "all" };
    const store = await storeOf(content, env);
    expect(await who(store, "a.example")).toBe("own:x");
    expect(await who(store, "b.example")).toBe("all:x");
    expect(await who(store, "c.example")).toBe("file:secret");
  });

  test.for(["https://index.docker.io/v1/", "docker.io"])("knows Docker Hub as %s", async (server) => {
    const env = await withHelpers({ one: knows(server, "hub") });
    expect(await who(await storeOf({ credsStore: "one" }, env), "docker.io")).toBe("hub:x");
    const helpers = { [server]: "one" };
    expect(await who(await storeOf({ credHelpers: helpers }, env), "registry-1.docker.io")).toBe("hub:x");
  });

  test.for([
    ["has nothing", "echo 'credentials not found in native keychain'; exit 1"],
    ["misses the server", "echo 'no credentials server URL'; exit 1"],
    ["knows nobody", `echo '{"Username":"","Secret":""}'`],
  ] as const)("that %s is none", async ([, script]) => {
    const env = await withHelpers({ one: script });
    expect(await who(await storeOf({ credsStore: "one" }, env), "a.example")).toBe("nobody");
  });

  test.for([
    ["is not installed", undefined, "there is no such program in PATH"],
    ["fails in words", "echo 'the key ring is locked'; exit 1", '"the key ring is locked"'],
    ["fails without words", "exit 7", "it ended with 7"],
    ["is ended", "kill -9 $$", "it was ended by SIGKILL"],
    ["prints no JSON", "echo secret", "it printed no JSON with Username and Secret"],
    ["prints other JSON", `echo '{"Secret":"secret"}'`, "it printed no JSON with Username and Secret"],
    ["prints without end", "exec yes secret", "it was ended by SIGKILL"],
    ["fails after its answer", `echo '{"Username":"me","Secret":"secret"}'; exit 4`, "it ended with 4"],
    ["does not read", "exec <&-; exit 7", "it ended with 7"],
  ] as const)("that %s is an error", async ([, script, words]) => {
    const env = await withHelpers(script === undefined ? {} : { one: script });
    const store = await storeOf({ credHelpers: { "a.example": "one" } }, env);
    const error = await failureOf(store.find("a.example", "x"));
    expect(error.code).toBe("CREDENTIAL_HELPER_FAILED");
    expect(error.message).toBe(
      `docker-credential-one, which ${store.places[0]} names for a.example, failed: ${words}`,
    );
  });

  test("that fails does not stand in the way of another file", async () => {
    const directory = await temporaryDirectory();
    const env = { HOME: directory, PATH: directory };
    await write(join(directory, ".docker/config.json"), { credsStore: "missing" });
    const store = openCredentialStore({ env });
    expect((await failureOf(store.find("a.example", "x"))).code).toBe("CREDENTIAL_HELPER_FAILED");
    await write(join(directory, ".config/containers/auth.json"), { auths: { "a.example": found("podman") } });
    expect(await who(store, "a.example")).toBe("podman:secret");
  });
});
