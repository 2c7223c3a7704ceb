import type { KubernetesObject } from "./chart.ts";

/** The fields of a Pod that the tests look at. */
export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly emptyDir?: { readonly sizeLimit?: string };
    readonly [kind: string]: unknown;
  }[];
  readonly securityContext?: SecurityContext;
  readonly hostNetwork?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly topologySpreadConstraints?: readonly { readonly topologyKey: string }[];
  readonly [field: string]: unknown;
}

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly ports?: readonly { readonly hostPort?: number; readonly [field: string]: unknown }[];
  readonly resources?: { readonly limits?: object; readonly requests?: object };
  readonly securityContext?: SecurityContext & { readonly readOnlyRootFilesystem?: boolean };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly [field: string]: unknown;
}

interface Probe {
  readonly httpGet?: { readonly port: number | string; readonly host?: string };
}

interface SecurityContext {
  readonly runAsNonRoot?: boolean;
  readonly runAsUser?: number;
  readonly privileged?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly seccompProfile?: { readonly type: string };
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
}

interface PodTemplate {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: PodSpec;
}

/** A Pod of a manifest, with the object that makes it. */
export interface ManifestPod {
  readonly object: KubernetesObject;
  readonly spec: PodSpec;
  readonly annotations: Readonly<Record<string, string>>;
}

/** All Pods that the objects of a manifest make. */
export function podSpecs(objects: readonly KubernetesObject[]): readonly ManifestPod[] {
  return objects.flatMap((object) => {
    const template = templateOf(object);
    if (template === undefined) return [];
    return [{ object, spec: template.spec, annotations: template.metadata?.annotations ?? {} }];
  });
}

function templateOf(object: KubernetesObject): PodTemplate | undefined {
  const spec = object.spec as { template?: PodTemplate; jobTemplate?: { spec: { template: PodTemplate } } };
  if (object.kind === "Pod") return object as unknown as PodTemplate;
  return spec?.template ?? spec?.jobTemplate?.spec.template;
}

/** What the restricted Pod Security standard has against a Pod (kubernetes.io, Pod Security Standards). */
export function restrictedProblems(spec: PodSpec): readonly string[] {
  const problems = ["hostNetwork", "hostPID", "hostIPC"].filter((field) => spec[field] === true);
  for (const { name, ...source } of spec.volumes ?? []) {
    const kinds = ["configMap", "emptyDir", "secret", "image", "projected", "persistentVolumeClaim"];
    for (const kind of Object.keys(source))
      if (!kinds.includes(kind)) problems.push(`volume ${name}: ${kind}`);
  }
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    const context = { ...spec.securityContext, ...container.securityContext };
    const { drop = [], add = [] } = context.capabilities ?? {};
    if (context.runAsNonRoot !== true || context.runAsUser === 0) problems.push(`${container.name}: root`);
    if (context.allowPrivilegeEscalation !== false) problems.push(`${container.name}: privilege escalation`);
    if (context.privileged === true) problems.push(`${container.name}: privileged`);
    if (context.seccompProfile?.type !== "RuntimeDefault") problems.push(`${container.name}: seccomp`);
    if (!drop.includes("ALL") || add.length > 0) problems.push(`${container.name}: capabilities`);
    for (const { hostPort } of container.ports ?? [])
      if (hostPort !== undefined) problems.push(`hostPort ${hostPort}`);
  }
  return problems;
}
