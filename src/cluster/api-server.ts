import type { Operation } from "fast-json-patch";

/** What is asked of a Kubernetes API server. Each call throws apiServerUnavailable where it does not answer or refuses. */
export interface ApiServer {
  /** The Secret with our certificate authorities; undefined: there is none. */
  readSecret(): Promise<StoredSecret | undefined>;
  /** @returns false: somebody else was first. */
  createSecret(data: SecretData): Promise<boolean>;
  /** @returns false: it is no longer the one that was read. */
  replaceSecret(stored: StoredSecret, data: SecretData): Promise<boolean>;
  /** Our MutatingWebhookConfiguration; undefined: there is none. */
  readWebhooks(): Promise<WebhookConfiguration | undefined>;
  /**
   * Applies a JSON patch to the MutatingWebhookConfiguration.
   * @returns false: one of the patch's tests failed, or it is gone.
   */
  patchWebhooks(patch: readonly Operation[]): Promise<boolean>;
  /** The version that the server behaves like: `v1.36.3`, or `v1.34 (emulated by v1.36.3)`. */
  version(): Promise<string>;
  /** Whether a feature gate of the server is on; undefined: it does not say. */
  featureGate(name: string): Promise<boolean | undefined>;
  /** Calls back soon after one of our objects changes, and at other times too. */
  watch(what: "secret" | "webhooks", onChange: () => void): { close(): void };
  /**
   * The API server's clock, as of its last answer; our own before the first one. It is the one by which certificates
   * are judged.
   */
  now(): Date;
  /** Gives up all that is under way. */
  close(): void;
}

/** Keys and values of a Secret, decoded. */
export type SecretData = Readonly<Record<string, string>>;

/** A Secret as it was read. */
export interface StoredSecret {
  readonly uid: string;
  readonly resourceVersion: string;
  readonly data: SecretData;
}

/** The parts of a MutatingWebhookConfiguration that matter here. */
export interface WebhookConfiguration {
  readonly webhooks: readonly {
    readonly name: string;
    readonly service?: { readonly namespace: string; readonly name: string };
    /** PEM; empty: none. */
    readonly caBundle: string;
  }[];
}

/** The names of our objects (configuration, `cluster`). */
export interface ClusterNames {
  readonly namespace: string;
  readonly service: string;
  readonly webhookConfiguration: string;
  readonly secret: string;
}
