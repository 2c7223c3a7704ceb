import type { Pod } from "../src/patch/pod.ts";

/** What the Pods of a review ask for. */
export interface PodRequest {
  readonly root: string;
  readonly strategy?: "per-path" | "bundle";
  /** How many containers; 1 without it. */
  readonly containers?: number;
}

/** A Pod as its ReplicaSet creates it, when mutating webhooks see it: defaults and managed fields are filled in. */
function deploymentPod({ root, strategy, containers = 1 }: PodRequest, suffix: string): Pod {
  const name = "orders-api";
  const hash = "6b9c7d5f8d";
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: `${name}-${hash}-`,
      name: `${name}-${hash}-${suffix}`,
      namespace: "shop",
      creationTimestamp: "2026-11-20T09:30:00Z",
      labels: {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": `${name}-production`,
        "app.kubernetes.io/version": "2.14.3",
        "app.kubernetes.io/part-of": "shop",
        "pod-template-hash": hash,
      },
      annotations: {
        "nix.closure": root,
        ...(strategy === undefined ? {} : { "nix.closure/strategy": strategy }),
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9102",
        "kubectl.kubernetes.io/restartedAt": "2026-11-20T10:29:58+01:00",
      },
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: `${name}-${hash}`,
          uid: "0b5b1c0e-7d3f-4a35-8a52-0a6f5e0a9b11",
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: [managedFields()],
    },
    spec: {
      volumes: [settingsVolume, tokenVolume],
      containers: Array.from({ length: containers }, (_, index) =>
        container(index === 0 ? "app" : `app-${index}`),
      ),
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      dnsPolicy: "ClusterFirst",
      serviceAccountName: name,
      serviceAccount: name,
      securityContext: { runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001 },
      schedulerName: "default-scheduler",
      tolerations: ["not-ready", "unreachable"].map((condition) => ({
        key: `node.kubernetes.io/${condition}`,
        operator: "Exists",
        effect: "NoExecute",
        tolerationSeconds: 300,
      })),
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: "PreemptLowerPriority",
    },
    status: { phase: "Pending", qosClass: "Burstable" },
  } satisfies Pod;
}

const settingsVolume = {
  name: "settings",
  configMap: { name: "orders-api-settings", defaultMode: 420 },
};

const tokenVolume = {
  name: "kube-api-access-x7k2p",
  projected: {
    defaultMode: 420,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      {
        downwardAPI: {
          items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
        },
      },
    ],
  },
};

function container(name: string) {
  const probe = (path: string, periodSeconds: number) => ({
    httpGet: { path, port: "http", scheme: "HTTP" },
    timeoutSeconds: 1,
    periodSeconds,
    successThreshold: 1,
    failureThreshold: 3,
  });
  return {
    name,
    image: "registry.example.com/platform/runtime:12.8-20261102",
    command: ["python3", "-m", "orders.api"],
    ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
    env: [
      { name: "LOG_LEVEL", value: "info" },
      { name: "POD_IP", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "status.podIP" } } },
      {
        name: "DATABASE_URL",
        valueFrom: { secretKeyRef: { name: "orders-api-database", key: "url" } },
      },
    ],
    resources: { limits: { memory: "512Mi" }, requests: { cpu: "250m", memory: "256Mi" } },
    volumeMounts: [
      { name: "settings", readOnly: true, mountPath: "/etc/orders" },
      {
        name: "kube-api-access-x7k2p",
        readOnly: true,
        mountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
      },
    ],
    livenessProbe: probe("/livez", 10),
    readinessProbe: probe("/readyz", 5),
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: "IfNotPresent",
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
  };
}

/** A part of what the API server writes for a Pod of this form. */
function managedFields() {
  return {
    manager: "kube-controller-manager",
    operation: "Update",
    apiVersion: "v1",
    time: "2026-11-20T09:30:00Z",
    fieldsType: "FieldsV1",
    fieldsV1: {
      "f:metadata": {
        "f:annotations": { ".": {}, "f:nix.closure": {} },
        "f:generateName": {},
        "f:labels": { ".": {}, "f:app.kubernetes.io/name": {}, "f:pod-template-hash": {} },
        "f:ownerReferences": { ".": {}, 'k:{"uid":"0b5b1c0e-7d3f-4a35-8a52-0a6f5e0a9b11"}': {} },
      },
      "f:spec": { "f:containers": { 'k:{"name":"app"}': { ".": {}, "f:image": {}, "f:name": {} } } },
    },
  };
}

/**
 * Different reviews of Pods of one Deployment, as API servers post them: all of one length, each with its own uid and Pod.
 * */
export function podReviews(request: PodRequest, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => {
    const suffix = index.toString(36).padStart(5, "x");
    const pod = deploymentPod(request, suffix);
    const kind = { group: "", version: "v1", kind: "Pod" };
    const resource = { group: "", version: "v1", resource: "pods" };
    return JSON.stringify({
      kind: "AdmissionReview",
      apiVersion: "admission.k8s.io/v1",
      request: {
        uid: `705ab4f5-6393-11e8-b7cc-${index.toString(16).padStart(12, "0")}`,
        kind,
        resource,
        requestKind: kind,
        requestResource: resource,
        name: pod.metadata.name,
        namespace: "shop",
        operation: "CREATE",
        userInfo: {
          username: "system:serviceaccount:kube-system:replicaset-controller",
          uid: "5c9d1a52-0f3e-4d0c-9d36-6f2f8f0e8a77",
          groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
        },
        object: pod,
        oldObject: null,
        dryRun: false,
        options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
      },
    });
  });
}
