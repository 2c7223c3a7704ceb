/** What a request asked for; "other" is a path or a method that the registry has no answer to. */
export type RequestKind = "ping" | "manifest" | "blob" | "tags" | "referrers" | "other";

/** A request that has been answered, or whose client has gone. */
export interface RegistryRequest {
  readonly kind: RequestKind;
  /** HTTP status; 499, as nginx writes it, when the client went away before there was one. */
  readonly status: number;
  /** Bytes of the body that were handed to the connection. */
  readonly bytes: number;
  readonly seconds: number;
}

/** Hears of every request once, for metrics. */
export interface RegistryObserver {
  request(request: RegistryRequest): void;
  /** A request for a tag had its turn after so many seconds. */
  held(seconds: number): void;
}

/** Takes no notice. */
export const silentObserver: RegistryObserver = { request() {}, held() {} };
