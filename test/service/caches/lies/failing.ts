import { gzipSync } from "node:zlib";
import { redirectTo, withStatus } from "../../../resolver/cache-server.ts";
import { helloScene as scene } from "../scenes.ts";
import { begin, changed, drip, endless, silence } from "./answers.ts";
import type { Lie } from "./lie.ts";

const { narInfo } = scene;

const bomb = gzipSync(Buffer.alloc(2 ** 26, "Sig: a:b\n"), { level: 1 });

const farAway = { "retry-after": "86400" };
const hostile = { "retry-after": "99999999999999999999999999" };
const date = "Tue, 24 Nov 2026 08:00:00 GMT";

/** What goes wrong on the way of narinfos: time, connections, statuses, lengths and encodings. */
export const failing = {
  "narinfo-slow": {
    name: "takes 300 ms for each answer",
    scene,
    tell: (cache) =>
      cache.say("*", (response, request) => {
        setTimeout(() => cache.tellTruth((request.url ?? "").slice(1), response), 300);
      }),
  },
  "everything-hangs": { name: "answers nothing", scene, tell: (cache) => cache.say("*", silence) },
  "narinfo-hangs": {
    name: "hangs in the middle of a narinfo",
    scene,
    tell: (cache) => changed(cache, narInfo, (response, file) => begin(response, file, 100)),
  },
  "narinfo-drips": {
    name: "sends a narinfo byte by byte",
    scene,
    tell: (cache) => cache.say(narInfo, (response) => drip(response, "S", 100)),
  },
  "narinfo-reset": {
    name: "resets the connection in the middle of a narinfo",
    scene,
    tell: (cache) =>
      changed(cache, narInfo, (response, file) => {
        begin(response, file, 100);
        setTimeout(() => response.socket?.resetAndDestroy(), 5);
      }),
  },
  "narinfo-endless": {
    name: "sends a narinfo without an end",
    scene,
    tell: (cache) => cache.say(narInfo, (response) => endless(response, Buffer.alloc(65_536, "Sig: a:b\n"))),
  },
  "narinfo-bomb": {
    name: "sends a narinfo that swells to 64 MiB",
    scene,
    tell: (cache) =>
      cache.say(narInfo, (response) => {
        response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
      }),
  },
  "status-500": {
    name: "answers a narinfo with 500",
    scene,
    tell: (cache) => cache.say(narInfo, withStatus(500)),
  },
  "status-429-seconds": {
    name: "asks for a pause of a day",
    scene,
    tell: (cache) => cache.say(narInfo, withStatus(429, farAway)),
  },
  "status-429-date": {
    name: "asks for a pause until tomorrow",
    scene,
    tell: (cache) =>
      cache.say(narInfo, withStatus(429, { date, "retry-after": "Wed, 25 Nov 2026 08:00:00 GMT" })),
  },
  "status-429-huge": {
    name: "asks for a pause beyond all numbers",
    scene,
    tell: (cache) => cache.say(narInfo, withStatus(429, hostile)),
  },
  "status-429-negative": {
    name: "asks for a pause of minus five seconds",
    scene,
    tell: (cache) => cache.say(narInfo, withStatus(429, { "retry-after": "-5" })),
  },
  "status-403": {
    name: "answers 403 for what it does not have",
    scene,
    tell: (cache) => cache.say(narInfo, withStatus(403)),
  },
  "status-401": {
    name: "refuses our credentials",
    scene,
    tell: (cache) => cache.say(narInfo, withStatus(401)),
  },
  "length-too-long": {
    name: "announces a longer narinfo than it sends",
    scene,
    tell: (cache) =>
      changed(cache, narInfo, (response, file) => {
        response.writeHead(200, { "content-length": file.length + 100 });
        response.write(file, () => response.socket?.end());
      }),
  },
  "length-too-short": {
    name: "announces a shorter narinfo than it sends",
    scene,
    tell: (cache) =>
      changed(cache, narInfo, (response, file) => {
        const head = `HTTP/1.1 200 OK\r\ncontent-length: ${file.length - 20}\r\n\r\n`;
        response.socket?.write(Buffer.concat([Buffer.from(head), file]));
      }),
  },
  "encoding-wrong": {
    name: "calls a plain narinfo gzip",
    scene,
    tell: (cache) =>
      changed(cache, narInfo, (response, file) => {
        response.writeHead(200, { "content-encoding": "gzip" }).end(file);
      }),
  },
  "encoding-unknown": {
    name: "encodes a narinfo in a way that nobody knows",
    scene,
    tell: (cache) =>
      changed(cache, narInfo, (response, file) => {
        response.writeHead(200, { "content-encoding": "x-odd" }).end(file);
      }),
  },
  "encoding-cut": {
    name: "cuts off an encoded narinfo",
    scene,
    tell: (cache) =>
      changed(cache, narInfo, (response, file) => {
        response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(file).subarray(0, 150));
      }),
  },
  "info-elsewhere": {
    name: "is for another store directory",
    scene,
    tell: (cache) => cache.say("nix-cache-info", (response) => response.end("StoreDir: /gnu/store\n")),
  },
  "info-loops": {
    name: "redirects everything to itself",
    scene,
    tell: (cache) => cache.say("*", (response, request) => redirectTo(request.url ?? "")(response, request)),
  },
} as const satisfies Record<string, Lie>;
