/** What a push makes of a registry that has trouble: it ends well, or in words, and never leaves a broken closure. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { hello } from "../service/demo-cache.ts";
import { type Interference, MemoryRegistry } from "./memory-registry.ts";
import { Pusher } from "./pusher.ts";

/** Interferes only with some of the requests that match. */
function some(
  matches: (request: IncomingMessage) => boolean,
  isMeant: (number: number) => boolean,
  interfere: (request: IncomingMessage, response: ServerResponse) => void,
): Interference {
  let number = 0;
  return (request, response) => {
    if (!matches(request) || !isMeant(number++)) return false;
    interfere(request, response);
    return true;
  };
}

const every = (): boolean => true;
const first =
  (count: number) =>
  (number: number): boolean =>
    number < count;
const oneIn =
  (count: number) =>
  (number: number): boolean =>
    number % count === count - 1;
const sends = ({ method }: IncomingMessage): boolean => method === "PUT" || method === "PATCH";
const sendsBlob = (request: IncomingMessage): boolean =>
  sends(request) && request.url?.includes("/blobs/") === true;
const answer =
  (status: number, headers: Record<string, string> = {}, code = "UNKNOWN") =>
  (_request: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify({ errors: [{ code, message: "not now" }] }));
  };

/** Reads a part of the body, or all of a small one, and then breaks the connection. */
function breakInBody(request: IncomingMessage): void {
  let seen = 0;
  request.on("data", (chunk: Buffer) => {
    seen += chunk.length;
    if (seen > 100_000) request.socket.destroy();
  });
  request.on("end", () => request.socket.destroy());
}

describe("a push ends well with a registry that", () => {
  test.for<[string, Interference]>([
    ["breaks connections", some(every, oneIn(6), ({ socket }) => socket.destroy())],
    ["breaks off in the middle of blobs", some(sendsBlob, oneIn(3), breakInBody)],
    [
      "says at first that it has too many requests",
      some(every, first(2), answer(429, { "retry-after": "1" })),
    ],
    ["fails every now and then", some(every, oneIn(5), answer(500))],
    ["is started anew meanwhile", some(every, (number) => number > 10 && number < 15, answer(503))],
    ["forgets uploads", some(sendsBlob, oneIn(4), answer(404, {}, "BLOB_UPLOAD_UNKNOWN"))],
    ["takes some uploads for invalid", some(sendsBlob, first(2), answer(400, {}, "BLOB_UPLOAD_INVALID"))],
  ])("%s", async ([, interfere]) => {
    const registry = await MemoryRegistry.start();
    const pusher = await Pusher.make(registry);
    registry.interfere = interfere;
    const { closures } = await pusher.push(hello);
    registry.interfere = () => false;
    expect([...registry.repository("nix").tags.keys()]).toEqual([closures[0]?.tag]);
    expect(registry.broken("nix")).toEqual([]);
  });
});

describe("a push ends in words, and leaves no index, with a registry that", () => {
  test.for<[string, Interference, number, RegExp]>([
    [
      "asks for a pause that is too long",
      some(every, every, answer(429, { "retry-after": "3600" })),
      4,
      /it asks for a pause of 3600 s.*REGISTRY_UNAVAILABLE/,
    ],
    [
      "stores blobs under another digest",
      some(
        (request) => request.method === "PUT" && sendsBlob(request),
        every,
        (request, response) => {
          request.resume().once("end", () => {
            const digest = `sha256:${"0".repeat(64)}`;
            response.writeHead(201, { location: `/v2/nix/blobs/${digest}`, "docker-content-digest": digest });
            response.end();
          });
        },
      ),
      3,
      /sha256:0{64}.*REGISTRY_INVALID_ANSWER/,
    ],
    [
      "stores manifests under another digest",
      some(
        ({ method, url }) => method === "PUT" && url?.includes("/manifests/") === true,
        every,
        (request, response) => {
          request.resume().once("end", () => {
            const digest = `sha256:${"0".repeat(64)}`;
            response.writeHead(201, { "docker-content-digest": digest }).end();
          });
        },
      ),
      3,
      /sha256:0{64}.*REGISTRY_INVALID_ANSWER/,
    ],
    [
      "gives other bytes than it says",
      some(
        ({ method, url }) => method === "GET" && url?.includes("/manifests/") === true,
        every,
        (_request, response) => {
          response.writeHead(200, {
            "content-type": "application/vnd.oci.image.index.v1+json",
            "docker-content-digest": `sha256:${"0".repeat(64)}`,
          });
          response.end("{}");
        },
      ),
      3,
      /REGISTRY_INVALID_ANSWER/,
    ],
    [
      "has no place for uploads",
      some(
        ({ method }) => method === "POST",
        every,
        (_request, response) => response.writeHead(202).end(),
      ),
      3,
      /REGISTRY_INVALID_ANSWER/,
    ],
    ["takes no bodies of this size", some(sendsBlob, every, answer(413)), 3, /HTTP 413.*REGISTRY_REFUSED/],
    [
      "does not let tags be overwritten",
      some(
        ({ method, url }) => method === "PUT" && /\/manifests\/(?!sha256:)/.test(url ?? ""),
        every,
        answer(409, {}, "TAG_INVALID"),
      ),
      3,
      /TAG_INVALID.*REGISTRY_REFUSED/,
    ],
  ])("%s", async ([, interfere, wanted, words]) => {
    const registry = await MemoryRegistry.start();
    const pusher = await Pusher.make(registry);
    registry.interfere = interfere;
    const { code, stderr } = await pusher.run(hello);
    expect([code, stderr]).toEqual([wanted, expect.stringMatching(words)]);
    expect([...registry.repository("nix").tags]).toEqual([]);
    // The next one completes, as soon as the registry is well.
    registry.interfere = () => false;
    await pusher.push(hello);
    expect(registry.broken("nix")).toEqual([]);
  });
});

test("a registry that refuses to mount is sent everything", async () => {
  const registry = await MemoryRegistry.start();
  const pusher = await Pusher.make(registry);
  const { sent } = await pusher.push(hello);
  const mounts = ({ url }: IncomingMessage): boolean => url?.includes("mount=") === true;
  registry.interfere = some(mounts, every, answer(405, {}, "UNSUPPORTED"));
  expect((await pusher.pushTo("other", hello)).sent).toEqual(sent);
  expect(registry.broken("other")).toEqual([]);
});

test("a registry that says it has blobs which it does not have takes no manifest over them", async () => {
  const registry = await MemoryRegistry.start();
  const pusher = await Pusher.make(registry);
  // What was made is known from here on, and asked for.
  await pusher.pushTo("other", hello);
  const asks = ({ method, url }: IncomingMessage): boolean =>
    method === "HEAD" && url?.includes("/blobs/") === true;
  registry.interfere = some(asks, every, ({ url = "" }, response) => {
    const size = registry.blobs.get(url.slice(url.lastIndexOf("/") + 1))?.length;
    response.writeHead(200, { "content-length": size ?? 0 }).end();
  });
  const { code, stderr } = await pusher.run(hello);
  expect([code, stderr]).toEqual([3, expect.stringMatching(/MANIFEST_BLOB_UNKNOWN.*REGISTRY_REFUSED/)]);
  expect([...registry.repository("nix").tags]).toEqual([]);
  registry.interfere = () => false;
  await pusher.push(hello);
  expect(registry.broken("nix")).toEqual([]);
});
