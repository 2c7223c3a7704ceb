import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** The open connections of a server. */
export interface Connections {
  /** From now on every answer says that its connection ends with it, so that clients send what follows elsewhere. */
  leave(): void;
  /** Ends the connections on which no request is under way. */
  endQuiet(): void;
  /** Ends all. */
  endAll(): void;
}

interface Connection {
  readonly socket: Socket;
  /** To its last request; it comes after all before. */
  response?: ServerResponse;
}

/**
 * Follows the connections of an HTTP or HTTPS server from their first byte on: what Node.js can close by itself are
 * those that have had a request, but a port scan or a client's spare connection has none, and keeps a server open.
 */
export function followConnections(server: Server): Connections {
  const connections = new Map<string, Connection>();
  // To tell both ends of a socket takes longer than all else that is done here for a request.
  const bySocket = new WeakMap<Socket, Connection>();
  let leaving = false;

  server.on("connection", (socket: Socket) => {
    const key = endpoints(socket);
    const connection: Connection = { socket };
    connections.set(key, connection);
    socket.once("close", () => {
      if (connections.get(key) === connection) connections.delete(key);
    });
  });

  // Before the server's own listener, which may answer at once.
  server.prependListener("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
    let connection = bySocket.get(socket);
    if (connection === undefined) {
      connection = connections.get(endpoints(socket));
      if (connection !== undefined) bySocket.set(socket, connection);
    }
    if (connection !== undefined) connection.response = response;
    if (leaving) response.setHeader("connection", "close");
  });

  const end = (wanted: (connection: Connection) => boolean): void => {
    for (const connection of connections.values()) if (wanted(connection)) connection.socket.destroy();
  };
  return {
    leave() {
      leaving = true;
      for (const { response } of connections.values())
        if (response?.headersSent === false) response.setHeader("connection", "close");
    },
    endQuiet: () => end(({ response }) => response?.closed !== false),
    endAll: () => end(() => true),
  };
}

/** Both ends of a connection: with TLS a request's socket is another object than the connection's. */
function endpoints(socket: Socket): string {
  return [socket.localAddress, socket.localPort, socket.remoteAddress, socket.remotePort].join(" ");
}
