/** The image of the pod network's DaemonSet; part of the node image. */
export const podNetworkImage = "nix-closure.test/pod-network:1";

/** What its script calls, apart from kubectl. */
export const podNetworkPrograms = ["/usr/bin/bash", "/usr/sbin/ip", "/usr/sbin/nft"];

/**
 * For each node as it comes: its own podCIDR becomes the configuration of its CNI plugin, another's a route. Pods have
 * their own addresses among each other, and the node's address to everybody else.
 */
const script = String.raw`
set -u
nft -f - <<RULES
table ip pod-network
delete table ip pod-network
table ip pod-network {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr $POD_SUBNET ip daddr != $POD_SUBNET masquerade
  }
}
RULES
configure() {
  local file=/etc/cni/net.d/10-ptp.conflist
  local text='{"cniVersion":"1.0.0","name":"pods","plugins":[
    {"type":"ptp","ipMasq":false,"ipam":{"type":"host-local","dataDir":"/run/cni-ipam-state",
      "routes":[{"dst":"0.0.0.0/0"}],"ranges":[[{"subnet":"'"$1"'"}]]}},
    {"type":"portmap","capabilities":{"portMappings":true}}]}'
  [ -e $file ] && [ "$(< $file)" = "$text" ] || printf '%s' "$text" > $file
}
fields='{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address} {.spec.podCIDR}{"\n"}'
while true; do
  while read -r name address cidr; do
    [ -n "$cidr" ] || continue
    if [ "$name" = "$NODE_NAME" ]; then configure "$cidr"
    else ip route replace "$cidr" via "$address"; fi
  done < <(kubectl get nodes --watch --output "jsonpath=$fields")
  read -rt 1 <> <(:)
done
`;

/** The manifest that kind applies as its default pod network, a template for Go with the cluster's subnet. */
export function podNetworkManifest(): string {
  const indented = script
    .trim()
    .split("\n")
    .map((line) => `              ${line}`.trimEnd())
    .join("\n");
  // The word that makes kind fill in the template; what looks like one in the script is none.
  return `# would you kindly template this file
apiVersion: v1
kind: ServiceAccount
metadata: {name: pod-network, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: pod-network}
rules:
  - {apiGroups: [""], resources: [nodes], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: pod-network}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: pod-network}
subjects:
  - {kind: ServiceAccount, name: pod-network, namespace: kube-system}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: pod-network, namespace: kube-system}
spec:
  selector: {matchLabels: {app: pod-network}}
  template:
    metadata: {labels: {app: pod-network}}
    spec:
      serviceAccountName: pod-network
      hostNetwork: true
      priorityClassName: system-node-critical
      terminationGracePeriodSeconds: 1
      tolerations: [{operator: Exists}]
      containers:
        - name: pod-network
          image: ${podNetworkImage}
          imagePullPolicy: Never
          securityContext: {privileged: true}
          env:
            - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
            - {name: POD_SUBNET, value: "{{.PodSubnet}}"}
          command:
            - bash
            - -c
            - |
${indented}
          volumeMounts:
            - {name: configuration, mountPath: /etc/cni/net.d}
            - {name: tmp, mountPath: /tmp}
      volumes:
        - {name: configuration, hostPath: {path: /etc/cni/net.d, type: DirectoryOrCreate}}
        - {name: tmp, emptyDir: {}}
`;
}
