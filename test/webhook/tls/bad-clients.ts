import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";

import { onTestFinished } from "vitest";

/** A client that does no good: resolves with its connection, which the server has to end. */
export type BadClient = (port: number) => Promise<Socket>;

/** Between two bytes of those that are slow, in milliseconds; a second for a server with usual limits. */
const slowInterval = 25;

const head = (...fields: readonly string[]): string =>
  ["POST /mutate HTTP/1.1", "Host: localhost", "Content-Type: application/json", ...fields, "", ""].join(
    "\r\n",
  );

async function tcp(port: number): Promise<Socket> {
  const socket = connectTcp(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

async function tls(port: number): Promise<TLSSocket> {
  const socket = connectTls({ host: "127.0.0.1", port, servername: "localhost", rejectUnauthorized: false });
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  socket.on("error", () => undefined);
  return socket;
}

/** Waits for the end of a connection, whatever brings it. */
export async function ended(socket: Socket): Promise<void> {
  if (socket.isPaused()) socket.resume();
  if (!socket.closed) await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

/** Reads what comes, so that an end is seen. */
function said<T extends Socket>(socket: T, bytes: string | Uint8Array): T {
  socket.resume();
  if (bytes.length > 0) socket.write(bytes);
  return socket;
}

function slowly<T extends Socket>(socket: T, text: string): T {
  let at = 0;
  const timer = setInterval(() => void socket.write(text.charAt(at++ % text.length)), slowInterval);
  socket.once("close", () => clearInterval(timer));
  return said(socket, "");
}

/** Writes the same again and again, as fast as it is taken. */
function endlessly<T extends Socket>(socket: T, piece: string | Uint8Array): T {
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", more);
  more();
  return said(socket, "");
}

/** A handshake record's header (RFC 8446, 5.1) that announces more bytes than come. */
const recordHeader = Buffer.of(0x16, 0x03, 0x01, 0x02, 0x00);
/** The same with the ClientHello that it announces, which claims more bytes than any has. */
const greedyHello = Buffer.concat([recordHeader, Buffer.of(0x01, 0xff, 0xff, 0xff), Buffer.alloc(508, 3)]);
const noise = Buffer.from(Array.from({ length: 1000 }, (_, i) => (i * 7919) % 251));
const chunk = `10000\r\n${" ".repeat(65_536)}\r\n`;
const smallReview = '{"apiVersion":"admission.k8s.io/v1"}';

/** By what they do. */
export const badClients: Readonly<Record<string, BadClient>> = {
  "connects and says nothing": async (port) => said(await tcp(port), ""),
  "stops within the first record of the handshake": async (port) => said(await tcp(port), recordHeader),
  "says hello a byte at a time": async (port) =>
    slowly(await tcp(port), greedyHello.toString("latin1").slice(0, 4)),
  "claims a hello of 16 MiB": async (port) => said(await tcp(port), greedyHello),
  "sends noise in place of a handshake": async (port) => said(await tcp(port), noise),
  "sends noise in place of a handshake without end": async (port) => endlessly(await tcp(port), noise),
  "speaks HTTP without TLS": async (port) => said(await tcp(port), head("Content-Length: 0")),
  "sends noise below TLS after the handshake": async (port) => {
    const below = await tcp(port);
    const socket = connectTls({ socket: below, servername: "localhost", rejectUnauthorized: false });
    onTestFinished(() => void socket.destroy());
    await once(socket, "secureConnect");
    socket.on("error", () => undefined);
    below.write(noise);
    return below;
  },
  "says nothing after the handshake": async (port) => said(await tls(port), ""),
  "sends noise in place of a request": async (port) => said(await tls(port), noise),
  "sends a request line a byte at a time": async (port) => slowly(await tls(port), "P".repeat(100)),
  "sends headers a byte at a time": async (port) => slowly(said(await tls(port), head().trim()), "x: y\r\n"),
  "stops within the headers": async (port) => said(await tls(port), head().slice(0, 30)),
  "sends a header without end": async (port) =>
    endlessly(said(await tls(port), "GET / HTTP/1.1\r\nx: "), "y"),
  "sends headers without end": async (port) =>
    endlessly(said(await tls(port), "GET / HTTP/1.1\r\n"), "x: y\r\n"),
  "sends headers, and no body": async (port) => said(await tls(port), head("Content-Length: 100")),
  "stops within the body": async (port) => said(await tls(port), `${head("Content-Length: 100")}{"api`),
  "sends a body a byte at a time": async (port) =>
    slowly(said(await tls(port), head("Content-Length: 100000")), " "),
  "sends chunks a byte at a time": async (port) =>
    slowly(said(await tls(port), head("Transfer-Encoding: chunked")), "1\r\n \r\n"),
  "announces a body of 8 MiB": async (port) =>
    endlessly(said(await tls(port), head(`Content-Length: ${8 * 2 ** 20}`)), " ".repeat(65_536)),
  "announces a body of an exabyte": async (port) =>
    endlessly(said(await tls(port), head("Content-Length: 1000000000000000000")), " ".repeat(65_536)),
  "sends chunks without end": async (port) =>
    endlessly(said(await tls(port), head("Transfer-Encoding: chunked")), chunk),
  "sends a chunk that is none": async (port) =>
    said(await tls(port), `${head("Transfer-Encoding: chunked")}zz\r\n`),
  "says two lengths at once": async (port) =>
    said(await tls(port), head("Content-Length: 5", "Transfer-Encoding: chunked")),
  "has an answer, and then says nothing": async (port) =>
    said(await tls(port), `${head(`Content-Length: ${smallReview.length}`)}${smallReview}`),
  "asks again and again, and reads no answer": async (port) => {
    const socket = await tls(port);
    const review = `${head(`Content-Length: ${smallReview.length}`)}${smallReview}`;
    return endlessly(socket, review).pause();
  },
};
