import type { SecureContextOptions, Server } from "node:tls";
import { parseKeyPair, type KeyPair } from "./key-pair.ts";

/** What the configuration says about TLS. */
export interface TlsSettings {
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

/** TLS 1.2 because that is what every supported API server and every scraper in a cluster can speak. */
export const defaultTlsSettings: TlsSettings = { minVersion: "TLSv1.2" };

/**
 * Forward secrecy and authenticated encryption only: the "intermediate" list of Mozilla's Server Side TLS 5.7
 * without finite-field Diffie-Hellman. The first three are TLS 1.3's.
 */
const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/**
 * The complete TLS options of a server with this pair, for its start and again for every reload.
 *
 * `server.setSecureContext` resets each option that it is not given: a TLS-1.3-only server takes TLS 1.2 after
 * a reload without `minVersion`. So there is no second place that knows a TLS option.
 */
export function tlsOptions(
  pair: Pick<KeyPair, "certificatePem" | "keyPem">,
  settings: TlsSettings = defaultTlsSettings,
): SecureContextOptions {
  return {
    cert: pair.certificatePem,
    key: pair.keyPem,
    minVersion: settings.minVersion,
    ciphers,
    // Every cipher of the list is good, so the client takes the one that its hardware is fast at.
    honorCipherOrder: false,
  };
}

/**
 * Makes a running server use another pair: new connections get it, open ones live on with the old one.
 *
 * Throws certificateInvalid for a pair that cannot serve; the server then goes on with the old pair.
 */
export function applyKeyPair(
  server: Pick<Server, "setSecureContext">,
  pair: Pick<KeyPair, "certificatePem" | "keyPem">,
  settings: TlsSettings = defaultTlsSettings,
): void {
  // setSecureContext refuses a damaged pair by itself, but takes an empty key for "no key", and then serves nobody.
  parseKeyPair(pair, { certificate: "that is to be put in force", key: "that is to be put in force" });
  server.setSecureContext(tlsOptions(pair, settings));
}
