{{/*
The configuration without what is particular to a part, as YAML: the values' `config`, with the defaults that the
manifests need to know written out. Sources are taken as a whole, as the product does (docs/configuration.md).
*/}}
{{- define "nix-closure.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $registry := mergeOverwrite (dict "listen" "localhost:5417" "reference" "localhost:5417") ($config.registry | default dict) -}}
{{- if include "nix-closure.registryAbsent" . }}{{ $_ := set $registry "enabled" false }}{{ end -}}
{{- $blobs := mergeOverwrite (dict "directory" "/var/lib/nix-closure" "maxBytes" "20Gi") ($registry.blobs | default dict) -}}
{{- $nixos := dict "caches" (list "https://cache.nixos.org") "publicKeys" (list "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=") -}}
{{- $sources := $config.sources | default (dict "nixos" $nixos) -}}
{{- $_ := set $config "sources" $sources -}}
{{- $_ := set $config "registry" (set $registry "blobs" $blobs) -}}
{{- if not $config.defaultSource -}}
{{- if gt (len $sources) 1 -}}
{{- fail (printf "config.defaultSource is missing; with several sources one of them is to be named: %s" (keys $sources | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $_ := set $config "defaultSource" (keys $sources | first) -}}
{{- else if not (hasKey $sources $config.defaultSource) -}}
{{- fail (printf "config.defaultSource: there is no source %q; there are: %s" $config.defaultSource (keys $sources | sortAlpha | join ", ")) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* Whether nothing is to answer at registry.reference, neither the chart's registry nor one of yours; empty if not. */}}
{{- define "nix-closure.registryAbsent" -}}
{{- if not (or .Values.registry.enabled (.Values.config.registry | default dict).reference) }}true{{ end -}}
{{- end }}

{{/* The configuration file of the webhook. */}}
{{- define "nix-closure.webhookConfig" -}}
{{- $config := include "nix-closure.config" . | fromYaml -}}
{{- $webhook := mergeOverwrite (deepCopy ($config.webhook | default dict)) (dict "listen" ":10250") -}}
{{- if .Values.webhook.certManager.enabled -}}
{{- $_ := set $webhook "certFile" "/etc/nix-closure-tls/tls.crt" -}}
{{- $_ := set $webhook "keyFile" "/etc/nix-closure-tls/tls.key" -}}
{{- end -}}
{{- $cluster := dict "namespace" .Release.Namespace "service" "nix-closure-webhook" "webhookConfiguration" "nix-closure" "secret" "nix-closure-ca" -}}
{{- $_ := set $config "webhook" $webhook -}}
{{- $_ := set $config "admin" (dict "listen" ":5418") -}}
{{- $_ := set $config "cluster" (mergeOverwrite (deepCopy ($config.cluster | default dict)) $cluster) -}}
{{- toYaml $config -}}
{{- end }}

{{/* The configuration file of the registry. */}}
{{- define "nix-closure.registryConfig" -}}
{{- $config := omit (include "nix-closure.config" . | fromYaml) "webhook" "cluster" -}}
{{- $_ := set $config "admin" (dict "listen" (printf "127.0.0.1:%v" .Values.registry.adminPort)) -}}
{{- toYaml $config -}}
{{- end }}

{{/* The port at the end of an address; empty if it has none. */}}
{{- define "nix-closure.port" -}}
{{- regexFind ":[0-9]+$" . | trimPrefix ":" -}}
{{- end }}

{{/*
The sizeLimit of the emptyDir: the kubelet evicts a Pod that is above it, so it is a tenth and 64 MiB above
registry.blobs.maxBytes, for file systems' blocks and the blob store's index.
*/}}
{{- define "nix-closure.blobLimit" -}}
{{- $size := toString (include "nix-closure.config" . | fromYaml).registry.blobs.maxBytes -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- /* A plain number comes out of YAML as a float, which Helm prints as 2.147483648e+10. */ -}}
{{- if regexMatch "^[0-9.]+e\\+[0-9]+$" $size }}{{ $size = $size | float64 | int64 | toString }}{{ end -}}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?([kMGT]i?|Ki)?$" $size) -}}
{{- fail (printf "config.registry.blobs.maxBytes: %q is not a size such as 20Gi, 500M or 1048576" $size) -}}
{{- end -}}
{{- $unit := regexFind "[A-Za-z]*$" $size -}}
{{- $bytes := mulf (trimSuffix $unit $size | float64) (get $units $unit) -}}
{{- add 65 (divf (mulf $bytes 1.1) 1048576 | floor | int64) }}Mi
{{- end }}
