import { withStatus } from "../../../resolver/cache-server.ts";
import { helloScene as scene, largeScene } from "../scenes.ts";
import { begin, changed, drip, endless, silence } from "./answers.ts";
import type { Lie } from "./lie.ts";

const { nar, listing } = scene;

/** Bytes of the large victim's NAR that suffice to tell its type; it has 240 kB. */
const start = 65_536;

/** What goes wrong on the way of NARs and listings: time, connections, statuses, lengths and encodings. */
export const failingNars = {
  "nar-403": { name: "answers 403 for a NAR", scene, tell: (cache) => cache.say(nar, withStatus(403)) },
  "nar-500": { name: "answers a NAR with 500", scene, tell: (cache) => cache.say(nar, withStatus(500)) },
  "nar-hangs-at-once": { name: "never begins a NAR", scene, tell: (cache) => cache.say(nar, silence) },
  "nar-hangs": {
    name: "hangs in the middle of a NAR",
    scene: largeScene,
    tell: (cache) => changed(cache, largeScene.nar, (response, file) => begin(response, file, start)),
  },
  "nar-drips": {
    name: "sends a NAR byte by byte from its middle on",
    scene: largeScene,
    tell: (cache) =>
      changed(cache, largeScene.nar, (response, file) => {
        begin(response, file, start);
        let at = start;
        const timer = setInterval(() => response.write(file.subarray(at, ++at)), 50);
        response.once("close", () => clearInterval(timer));
      }),
  },
  "nar-drips-at-once": {
    name: "sends a NAR byte by byte from its start on",
    scene,
    tell: (cache) => cache.say(nar, (response) => drip(response, "(", 100)),
  },
  "nar-reset": {
    name: "resets the connection in the middle of a NAR",
    scene: largeScene,
    tell: (cache) =>
      changed(cache, largeScene.nar, (response, file) => {
        begin(response, file, start);
        setTimeout(() => response.socket?.resetAndDestroy(), 20);
      }),
  },
  "nar-encoding-wrong": {
    name: "calls a NAR gzip that is not",
    scene,
    tell: (cache) =>
      changed(cache, nar, (response, file) => {
        response.writeHead(200, { "content-encoding": "gzip" }).end(file);
      }),
  },
  "nar-cut-off": {
    name: "cuts off a NAR, and says that it is all",
    scene: largeScene,
    tell: (cache) =>
      changed(cache, largeScene.nar, (response, file) => response.end(file.subarray(0, start))),
  },
  "nar-cut-off-compressed": {
    name: "cuts off a compressed NAR, and says that it is all",
    scene,
    tell: (cache) => changed(cache, nar, (response, file) => response.end(file.subarray(0, -100))),
  },
  "nar-endless": {
    name: "sends a NAR without an end",
    scene,
    tell: (cache) =>
      changed(cache, nar, (response, file) => {
        response.write(file);
        endless(response, Buffer.alloc(65_536));
      }),
  },
  "listing-500": {
    name: "answers a listing with 500, and has the NAR",
    scene,
    tell: (cache) => cache.say(listing, withStatus(500)),
  },
  "listing-hangs": {
    name: "hangs at a listing, and has the NAR",
    scene,
    tell: (cache) => cache.say(listing, silence),
  },
  "listing-endless": {
    name: "sends a listing without an end, and has the NAR",
    scene,
    tell: (cache) => cache.say(listing, (response) => endless(response, Buffer.alloc(262_144, " "))),
  },
} as const satisfies Record<string, Lie>;
