/** `npm run image`: builds the image that webhook and registry run from. */
import { parseArgs } from "node:util";
import { type Builder, buildImage, builders } from "./build.ts";

const help = `Builds the image of nix-closure's webhook and registry from this clone.

USAGE
  npm run image -- [--tag NAME:TAG] [--base IMAGE] [--builder docker|podman]

FLAGS
  --tag      name of the image  [default = nix-closure:dev]
  --base     image to build on: Debian with Node 24 or later, or any with Node 24, xz and zstd
             [default = that of the Containerfile]
  --builder  program to build with  [docker|podman, default = docker]
  --help     prints this

Push it to a registry that your nodes can pull from, or load it into kind:
  docker tag nix-closure:dev registry.example.com/nix-closure:0.1.0
  docker push registry.example.com/nix-closure:0.1.0
  kind load docker-image nix-closure:dev --name nix-closure
`;

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`image: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      tag: { type: "string", default: "nix-closure:dev" },
      base: { type: "string" },
      builder: { type: "string", default: "docker" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const { tag, base } = values;
  const builder = parseBuilder(values.builder);
  const onStep = (step: string): void => void process.stdout.write(`${step}\n`);
  await buildImage({ tag, builder, shown: true, onStep, ...(base === undefined ? {} : { base }) });
  process.stdout.write(`\nbuilt ${tag}\n`);
}

function parseBuilder(text: string): Builder {
  const builder = builders.find((name) => name === text);
  if (builder === undefined) throw new Error(`--builder is "${text}"; write ${builders.join(" or ")}`);
  return builder;
}
