{{/* CEL: all image references of a Pod, as a list of strings. The argument is the variable that holds the Pod. */}}
{{- define "nix-closure.images" -}}
(has({{ . }}.spec.volumes) ? {{ . }}.spec.volumes.filter(v, has(v.image) && has(v.image.reference)).map(v, v.image.reference) : []) +
{{ . }}.spec.containers.filter(c, has(c.image)).map(c, c.image) +
(has({{ . }}.spec.initContainers) ? {{ . }}.spec.initContainers.filter(c, has(c.image)).map(c, c.image) : []) +
(has({{ . }}.spec.ephemeralContainers) ? {{ . }}.spec.ephemeralContainers.filter(c, has(c.image)).map(c, c.image) : [])
{{- end }}

{{/*
CEL string: a regular expression for references on our registry. The grammar of hosts is that of
github.com/distribution/reference 0.6: names, IPv4 addresses, IPv6 addresses in brackets, and a port of any digits.
The registry listens on the node's loopback, so every spelling of that counts, whatever the configuration writes.
*/}}
{{- define "nix-closure.hosts" -}}
{{- $registry := (include "nix-closure.config" . | fromYaml).registry -}}
{{- $reference := $registry.reference -}}
{{- $port := include "nix-closure.port" $reference -}}
{{- $ports := list (include "nix-closure.port" $registry.listen) $port | compact | uniq | join "|" -}}
{{- $hosts := list (printf "(?i:localhost|127[.][0-9.]+|0[.]0[.]0[.]0|\\[[0-9A-Fa-f:.]+\\]):0*(?:%s)" $ports) -}}
{{- if not (regexMatch "^(?i:localhost|127[.][0-9.]+|\\[::1\\]):[0-9]+$" $reference) -}}
{{- $host := trimSuffix (printf ":%s" $port) $reference | regexQuoteMeta -}}
{{- $hosts = append $hosts (printf "(?i:%s)%s" $host (ternary "(?::0*(?:80|443))?" (printf ":0*%s" $port) (empty $port))) -}}
{{- end -}}
{{- printf "^(?:%s)/" (join "|" $hosts) | toRawJson -}}
{{- end }}

{{/* CEL: the names of the sources that the request's namespace may use, as a list of strings. */}}
{{- define "nix-closure.sources" -}}
{{- $open := list -}}
{{- $limited := list -}}
{{- range $name, $source := (include "nix-closure.config" . | fromYaml).sources -}}
{{- $patterns := $source.namespaces | default (list "*") -}}
{{- if has "*" $patterns -}}
{{- $open = append $open (squote $name) -}}
{{- else -}}
{{- $expressions := list -}}
{{- range $patterns }}{{ $expressions = append $expressions (regexQuoteMeta . | replace "\\*" ".*") }}{{ end -}}
{{- $limited = append $limited (printf "(request.namespace.matches(%s) ? [%s] : [])" (printf "^(?:%s)$" (join "|" $expressions) | toRawJson) (squote $name)) -}}
{{- end -}}
{{- end -}}
{{- $lists := $limited -}}
{{- if $open }}{{ $lists = prepend $limited (printf "[%s]" (join ", " $open)) }}{{ end -}}
{{- join " +\n" $lists -}}
{{- end }}
