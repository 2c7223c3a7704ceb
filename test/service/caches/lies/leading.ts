import { redirectTo } from "../../../resolver/cache-server.ts";
import type { LyingCache } from "../lying-cache.ts";
import { helloScene as scene, signedScene } from "../scenes.ts";
import type { Lie } from "./lie.ts";

const { narInfo, nar } = scene;

/** Where clouds keep the credentials of their machines. */
const metadata = "http://169.254.169.254/latest/meta-data/";

/** Changes the URL of the victim's narinfo, which no signature covers. */
function leadTo(cache: LyingCache, url: string): void {
  const text = Buffer.from(cache.file(narInfo) ?? "").toString();
  cache.say(narInfo, (response) => response.end(text.replace(/^URL: .*$/m, `URL: ${url}`)));
}

/** Where a cache leads: the URLs of its narinfos and its redirects. */
export const leading = {
  "url-other": {
    name: "has its NARs at another origin",
    scene,
    tell: (cache, other) => leadTo(cache, `${other.url}/${nar}`),
  },
  "redirect-other": {
    name: "redirects narinfos and NARs to another origin",
    scene,
    tell(cache, other) {
      for (const name of [narInfo, nar]) cache.say(name, redirectTo(`${other.url}/${name}`));
    },
  },
  "redirect-back": {
    name: "redirects to another origin, which redirects back",
    scene,
    tell(cache, other) {
      for (const name of [narInfo, nar]) {
        cache.say(name, redirectTo(`${other.url}/${name}`));
        other.say(name, redirectTo(`${cache.url}/${name}?again`));
        cache.say(`${name}?again`, (response) => cache.tellTruth(name, response));
      }
    },
  },
  "url-file": { name: "has a NAR at file:", scene, tell: (cache) => leadTo(cache, "file:///etc/passwd") },
  "redirect-file": {
    name: "redirects a narinfo to file:",
    scene,
    tell: (cache) => cache.say(narInfo, redirectTo("file:///etc/passwd")),
  },
  "nar-redirect-file": {
    name: "redirects a NAR to file:",
    scene,
    tell: (cache) => cache.say(nar, redirectTo("file:///etc/passwd")),
  },
  "url-link-local": {
    name: "has a NAR at a link-local address",
    scene,
    tell: (cache) => leadTo(cache, metadata),
  },
  "redirect-link-local": {
    name: "redirects a narinfo to a link-local address",
    scene,
    tell: (cache) => cache.say(narInfo, redirectTo(metadata)),
  },
  "nar-redirect-link-local": {
    name: "redirects a NAR to a link-local address",
    scene,
    tell: (cache) => cache.say(nar, redirectTo(metadata)),
  },
  "url-credentials": {
    name: "has a NAR behind credentials of its own",
    scene,
    tell: (cache, other) => leadTo(cache, `http://user:password@127.0.0.1:${other.port}/${nar}`),
  },
  "redirect-circle": {
    name: "redirects a narinfo in a circle",
    scene,
    tell(cache) {
      cache.say(narInfo, redirectTo("/round"));
      cache.say("round", redirectTo(`/${narInfo}`));
    },
  },
  "nar-redirect-endless": {
    name: "redirects a NAR on and on",
    scene,
    tell(cache) {
      cache.say(nar, redirectTo("/on/1"));
      for (let at = 1; at < 10; at++) cache.say(`on/${at}`, redirectTo(`/on/${at + 1}`));
    },
  },
  /** From an address that is not loopback. */
  "url-loopback": {
    name: "has a NAR at a loopback address",
    scene,
    tell: (cache, other) => leadTo(cache, `${other.url}/${nar}`),
  },
  "redirect-loopback": {
    name: "redirects a narinfo to a loopback address",
    scene,
    tell: (cache, other) => cache.say(narInfo, redirectTo(`${other.url}/${narInfo}`)),
  },
  "nar-redirect-loopback": {
    name: "redirects a NAR to a loopback name",
    scene,
    tell: (cache, other) => cache.say(nar, redirectTo(`http://localhost:${other.port}/${nar}`)),
  },
  "late-redirect-loopback": {
    name: "redirects a NAR to a loopback address when it is asked for it again",
    scene: signedScene,
    tell(cache, other) {
      let asked = 0;
      cache.say(signedScene.nar, (response, request) => {
        if (asked++ === 0) cache.tellTruth(signedScene.nar, response);
        else redirectTo(`${other.url}/${signedScene.nar}`)(response, request);
      });
    },
  },
  /** From https. */
  "url-http": {
    name: "has a NAR at plain http",
    scene,
    tell: (cache, other) => leadTo(cache, `${other.url}/${nar}`),
  },
  "redirect-http": {
    name: "redirects a narinfo to plain http",
    scene,
    tell: (cache, other) => cache.say(narInfo, redirectTo(`${other.url}/${narInfo}`)),
  },
  "nar-redirect-http": {
    name: "redirects a NAR to plain http",
    scene,
    tell: (cache, other) => cache.say(nar, redirectTo(`${other.url}/${nar}`)),
  },
} as const satisfies Record<string, Lie>;
