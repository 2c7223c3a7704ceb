import { expect } from "vitest";
import { run as runCommand } from "../programs/command.ts";
import { until } from "../service/demo-cache.ts";
import { type ClosureName, type InjectedPod, mountsOf } from "./closures.ts";
import { suite } from "./fixture.ts";

/** Runs podman and returns its standard output. */
type Podman = (...args: readonly string[]) => Promise<string>;

/** What podman needs to make the container of a Pod: image, image volumes, environment, and the command. */
function containerArgs({ pod }: InjectedPod, command: readonly string[]): readonly string[] {
  const { image = "", env: variables = [] } = pod.spec.containers[0]!;
  const mounts = mountsOf(pod).map(
    ({ mountPath, reference }) => `type=image,source=${reference},destination=${mountPath}`,
  );
  return [
    ...mounts.flatMap((mount) => ["--mount", mount]),
    ...variables.flatMap(({ name, value = "" }) => ["--env", `${name}=${value}`]),
    // `command` of a container is what images call the entry point.
    "--entrypoint",
    JSON.stringify(command),
    // A namespace with a loopback interface: no closure needs more, and no port can be taken.
    "--network=none",
    image,
  ];
}

/** Runs the programs of a Pod's closure, one of the demo's, out of its image volumes; they do what they are for. */
export async function runPrograms(podman: Podman, pod: InjectedPod): Promise<void> {
  const runPod = (injected: InjectedPod, ...command: readonly string[]): Promise<string> =>
    podman("run", "--rm", ...containerArgs(injected, command));
  const commands: Readonly<Record<Exclude<ClosureName, "edges">, () => Promise<void>>> = {
    async hello() {
      expect(await runPod(pod, "run")).toBe("Hello, world!\n");
      expect(await runPod(pod, "hello", "--greeting=by name")).toBe("by name\n");
    },
    async mixed() {
      expect(await runPod(pod, "mixed-app")).toBe("greeting: from a file store path\nHello, world!\n");
    },
    async python() {
      const program = [
        "import json, os, sqlite3, ssl, sys",
        "def write(path):",
        "    try: open(path, 'w').close()",
        "    except OSError as error: return error.strerror",
        "print(json.dumps({'version': sys.version.split()[0], 'uid': os.getuid(), 'ssl': ssl.OPENSSL_VERSION[:9],",
        "  'sqlite': sqlite3.connect(':memory:').execute('select 40 + 2').fetchone()[0],",
        "  'profile': write('/nix/var/nix/profiles/default/new'), 'store': write(sys.prefix + '/new'), 'tmp': write('/tmp/new')}))",
      ].join("\n");
      expect(JSON.parse(await runPod(pod, "python3", "-c", program))).toEqual({
        version: "3.11.2",
        uid: 65532,
        ssl: "OpenSSL 3",
        sqlite: 42,
        profile: expect.stringMatching(/Read-only file system|Permission denied/) as unknown,
        store: expect.stringMatching(/Read-only file system|Permission denied/) as unknown,
        tmp: null,
      });
    },
    async nginx() {
      const id = (await podman("run", "--detach", ...containerArgs(pod, ["nginx-app"]))).trim();
      const process = (await podman("inspect", "--format", "{{.State.Pid}}", id)).trim();
      const page = (): Promise<string> =>
        runCommand("nsenter", ["--net", "--target", process, "curl", "-sS", "http://127.0.0.1:8080/"], {
          env: suite.env,
        });
      await until(() =>
        page().then(
          () => true,
          () => false,
        ),
      );
      expect(await page()).toBe("hello from a nix closure\n");
      await podman("stop", "--time", "10", id);
      expect((await podman("inspect", "--format", "{{.State.ExitCode}}", id)).trim()).toBe("0");
    },
  };
  if (pod.closure === "edges") throw new Error("the closure edges has no programs");
  await commands[pod.closure]();
}
