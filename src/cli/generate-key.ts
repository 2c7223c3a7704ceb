import { buildCommand } from "@stricli/core";
import { print, type CliContext } from "./context.ts";

interface Flags {
  readonly out?: string;
}

export const generateKeyCommand = buildCommand({
  docs: {
    brief: "Make a key that signs what is pushed",
    fullDescription:
      "Makes an Ed25519 key, as nix key generate-secret does. The secret half goes to a file that only you can read, the " +
      "public one to standard output, as the configuration takes it.",
  },
  parameters: {
    flags: {
      out: {
        kind: "parsed",
        parse: String,
        brief: "File to write, which must not exist (default: NAME.secret)",
        placeholder: "FILE",
        optional: true,
      },
    },
    positional: {
      kind: "tuple",
      parameters: [
        {
          brief: "name of the key, by convention with a number at its end: shop-1",
          parse: String,
          placeholder: "NAME",
        },
      ],
    },
  },
  async func(this: CliContext, { out }: Flags, name: string): Promise<void> {
    const { writeKey } = await import("./key-file.ts");
    const file = out ?? `${name}.secret`;
    const publicKey = await writeKey(name, file);
    print(this, `${publicKey}\n`);
  },
});
