/** Closures pushed into registries of others, with and without TLS and logins, and read back. */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hello, mixed, nginx, python } from "../service/demo-cache.ts";
import { type Client, createClients } from "./clients.ts";
import { imagesOf, mountsOf, type PlannedImage } from "./closures.ts";
import { expectPulled, podmanStore, run, scratchDirectory, suite } from "./fixture.ts";
import { OrdinaryRegistry, ordinaryRegistryNames, user } from "./ordinary-registry.ts";
import { PushMachine } from "./push-machine.ts";
import { nixClosure } from "./registry.ts";
import { ServedWebhook } from "./served-webhook.ts";

const roots = [hello, nginx, python, mixed];
const podman = await podmanStore("ordinary-registries");
const machine = await PushMachine.make(join(suite.directory, "ordinary-registries"));

/** How a registry is reached; who lets in only some is shown what the program of a client has left. */
const ways = [
  { way: "over plain HTTP", tls: false },
  { way: "over TLS", tls: true },
  { way: "over plain HTTP, with a login of one repository as podman keeps it", tls: false, login: "podman" },
  { way: "over TLS, with a login as docker keeps it", tls: true, login: "docker" },
] as const satisfies readonly { way: string; tls: boolean; login?: "docker" | "podman" }[];

const combinations = ordinaryRegistryNames.flatMap((name) => ways.map((way) => ({ name, ...way })));

describe.each(combinations)("$name $way", ({ name, tls, ...more }) => {
  const login = "login" in more ? more.login : undefined;
  const directory = join(machine.directory, `${name}-${tls}-${login}`);
  const credentials = join(directory, "credentials");
  const certificates = join(directory, "certificates");
  /** Of clients, and of pushes, who find their login here and nowhere else. */
  const env = {
    DOCKER_CONFIG: credentials,
    REGISTRY_AUTH_FILE: login === "podman" ? join(credentials, "auth.json") : "",
  };
  let registry: OrdinaryRegistry;
  let to: string;
  let tlsFlags: readonly string[];
  /** Of the source in configurations. */
  let source: object;

  beforeAll(async () => {
    registry = await OrdinaryRegistry.start(name, directory, { tls, login: login !== undefined });
    to = `${registry.host}/team/nix`;
    await mkdir(credentials);
    await mkdir(certificates);
    await writeFile(join(credentials, "config.json"), "{}");
    const { caFile } = registry;
    if (caFile !== undefined) await copyFile(caFile, join(certificates, "ca.crt"));
    tlsFlags = caFile === undefined ? [] : ["--ca-file", caFile];
    const dockerConfigFile = login && (await logIn(login));
    source = {
      registry: to,
      publicKeys: [machine.publicKey],
      ...(caFile === undefined ? {} : { caFile }),
      ...(dockerConfigFile === undefined ? {} : { dockerConfigFile }),
    };
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  /** Logs in with a program that keeps credentials in this way. @returns their file */
  async function logIn(kind: "docker" | "podman"): Promise<string> {
    const words = ["login", "--username", user.name, "--password", user.password];
    if (kind === "docker") {
      // oras keeps them in docker's file and form.
      await run(
        suite.programs.oras,
        ...words,
        "--registry-config",
        join(credentials, "config.json"),
        ...orasTls(),
        registry.host,
      );
      return join(credentials, "config.json");
    }
    const file = join(credentials, "auth.json");
    await run("skopeo", ...words, "--authfile", file, "--tls-verify=false", to);
    const kept = JSON.parse(await readFile(file, "utf8")) as { auths: Record<string, object> };
    expect(Object.keys(kept.auths)).toEqual([to]);
    // The login of the whole registry is another one, and good for nothing.
    kept.auths[registry.host] = { auth: Buffer.from("somebody:else").toString("base64") };
    await writeFile(file, JSON.stringify(kept));
    return file;
  }
  const orasTls = (): readonly string[] =>
    registry.caFile === undefined ? ["--plain-http"] : ["--ca-file", registry.caFile];

  test("takes closures, once", async () => {
    const first = await machine.push(to, [...tlsFlags, ...roots], env);
    expect(first.closures.map(({ paths, unchanged }) => [paths, unchanged])).toEqual([
      [5, false],
      [14, false],
      [20, false],
      [8, false],
    ]);
    expect(first.sent.bytes).toBeGreaterThan(20_000_000);
    const second = await machine.push(to, [...tlsFlags, ...roots], env);
    expect(second.closures).toEqual(first.closures.map((closure) => ({ ...closure, unchanged: true })));
    expect([second.sent, second.manifests]).toEqual([{ blobs: 0, bytes: 0 }, 0]);
  });

  test("gives them to plan and to the webhook, whose references are pulled", async () => {
    await using webhook = await ServedWebhook.start(join(directory, "webhook"), { shop: source });
    const config = await machine.readingConfig(to, source);
    for (const root of [nginx, python, mixed])
      expect(mountsOf(await webhook.admit(root)).length).toBeGreaterThan(5);
    const planned = JSON.parse(await nixClosure(["plan", "--json", "--config", config, hello])) as {
      readonly volumes: readonly { readonly reference: string; readonly storePaths: readonly string[] }[];
    };
    const pod = await webhook.admit(hello);
    const references = new Set(mountsOf(pod).map(({ reference }) => reference));
    expect(references).toEqual(new Set(planned.volumes.map(({ reference }) => reference)));
    for (const reference of references) expect(reference).toMatch(/^127\.0\.0\.1:\d+\/team\/nix@sha256:/);
    const storePaths = planned.volumes.flatMap((volume) => volume.storePaths);
    await pullAll(imagesOf([{ pod, storePaths }]).filter(({ kind }) => kind !== "base"));
  });

  /** By all clients that know this way; others know no logins of one repository. */
  async function pullAll(images: readonly PlannedImage[]): Promise<void> {
    expect(images).toHaveLength(5);
    const all = createClients({
      ...suite,
      env: {
        ...suite.env,
        ...env,
        REGISTRY_AUTH_FILE: env.REGISTRY_AUTH_FILE || join(credentials, "config.json"),
      },
      podman,
      ...(tls ? { certificates } : {}),
    });
    const knows = (client: Client): boolean =>
      login !== "podman" || ["skopeo", "podman"].includes(client.name);
    for (const client of all.filter(knows)) {
      const scratch = await scratchDirectory();
      for (const [index, image] of images.entries()) {
        if (client.name !== "skopeo" && index > 0) continue;
        expectPulled(await client.pull(image.reference, join(scratch, String(index))), image, client);
      }
    }
  }

  if (tls) {
    test("is not spoken to without its authority", async () => {
      const { code, stderr } = await machine.tryPush(to, ["--plan", "bundle", hello], env);
      // To this machine's loopback it is plain HTTP then.
      expect([code, stderr]).toEqual([3, expect.stringContaining("HTTP request to an HTTPS server")]);
      await using webhook = await ServedWebhook.start(join(directory, "other"), {
        shop: { ...source, caFile: undefined, plainHTTP: false },
      });
      expect(await webhook.refusal(hello)).toMatch(/its certificate is not accepted.*REGISTRY_UNAVAILABLE/);
    });
  }

  if (login !== undefined) {
    test("denies who does not log in, in words", async () => {
      const nobody = { DOCKER_CONFIG: directory, REGISTRY_AUTH_FILE: "" };
      const { code, stderr } = await machine.tryPush(to, [...tlsFlags, hello], nobody);
      expect([code, stderr]).toEqual([3, expect.stringMatching(/no credentials .*REGISTRY_ACCESS_DENIED/s)]);
      await using webhook = await ServedWebhook.start(join(directory, "other-login"), {
        shop: { ...source, dockerConfigFile: undefined },
      });
      expect(await webhook.refusal(hello)).toMatch(
        /no credentials are configured for it.*REGISTRY_ACCESS_DENIED/,
      );
    });
  }
});
