import type { Server } from "node:http";
import { createServer, type AddressInfo, type Server as NetServer, type Socket } from "node:net";
import type { ListenAddress } from "../config.ts";
import { portUnavailable } from "../errors.ts";
import { followConnections } from "./connections.ts";

/** A Fastify server, or what of it is needed here. */
export interface App {
  readonly server: Server;
  listen(options: { readonly host: string; readonly port: number }): Promise<unknown>;
  close(): Promise<unknown>;
}

/** A server at its address. */
export interface Listener {
  /**
   * Listens.
   * @param setting the configuration's key, for messages.
   * @returns the port, which is another one than the address's for port 0.
   * @throws portUnavailable
   */
  listen(address: ListenAddress, setting: string): Promise<number>;
  /** Goes on answering, but has clients come with what follows on new connections, which others may get. */
  leave(): void;
  /** Takes nothing more, answers what is under way, and ends. */
  close(): Promise<void>;
}

/** A connection that was accepted brings its request in this time. Milliseconds. */
const quietMs = 1_000;
/** A request that is answered so late had its client gone long ago. Milliseconds. */
const drainMs = 20_000;
/** Of a machine without IPv6, or without that address. */
const noAddress = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL"]);

/** Prepares a server for {@link Listener.listen}; before that it needs no end. */
export function createListener(app: App, limits = { quietMs, drainMs }): Listener {
  const connections = followConnections(app.server);
  let second: NetServer | undefined;
  let listening = false;

  async function listenAt(host: string, port: number, setting: string): Promise<number> {
    try {
      await app.listen({ host, port });
    } catch (error) {
      if (host === "::" && noAddress.has(codeOf(error))) return listenAt("0.0.0.0", port, setting);
      throw unavailable(host, port, setting, error);
    }
    listening = true;
    return (app.server.address() as AddressInfo).port;
  }

  return {
    async listen({ host, port }, setting) {
      if (host !== "localhost") return listenAt(host, port, setting);
      const bound = await listenAt("127.0.0.1", port, setting);
      try {
        second = await listenToo("::1", bound, app.server);
      } catch (error) {
        if (noAddress.has(codeOf(error))) return bound;
        await app.close();
        listening = false;
        throw unavailable("::1", bound, setting, error);
      }
      return bound;
    },
    leave: () => connections.leave(),
    async close() {
      connections.leave();
      if (!listening) {
        await app.close();
        return;
      }
      const timers = [
        // What has come meanwhile is read first: a process with much to do may not have looked at it yet.
        setTimeout(() => setImmediate(() => connections.endQuiet()), limits.quietMs),
        setTimeout(() => connections.endAll(), limits.drainMs),
      ];
      await Promise.all([endOf(second), app.close()]);
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

/**
 * Another address of a server. Connections are handed to the server, so that what is set there, such as its certificate,
 * holds for them too; Fastify would make a server of its own for each address, and tell nobody of it.
 */
async function listenToo(host: string, port: number, server: Server): Promise<NetServer> {
  const hasTls = "setSecureContext" in server;
  // As node:http and node:https make their own.
  const second = createServer({ noDelay: true, allowHalfOpen: !hasTls }, (socket: Socket) => {
    server.emit("connection", socket);
  });
  await new Promise<void>((resolve, reject) => {
    second.once("error", reject);
    second.listen({ host, port }, resolve);
  });
  return second;
}

async function endOf(server: NetServer | undefined): Promise<void> {
  await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there; end it, or choose another port",
  EACCES: "not permitted, as for ports below 1024 without privileges; choose another port",
  EADDRNOTAVAIL: "this machine has no such address; choose another one",
  ENOTFOUND: "there is no host of this name; choose another one",
};

function unavailable(host: string, port: number, setting: string, error: unknown): Error {
  const address = host === "::" ? `:${port}` : `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const reason = reasons[codeOf(error)] ?? (error instanceof Error ? error.message : String(error));
  return portUnavailable(address, `${reason} (${setting})`).causedBy(error);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
