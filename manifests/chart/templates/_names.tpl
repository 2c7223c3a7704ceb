{{/* Labels of every object of a part: the argument is {part, root}, and `more` if this object has labels of its own. */}}
{{- define "nix-closure.labels" -}}
{{ include "nix-closure.selector" . }}
app.kubernetes.io/part-of: nix-closure
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- with merge (dict) (.more | default dict) (.root.Values.commonLabels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels that never change: those that a part's Pods are found by. */}}
{{- define "nix-closure.selector" -}}
app.kubernetes.io/name: nix-closure
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{/* The namespace of each part that there is, as YAML. */}}
{{- define "nix-closure.namespaces" -}}
webhook: {{ .Release.Namespace | quote }}
{{- if .Values.registry.enabled }}
registry: {{ .Values.registry.namespace | quote }}
{{- end }}
{{- end }}

{{- define "nix-closure.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* All that a container of ours needs, and the restricted Pod Security asks for. */}}
{{- define "nix-closure.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "nix-closure.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/*
Pods start again when this changes: what the parts read at their start only (docs/configuration.md, Reload). The rest
of the configuration takes effect without that.
*/}}
{{- define "nix-closure.startChecksum" -}}
{{- $config := omit (fromYaml .config) "sources" "defaultSource" "plan" -}}
{{- $registry := omit $config.registry "reference" -}}
{{- set $config "registry" $registry | toJson | sha256sum | trunc 16 -}}
{{- end }}
