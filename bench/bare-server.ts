/**
 * What Node's HTTPS server does when it has nothing to think about: it reads the body and answers always the same bytes.
 *
 * Arguments: port, number of bytes, files of the certificate and of its key.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { tlsOptions } from "../src/webhook/tls/server-options.ts";

const [port, bytes, certificate = "", key = ""] = process.argv.slice(2);
const answer = Buffer.alloc(Number(bytes), "x");
const headers = { "content-type": "application/json; charset=utf-8", "content-length": answer.length };

createServer(
  tlsOptions({ certificatePem: readFileSync(certificate, "utf8"), keyPem: readFileSync(key, "utf8") }),
  (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      Buffer.concat(chunks);
      response.writeHead(200, headers).end(answer);
    });
  },
).listen(Number(port), "127.0.0.1");
