import { join, resolve } from "node:path";
import type { Config } from "../config.ts";
import { formatBytes } from "../errors.ts";
import { baseName, type StorePath } from "../nix/store-path.ts";
import type { Digest } from "../oci/digest.ts";
import { cacheDirectory } from "../push/cache-directory.ts";
import { copyFromStore, scratchKeyName } from "../push/local-store.ts";
import type { PushedClosure, PushObserver, PushRequest } from "../push/push.ts";
import { openScratch } from "../push/scratch.ts";
import { PushSession, type SessionOptions } from "../push/session.ts";
import { openCredentialStore } from "../registry-client/credentials.ts";
import { createResolver, type Resolver } from "../resolver/resolver.ts";
import { resolverOptions } from "../service/settings.ts";
import { count, print, type CliContext } from "./context.ts";
import { openConfig } from "./open-config.ts";
import { endingOf } from "./push-ending.ts";
import { type PushFlags, type PushSettings, readPushFlags } from "./push-flags.ts";
import { findOrigin, findRoot, originSource, type PushOrigin } from "./push-origin.ts";
import { type PushProgress, startPushProgress } from "./push-progress.ts";
import { requireNamedRoots } from "./push-systems.ts";
import { formatPush, pushJson } from "./push-text.ts";
import { version } from "./version.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const nothingDone = { done: 0, total: 0, sentBytes: 0 };
const replacedHint = "images that only it names are the registry's to remove";

/** Runs `push`: reads what the flags mean, and puts one closure after the other into the repository. */
export async function runPush(
  context: CliContext,
  flags: PushFlags,
  words: readonly string[],
): Promise<void> {
  const started = performance.now();
  const { config } = await openConfig(flags.config);
  const settings = await readPushFlags(flags, words);
  const { name } = settings;
  const allWords = [...words, ...settings.roots.map(({ word }) => word)];
  const origin = await findOrigin(allWords, flags.from, flags.publicKey ?? [], config);
  const requests = await makeRequests(origin, flags, settings, config);
  const env: Environment = context.process.env ?? {};
  const { signal } = endingOf(context);
  const home = cacheDirectory(env);
  await using scratch = await openScratch(resolve(flags.scratch ?? join(home, "scratch")));
  let session: PushSession | undefined;
  const progress = startPushProgress(context, () => session?.tally.progress ?? nothingDone);
  try {
    if (origin.kind === "local-store") progress.step("reading the local store");
    const { directory } = scratch;
    const source = await openSource(origin, config, { directory, env, signal });
    await using resolver = closing(createResolver(resolverOptions(source.config)));
    await using open = await PushSession.open({
      ...sessionOptions(flags, settings, env),
      resolver,
      source: source.name,
      remote: isRemote(source),
      memoDirectory: join(home, "layers"),
      scratchDirectory: directory,
      signal,
      observer: observerOf(progress),
    });
    session = open;
    const closures: PushedClosure[] = [];
    for (const request of requests) {
      progress.step(`resolving ${request.roots.map(baseName).join(" ")}`);
      const closure = await open.push(request);
      closures.push(closure);
      tellReplaced(progress, flags, closure.tag, closure.replaced);
    }
    const named = name === undefined ? undefined : await open.pushName(name, closures);
    if (named !== undefined) tellReplaced(progress, flags, named.name, named.replaced);
    const { memoFailure } = open;
    if (memoFailure !== undefined) {
      progress.line(`warning: what was made cannot be remembered: ${memoFailure}`);
    }
    progress.end();
    const seconds = (performance.now() - started) / 1000;
    const report = {
      repository: flags.to,
      dryRun: flags.dryRun,
      closures,
      name: named,
      outcome: open.tally.outcome,
      seconds,
    };
    print(context, flags.json ? `${JSON.stringify(pushJson(report))}\n` : formatPush(report));
  } finally {
    progress.end();
  }
}

function tellReplaced(
  progress: PushProgress,
  { to, dryRun }: PushFlags,
  tag: string,
  replaced: Digest | undefined,
): void {
  if (replaced === undefined || dryRun) return;
  progress.line(`${to}:${tag} was ${replaced} before; ${replacedHint}`);
}

function sessionOptions(
  { caFile, plainHttp, compression, dryRun, force }: PushFlags,
  { target, mountFrom, signKey }: PushSettings,
  env: Environment,
): Pick<
  SessionOptions,
  | "host"
  | "repository"
  | "credentials"
  | "caFile"
  | "plainHttp"
  | "userAgent"
  | "compression"
  | "mountFrom"
  | "dryRun"
  | "force"
  | "signKey"
  | "path"
> {
  return {
    ...target,
    credentials: openCredentialStore({ env }),
    ...(caFile !== undefined && { caFile }),
    ...(plainHttp && { plainHttp }),
    userAgent: `nix-closure/${version}`,
    compression,
    mountFrom,
    dryRun,
    force,
    signKey,
    path: env["PATH"],
  };
}

/** Each root by itself, or all of them together; those of a name have a store image that the name needs. */
async function makeRequests(
  { kind, roots }: PushOrigin,
  { together }: PushFlags,
  { plans, name, system, roots: systemRoots }: PushSettings,
  config: Config,
): Promise<readonly PushRequest[]> {
  const hiddenKey = kind === "local-store" ? scratchKeyName : undefined;
  const common = { plans, maxVolumes: config.plan.maxVolumes, hiddenKey };
  if (name === undefined) {
    const sets: readonly (readonly StorePath[])[] = together ? [roots] : roots.map((root) => [root]);
    return sets.map((set) => ({ ...common, roots: set, system }));
  }
  const named =
    systemRoots.length === 0
      ? roots.map((root) => ({ root, system }))
      : await Promise.all(
          systemRoots.map(async (one) => ({ root: await findRoot(one.word, config), system: one.system })),
        );
  requireNamedRoots(
    name,
    named.map(({ root }) => root),
    roots,
  );
  return named.map(({ root, system: of }) => {
    return { ...common, plans: [...plans, "whole"], roots: [root], system: of };
  });
}

/** The configuration of a resolver, and the name of its source that has the closures. */
async function openSource(
  origin: PushOrigin,
  config: Config,
  copy: { readonly directory: string; readonly env: Environment; readonly signal: AbortSignal },
): Promise<{ readonly config: Config; readonly name: string }> {
  const only = (url: string, publicKeys: readonly string[]) => ({
    name: originSource,
    config: { ...config, sources: [{ name: originSource, caches: [url], publicKeys, namespaces: [] }] },
  });
  switch (origin.kind) {
    case "source":
      return { config, name: origin.source };
    case "cache":
      return only(origin.url, origin.publicKeys);
    case "local-store": {
      const copied = await copyFromStore(origin.roots, copy);
      return only(copied.url, [copied.publicKey]);
    }
  }
}

/** Whether a source has caches over HTTP. */
function isRemote({ config, name }: { readonly config: Config; readonly name: string }): boolean {
  const source = config.sources.find((one) => one.name === name);
  return source !== undefined && "caches" in source && source.caches.some((url) => /^https?:/i.test(url));
}

function observerOf(progress: PushProgress): PushObserver {
  return {
    planned({ closure, storeImages }) {
      const names = closure.roots.map(baseName).join(" ");
      const size = formatBytes(closure.narSize);
      const images = count(storeImages.length, "store image");
      progress.line(`${names}: ${count(closure.paths.length, "path")}, ${size}, ${images}`);
    },
    warn: (text) => progress.line(`warning: ${text}`),
  };
}

function closing(resolver: Resolver): Resolver & AsyncDisposable {
  return Object.assign(resolver, { [Symbol.asyncDispose]: async () => resolver.close() });
}
