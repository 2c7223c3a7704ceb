import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { getCACertificates } from "node:tls";
import { fileUnreadable } from "../errors.ts";

/** The certificate authorities that are trusted: those of Node, and those of a file. */
export class Authorities {
  readonly #file: string;
  #state = "";
  #certificates: readonly string[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  /**
   * In PEM; the same array as long as the file does not change.
   *
   * @throws fileUnreadable
   */
  async read(): Promise<readonly string[]> {
    try {
      const { ino, mtimeMs, ctimeMs, size } = await stat(this.#file);
      const state = [ino, mtimeMs, ctimeMs, size].join();
      if (state === this.#state) return this.#certificates;
      const own = certificatesOf(await readFile(this.#file, "utf8"));
      this.#certificates = [...getCACertificates("default"), ...own];
      this.#state = state;
      return this.#certificates;
    } catch (error) {
      throw fileUnreadable(this.#file, error instanceof Error ? error.message : String(error)).causedBy(
        error,
      );
    }
  }
}

/** OpenSSL takes no notice of what it cannot read, and the connection would fail for another reason. */
function certificatesOf(text: string): readonly string[] {
  const found = text.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) throw new Error("it holds no certificate in PEM");
  return found.map((pem) => new X509Certificate(pem).toString());
}
