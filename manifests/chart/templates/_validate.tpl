{{/* What the schema cannot see: values that each are well-formed and do not go together. */}}
{{- define "nix-closure.validate" -}}
{{- $config := include "nix-closure.config" . | fromYaml -}}
{{- $registry := $config.registry -}}
{{- include "nix-closure.validatePort" (dict "key" "listen" "address" $registry.listen) -}}
{{- include "nix-closure.validatePort" (dict "key" "reference" "address" $registry.reference) -}}
{{- include "nix-closure.validateLabels" (dict "key" "commonLabels" "labels" .Values.commonLabels) -}}
{{- range $level := list "enforce" "audit" "warn" -}}
{{- if hasKey ($.Values.commonLabels | default dict) (printf "pod-security.kubernetes.io/%s" $level) -}}
{{- fail (printf "commonLabels: pod-security.kubernetes.io/%s differs between the namespaces, and the chart sets it" $level) -}}
{{- end -}}
{{- end -}}
{{- include "nix-closure.validateLabels" (dict "key" "webhook.podLabels" "labels" .Values.webhook.podLabels) -}}
{{- include "nix-closure.validateLabels" (dict "key" "webhook.podMonitor.labels" "labels" .Values.webhook.podMonitor.labels) -}}
{{- include "nix-closure.validatePriority" (dict "part" "webhook" "root" .) -}}
{{- if .Values.registry.enabled -}}
{{- include "nix-closure.validateLabels" (dict "key" "registry.podLabels" "labels" .Values.registry.podLabels) -}}
{{- include "nix-closure.validatePriority" (dict "part" "registry" "root" .) -}}
{{- include "nix-closure.validateRegistry" (dict "registry" $registry "root" .) -}}
{{- else if include "nix-closure.registryAbsent" . -}}
{{- include "nix-closure.validateSources" $config.sources -}}
{{- end -}}
{{- end }}

{{/* Without a registry nobody makes images of what is in caches: the argument is the sources. */}}
{{- define "nix-closure.validateSources" -}}
{{- range $name, $source := . -}}
{{- if not $source.registry -}}
{{- fail (printf "registry.enabled: without it nobody makes images of config.sources.%s, which has caches; take sources with a registry that closures are pushed to, or name in config.registry.reference what of yours answers on every node" $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The registry's namespace, ports and directories: the argument is {registry, root}. */}}
{{- define "nix-closure.validateRegistry" -}}
{{- $values := .root.Values.registry -}}
{{- if eq $values.namespace .root.Release.Namespace -}}
{{- fail (printf "registry.namespace: %q is the namespace of the webhook too; the registry needs one of its own, since Pod Security lets nothing on the nodes' network into a restricted one" $values.namespace) -}}
{{- end -}}
{{- $listen := .registry.listen -}}
{{- if eq (include "nix-closure.port" $listen) (toString $values.adminPort) -}}
{{- fail (printf "registry.adminPort: %v is the registry's own port (config.registry.listen: %s); give one of them another port" $values.adminPort $listen) -}}
{{- end -}}
{{- if not (or $values.allowNetwork (regexMatch "^(?i:localhost|127([.][0-9]{1,3}){3}|\\[::1\\]):[0-9]+$" $listen)) -}}
{{- fail (printf "config.registry.listen: %q is not on the node's loopback (localhost, 127.x.x.x, [::1]): whoever reaches a node could read every source there, without a login; take a loopback address, or set registry.allowNetwork: true" $listen) -}}
{{- end -}}
{{- $directory := clean .registry.blobs.directory -}}
{{- range $mounted := list "/etc/nix-closure" "/etc/nix-closure-credentials" -}}
{{- if or (hasPrefix (printf "%s/" $mounted) (printf "%s/" $directory)) (hasPrefix (printf "%s/" (trimSuffix "/" $directory)) (printf "%s/" $mounted)) -}}
{{- fail (printf "config.registry.blobs.directory: %q cannot be mounted beside %s, which is mounted for the configuration; take a directory outside of it, such as /var/lib/nix-closure" $directory $mounted) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "^/(dev|proc|sys|tmp|var/tmp)(/|$)" $values.hostPath -}}
{{- fail (printf "registry.hostPath: %q is of the kernel, or writable for every user of the node; take a directory for data, such as /var/lib" $values.hostPath) -}}
{{- end -}}
{{- end }}

{{/* A port that Kubernetes takes, where there is one: the argument is {key, address}. */}}
{{- define "nix-closure.validatePort" -}}
{{- with include "nix-closure.port" .address -}}
{{- if or (hasPrefix "0" .) (gt (int64 .) 65535) -}}
{{- fail (printf "config.registry.%s: the port of %q is not a number from 1 to 65535" $.key $.address) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Labels that would take the place of the chart's own: the argument is {key, labels}. */}}
{{- define "nix-closure.validateLabels" -}}
{{- range $name := list "name" "component" "part-of" "version" -}}
{{- if hasKey ($.labels | default dict) (printf "app.kubernetes.io/%s" $name) -}}
{{- fail (printf "%s: app.kubernetes.io/%s is the chart's own, and Pods are found by such labels; take another name" $.key $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A quota is for Pods of some priority class: the argument is {part, root}. */}}
{{- define "nix-closure.validatePriority" -}}
{{- if and .root.Values.criticalPodsQuota (not (index .root.Values .part).priorityClassName) -}}
{{- fail (printf "criticalPodsQuota: the quota is for the class in %s.priorityClassName, which is empty; name one, or leave the quota out" .part) -}}
{{- end -}}
{{- end }}
