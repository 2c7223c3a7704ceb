import { NixClosureError, pushOptionInvalid, signKeyMissing } from "../errors.ts";
import type { SecretKey } from "../nix/secret-key.ts";
import { isRepository, parseReference } from "../oci/reference.ts";
import { defaultChoices, parsePlanChoice, type PlanChoice } from "../push/plan-choice.ts";
import type { RepositoryAddress } from "../registry-client/repository.ts";
import { WrongArguments } from "./exit-codes.ts";
import { readKey } from "./key-file.ts";
import { type PushSystems, readPushSystems } from "./push-systems.ts";

/** The flags of `push`, as they are written. */
export interface PushFlags {
  readonly config?: string;
  readonly json: boolean;
  readonly to: string;
  readonly from?: string;
  readonly publicKey?: readonly string[];
  readonly signKey?: string;
  readonly together: boolean;
  readonly plan?: readonly string[];
  readonly name?: string;
  readonly system?: readonly string[];
  readonly compression: "zstd" | "gzip" | "none";
  readonly mountFrom?: readonly string[];
  readonly dryRun: boolean;
  readonly force: boolean;
  readonly plainHttp: boolean;
  readonly caFile?: string;
  readonly scratch?: string;
}

/** What the flags mean that are more than a word. */
export interface PushSettings extends PushSystems {
  readonly target: RepositoryAddress;
  readonly plans: readonly PlanChoice[];
  /** Repositories of the target's host. */
  readonly mountFrom: readonly string[];
  /** Undefined only in a dry run. */
  readonly signKey: SecretKey | undefined;
}

/**
 * Reads the flags.
 *
 * @param words roots that are written without a system.
 * @throws WrongArguments
 */
export async function readPushFlags(flags: PushFlags, words: readonly string[]): Promise<PushSettings> {
  try {
    if (flags.signKey === undefined && !flags.dryRun) throw signKeyMissing();
    const target = readTarget(flags.to);
    return {
      ...readPushSystems(flags, words),
      target,
      plans: flags.plan?.map(parsePlanChoice) ?? defaultChoices,
      mountFrom: (flags.mountFrom ?? []).map((text) => parseMountFrom(text, target)),
      signKey: flags.signKey === undefined ? undefined : await readKey(flags.signKey),
    };
  } catch (error) {
    throw error instanceof NixClosureError ? new WrongArguments(error) : error;
  }
}

/**
 * Reads `--to`.
 *
 * @throws WrongArguments
 */
export function parseTarget(text: string): RepositoryAddress {
  try {
    return readTarget(text);
  } catch (error) {
    throw error instanceof NixClosureError ? new WrongArguments(error) : error;
  }
}

function readTarget(text: string): RepositoryAddress {
  const form = "write <host>/<repository>, as in registry.example.com/nix";
  try {
    const { host, repository, tag, digest } = parseReference(text);
    if (tag === undefined && digest === undefined) return { host, repository };
  } catch (error) {
    if (!(error instanceof NixClosureError)) throw error;
    throw pushOptionInvalid("--to", text, `${error.message}; ${form}`).causedBy(error);
  }
  throw pushOptionInvalid("--to", text, `its tag follows from the roots; ${form}`);
}

/** A repository of the same registry, with its host or without. */
function parseMountFrom(text: string, { host }: RepositoryAddress): string {
  const repository = text.startsWith(`${host}/`) ? text.slice(host.length + 1) : text;
  if (isRepository(repository)) return repository;
  throw pushOptionInvalid("--mount-from", text, `it is no repository of ${host}; write <repository>`);
}
