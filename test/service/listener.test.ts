import { createServer } from "node:http";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { Ending } from "../../src/service/ending.ts";
import { createListener, type App } from "../../src/service/listener.ts";

/** A server that listens where it is told, unless an address is not to be had. */
class FakeApp implements App {
  readonly server = createServer((_request, response) => response.end("here"));
  readonly #missing: Readonly<Record<string, string>>;
  readonly asked: string[] = [];

  constructor(missing: Readonly<Record<string, string>> = {}) {
    this.#missing = missing;
  }

  async listen({ host, port }: { host: string; port: number }): Promise<void> {
    this.asked.push(host);
    const code = this.#missing[host];
    if (code !== undefined) throw Object.assign(new Error(`listen ${code}`), { code });
    await new Promise<void>((resolve) => this.server.listen({ host, port }, resolve));
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

describe("all addresses", () => {
  test.each(["EAFNOSUPPORT", "EADDRNOTAVAIL"])(
    "are those of IPv4 on a machine without IPv6 (%s)",
    async (code) => {
      const app = new FakeApp({ "::": code });
      const listener = createListener(app);
      const port = await listener.listen({ host: "::", port: 0 }, "webhook.listen");
      onTestFinished(() => listener.close());
      expect(app.asked).toEqual(["::", "0.0.0.0"]);
      expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe("here");
    },
  );

  test("are written as the configuration has them", async () => {
    const listener = createListener(new FakeApp({ "::": "EADDRINUSE" }));
    await expect(listener.listen({ host: "::", port: 443 }, "webhook.listen")).rejects.toMatchObject({
      code: "PORT_UNAVAILABLE",
      message: expect.stringMatching(/^cannot listen on :443: another process .*\(webhook\.listen\)$/),
    });
    await listener.close();
  });
});

test.each([
  ["EACCES", /not permitted/],
  ["ENOTFOUND", /no host of this name/],
  ["EWHATEVER", /listen EWHATEVER/],
])("%s is told in words", async (code, words) => {
  const listener = createListener(new FakeApp({ "fd00::1": code }));
  await expect(listener.listen({ host: "fd00::1", port: 80 }, "admin.listen")).rejects.toMatchObject({
    message: expect.stringMatching(words),
    cause: { code },
  });
  await expect(listener.listen({ host: "fd00::1", port: 80 }, "admin.listen")).rejects.toThrow(
    /\[fd00::1\]:80/,
  );
});

test("a request without an answer is cut off in the end", async () => {
  const app = new FakeApp();
  app.server.removeAllListeners("request");
  const listener = createListener(app, { quietMs: 1, drainMs: 50 });
  const port = await listener.listen({ host: "127.0.0.1", port: 0 }, "x");
  const answer = fetch(`http://127.0.0.1:${port}`);
  const lost = expect(answer).rejects.toThrow();
  await new Promise<void>((resolve) => app.server.once("request", () => resolve()));
  await listener.close();
  await lost;
});

describe("an end", () => {
  const ended: string[] = [];
  beforeEach(() => void ended.splice(0));

  function endingWith(failing: string): Ending {
    const ending = new Ending();
    const end = (name: string) => async (): Promise<void> => {
      ended.push(name);
      if (name === failing) throw new Error(`${name} failed`);
    };
    ending.first.push(end("watcher"));
    ending.listeners.push(
      { close: end("webhook"), leave: () => undefined, listen: async () => 0 },
      { close: end("registry"), leave: () => undefined, listen: async () => 0 },
    );
    ending.last.push(end("resolver"), end("images"));
    return ending;
  }
  const order = ["watcher", "webhook", "registry", "images", "resolver"];

  test("is in order: nothing new, then servers, then what they need", async () => {
    await endingWith("").run();
    expect(ended).toEqual(order);
  });

  test.each(order)("comes to all although %s fails, and says so", async (failing) => {
    await expect(endingWith(failing).run()).rejects.toThrow(
      `not all could be ended: Error: ${failing} failed`,
    );
    expect(ended).toEqual(order);
  });
});
