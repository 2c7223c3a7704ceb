/** What a request is about; `token` goes to the registry's token service, `upload` to a session that makes a blob. */
export type RequestKind = "manifest" | "blob" | "upload" | "token";

/** One HTTP request, each attempt and each redirect counted. */
export interface RegistryRequest {
  readonly method: string;
  readonly kind: RequestKind;
  /** Host and port that were asked: of the registry, or of where it led. */
  readonly host: string;
  /** Of the answer; `undefined` if there was none. */
  readonly status: number | undefined;
  /** Bytes of the body that were handed to the connection. */
  readonly sent: number;
  /** Bytes of the answer's body that were read. */
  readonly received: number;
  readonly seconds: number;
}

/** Is told of each request when it is over. It must neither throw nor block. */
export type RequestObserver = (request: RegistryRequest) => void;
