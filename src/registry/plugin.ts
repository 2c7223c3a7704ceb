/**
 * The read side of OCI distribution-spec 1.1 over `Images`, modelled on google/go-containerregistry's pkg/registry:
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
 */
import type {
  FastifyInstance,
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from "fastify";

import type { Images } from "../image/images.ts";
import { answerBlob } from "./blobs.ts";
import { answerJson, beginCall, type Call } from "./call.ts";
import type { Backend } from "./backend.ts";
import { answerManifest } from "./manifests.ts";
import { type RegistryObserver, type RequestKind, silentObserver } from "./observer.ts";
import { Pacing, unlimited } from "./pacing.ts";
import { ProtocolError, protocolErrors, toProtocolError } from "./protocol-error.ts";
import { answerReferrers } from "./referrers.ts";
import { answerTags } from "./tags.ts";

/** Routes below /v2 for GET and HEAD; every other method is answered that the registry is read-only. */
export function registryPlugin(options: {
  readonly images: Images;
  /** Left out: no request is held. */
  readonly pacing?: Pacing;
  readonly observer?: RegistryObserver;
}): FastifyPluginAsync {
  const { images, pacing = new Pacing(() => unlimited), observer = silentObserver } = options;
  const backend = { images, pacing, observer };
  const calls = new WeakMap<FastifyRequest, Call>();

  /** Made by the first hook, so always there; the types cannot know. */
  function callOf(request: FastifyRequest, reply: FastifyReply): Call {
    const call = calls.get(request) ?? beginCall(request, reply, observer);
    calls.set(request, call);
    return call;
  }

  const routes = async (server: FastifyInstance): Promise<void> => {
    server.addHook("onRequest", async (request, reply) => {
      callOf(request, reply);
      // Before a body is read: nobody has a use for it.
      if (request.method !== "GET" && request.method !== "HEAD") {
        throw new ProtocolError(protocolErrors.readOnly, { headers: { Allow: "GET, HEAD" } });
      }
    });
    server.setErrorHandler((error, request, reply) => answerError(error, callOf(request, reply)));
    const handler = async (request: FastifyRequest, reply: FastifyReply) => {
      const call = callOf(request, reply);
      return answers[call.route.kind](backend, call);
    };
    server.route({ method: ["GET", "HEAD"], url: "/", handler });
    server.route({ method: ["GET", "HEAD"], url: "/*", handler });
    // Reached by the methods that have no route, after the hook.
    server.setNotFoundHandler(handler);
  };

  return async (server) => {
    await server.register(routes, { prefix: "/v2" });
  };
}

/** What the server of the plug-in needs and no plug-in can set: an answer in the protocol's format to a bad URL. */
export function registryServerOptions(
  observer: RegistryObserver = silentObserver,
): Pick<FastifyServerOptions, "frameworkErrors"> {
  return {
    frameworkErrors(error, request, reply) {
      const cause = new ProtocolError(protocolErrors.nameInvalid, { cause: error });
      answerError(cause, beginCall(request, reply, observer));
    },
  };
}

const answers: Readonly<
  Record<RequestKind, (backend: Backend, call: Call) => FastifyReply | Promise<FastifyReply>>
> = {
  // https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#determining-support
  ping: (_backend, call) => answerJson(call, "application/json", {}),
  manifest: answerManifest,
  blob: ({ images }, call) => answerBlob(images, call),
  tags: ({ images }, call) => answerTags(images, call),
  referrers: (_backend, call) => answerReferrers(call),
  other: () => {
    throw new ProtocolError(protocolErrors.routeUnknown);
  },
};

function answerError(error: unknown, call: Call): FastifyReply {
  const answered = toProtocolError(error, call.route.kind);
  const { log } = call.request;
  if (call.signal.aborted) log.debug({ err: error }, "the client went away before its answer");
  else if (answered.kind === protocolErrors.unexpected)
    log.error({ err: error }, "a request failed unexpectedly");
  else if (answered.kind.status >= 500) log.warn({ err: error }, "a request could not be answered");
  call.reply.code(answered.kind.status).headers(answered.headers);
  return answerJson(call, "application/json", answered.body());
}
