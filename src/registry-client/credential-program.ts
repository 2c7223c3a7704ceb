import { spawn } from "node:child_process";
import { credentialHelperFailed, quote } from "../errors.ts";
import type { Login } from "./credentials.ts";

/** A helper may ask a cloud, or a person for the password of a key ring (milliseconds). */
const timeLimit = 60_000;
/** What it wrote before its end is there so long after it (milliseconds), if not at once. */
const lastWords = 1_000;
/** Bytes; a cloud's token has a few thousand. */
const maxOutput = 1024 * 1024;
/** What helpers say when they have nothing (docker-credential-helpers, credentials/error.go). */
const nothing = /credentials not found|no credentials server URL|no credentials username/i;

/** Whom to ask, and for whom. */
export interface HelperQuestion {
  /** `docker-credential-<name>`. */
  readonly name: string;
  /** The file that names it, for messages. */
  readonly file: string;
  /** The registry, as helpers know it. */
  readonly server: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Asks a credential helper (docker-credential-helpers, README, "Development").
 *
 * @returns `undefined` if it has nothing for the server.
 * @throws credentialHelperFailed
 */
export async function askHelper(question: HelperQuestion): Promise<Login | undefined> {
  const { code, output, problem } = await run(question);
  const fail = (why: string): Error =>
    credentialHelperFailed(programOf(question), question.file, question.server, why);
  if (problem !== undefined) throw fail(problem);
  if (code !== 0) {
    if (nothing.test(output)) return undefined;
    // What would have been its answer holds a secret.
    const isSilent = output.trim() === "" || parseOutput(output) !== undefined;
    throw fail(isSilent ? `it ended with ${code}` : quote(output.trim()));
  }
  const login = parseOutput(output);
  // What it printed holds a secret, or is nothing.
  if (login === undefined) throw fail("it printed no JSON with Username and Secret");
  const { user, secret } = login;
  const from = `${programOf(question)}, which ${question.file} names`;
  if (user === "" && secret === "") return undefined;
  return user === "<token>"
    ? { kind: "identity-token", token: secret, from }
    : { kind: "password", user, password: secret, from };
}

const programOf = ({ name }: HelperQuestion): string => `docker-credential-${name}`;

interface Outcome {
  readonly code: number;
  readonly output: string;
  /** It did not come to its end. */
  readonly problem?: string;
}

async function run(question: HelperQuestion): Promise<Outcome> {
  const program = programOf(question);
  const child = spawn(program, ["get"], {
    env: question.env,
    stdio: ["pipe", "pipe", "ignore"],
    timeout: timeLimit,
    killSignal: "SIGKILL",
  });
  const ended = Promise.withResolvers<Outcome>();
  const chunks: Buffer[] = [];
  let size = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxOutput) child.kill("SIGKILL");
    else chunks.push(chunk);
  });
  // One that fails at once does not read.
  child.stdin.on("error", () => undefined);
  child.stdin.end(`${question.server}\n`);
  child.on("error", (error) => {
    const missing = "code" in error && error.code === "ENOENT";
    const problem = missing ? "there is no such program in PATH" : error.message;
    ended.resolve({ code: -1, output: "", problem });
  });
  // What it has started, a key ring's daemon for one, may hold its output open for as long as it likes.
  child.on("exit", () => {
    setTimeout(() => child.stdout.destroy(), lastWords).unref();
  });
  child.on("close", (code, signal) => {
    const output = Buffer.concat(chunks).toString("utf8");
    if (code !== null) ended.resolve({ code, output });
    else ended.resolve({ code: -1, output: "", problem: `it was ended by ${signal}` });
  });
  return ended.promise;
}

function parseOutput(output: string): { readonly user: string; readonly secret: string } | undefined {
  try {
    const { Username: user, Secret: secret } = JSON.parse(output) as Record<string, unknown>;
    return typeof user === "string" && typeof secret === "string" ? { user, secret } : undefined;
  } catch {
    return undefined;
  }
}
