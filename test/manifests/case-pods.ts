export const policyNames = ["nix-closure-injected", "nix-closure-references"] as const;
export type PolicyName = (typeof policyNames)[number];

/** The parts of a Pod that the expressions look at; an API server takes it as it is. */
export interface CasePod {
  readonly apiVersion: "v1";
  readonly kind: "Pod";
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: readonly CaseContainer[];
    readonly initContainers?: readonly CaseContainer[];
    readonly ephemeralContainers?: readonly CaseContainer[];
    readonly volumes?: readonly CaseVolume[];
    /** A mirror Pod has to say it. */
    readonly nodeName?: string;
  };
}

export interface CaseContainer {
  readonly name: string;
  readonly image?: string;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

export interface CaseVolume {
  readonly name: string;
  readonly image?: { readonly reference: string; readonly pullPolicy: "IfNotPresent" };
  readonly emptyDir?: object;
}

/** One request, and what becomes of it. */
export interface PolicyCase {
  readonly name: string;
  /** EPHEMERAL is an UPDATE of pods/ephemeralcontainers. */
  readonly operation: "CREATE" | "UPDATE" | "EPHEMERAL";
  readonly namespace: string;
  readonly pod: CasePod;
  /** What there was, for all but CREATE. */
  readonly before?: CasePod;
  /** Whether the webhook's match conditions let it through to the webhook; undefined: it is not about that. */
  readonly asked?: boolean;
  /** undefined: both policies let it pass. */
  readonly refused?: { readonly by: PolicyName; readonly message: RegExp };
}

export const hash = "4vlwxs24hwlvm23q063xvdmkzvlxjw1s";
export const storePath = `/nix/store/${hash}-hello-app`;
export const stock = "registry.example.com/debian:13";

/** A Pod with one container, that has nothing of ours. */
export function pod(spec: Partial<CasePod["spec"]>, annotations?: Readonly<Record<string, string>>): CasePod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "case", ...(annotations === undefined ? {} : { annotations }) },
    spec: { containers: [{ name: "app", image: stock }], ...spec },
  };
}

export function imageVolume(reference: string, name = `nix-${hash}`): CaseVolume {
  return { name, image: { reference, pullPolicy: "IfNotPresent" } };
}

/** A Pod with a closure that the webhook, or somebody's hand, has put there. */
export function injected(annotations?: Readonly<Record<string, string>>, mountPath = storePath): CasePod {
  return pod(
    {
      containers: [{ name: "app", image: stock, volumeMounts: [{ name: `nix-${hash}`, mountPath }] }],
      volumes: [imageVolume(`localhost:5417/demo/path/${hash}:1`)],
    },
    annotations,
  );
}

export const annotated = { "nix.closure": storePath };

/** Most cases. */
export const create = { operation: "CREATE", namespace: "shop" } as const;
