{{/* CEL: all image references of a Pod, as a list of strings. The argument is the variable that holds the Pod. */}}
{{- define "nix-closure.images" -}}
(has({{ . }}.spec.volumes) ? {{ . }}.spec.volumes.filter(v, has(v.image) && has(v.image.reference)).map(v, v.image.reference) : []) +
{{ . }}.spec.containers.filter(c, has(c.image)).map(c, c.image) +
(has({{ . }}.spec.initContainers) ? {{ . }}.spec.initContainers.filter(c, has(c.image)).map(c, c.image) : []) +
(has({{ . }}.spec.ephemeralContainers) ? {{ . }}.spec.ephemeralContainers.filter(c, has(c.image)).map(c, c.image) : [])
{{- end }}

{{/*
A regular expression for the spellings of a host. Its grammar is that of github.com/distribution/reference 0.6: names,
IPv4 addresses, IPv6 addresses in brackets, and a port of any digits.
*/}}
{{- define "nix-closure.host" -}}
{{- $port := include "nix-closure.port" . -}}
{{- $host := trimSuffix (printf ":%s" $port) . | regexQuoteMeta -}}
{{- printf "(?i:%s)%s" $host (ternary "(?::0*(?:80|443))?" (printf ":0*%s" $port) (empty $port)) -}}
{{- end }}

{{/* The same for the node's loopback with a port: the argument is a regular expression for that. */}}
{{- define "nix-closure.loopback" -}}
{{- printf "(?i:localhost|127[.][0-9.]+|0[.]0[.]0[.]0|\\[[0-9A-Fa-f:.]+\\]):0*(?:%s)" . -}}
{{- end }}

{{/* Whether an address is on the node's loopback, with a port; empty if not. */}}
{{- define "nix-closure.isLoopback" -}}
{{- if regexMatch "^(?i:localhost|127[.][0-9.]+|\\[::1\\]):[0-9]+$" . }}true{{ end -}}
{{- end }}

{{/*
CEL string: a regular expression for references on our registry, which listens on the node's loopback, so every spelling
of that counts, whatever the configuration writes.
*/}}
{{- define "nix-closure.hosts" -}}
{{- $registry := (include "nix-closure.config" . | fromYaml).registry -}}
{{- $reference := $registry.reference -}}
{{- $port := include "nix-closure.port" $reference -}}
{{- $ports := list (include "nix-closure.port" $registry.listen) $port | compact | uniq | join "|" -}}
{{- $hosts := list (include "nix-closure.loopback" $ports) -}}
{{- if not (include "nix-closure.isLoopback" $reference) -}}
{{- $hosts = append $hosts (include "nix-closure.host" $reference) -}}
{{- end -}}
{{- printf "^(?:%s)/" (join "|" $hosts) | toRawJson -}}
{{- end }}

{{/* CEL: whether the request's namespace matches one of some patterns. */}}
{{- define "nix-closure.namespaceMatches" -}}
{{- $expressions := list -}}
{{- range . }}{{ $expressions = append $expressions (regexQuoteMeta . | replace "\\*" ".*") }}{{ end -}}
{{- printf "request.namespace.matches(%s)" (printf "^(?:%s)$" (join "|" $expressions) | toRawJson) -}}
{{- end }}

{{/*
CEL: the names of the sources that the request's namespace may use, as a list of strings; those alone whose images our
registry makes.
*/}}
{{- define "nix-closure.sources" -}}
{{- $open := list -}}
{{- $limited := list -}}
{{- range $name, $source := (include "nix-closure.config" . | fromYaml).sources -}}
{{- if $source.registry }}{{ continue }}{{ end -}}
{{- $patterns := $source.namespaces | default (list "*") -}}
{{- if has "*" $patterns -}}
{{- $open = append $open (squote $name) -}}
{{- else -}}
{{- $limited = append $limited (printf "(%s ? [%s] : [])" (include "nix-closure.namespaceMatches" $patterns) (squote $name)) -}}
{{- end -}}
{{- end -}}
{{- $lists := $limited -}}
{{- if $open }}{{ $lists = prepend $limited (printf "[%s]" (join ", " $open)) }}{{ end -}}
{{- /* A list of strings also where it is empty, which the type of [] does not say. */ -}}
{{- join " +\n" ($lists | default (list "[''].filter(source, false)")) -}}
{{- end }}

{{/*
CEL: whether `reference` is of a repository that closures were pushed to, and that the request's namespace may use through
none of its sources; empty if there is no such repository.
*/}}
{{- define "nix-closure.forbiddenRepository" -}}
{{- $repositories := dict -}}
{{- range (include "nix-closure.config" . | fromYaml).sources -}}
{{- if .registry -}}
{{- $patterns := concat (get $repositories .registry | default list) (.namespaces | default (list "*")) -}}
{{- $_ := set $repositories .registry $patterns -}}
{{- end -}}
{{- end -}}
{{- $conditions := list -}}
{{- range $registry, $patterns := $repositories -}}
{{- if not (has "*" $patterns) -}}
{{- $address := regexFind "^[^/]+" $registry -}}
{{- $host := include "nix-closure.host" $address -}}
{{- if include "nix-closure.isLoopback" $address }}{{ $host = include "nix-closure.loopback" (include "nix-closure.port" $address) }}{{ end -}}
{{- $prefix := printf "(?:%s)/" $host -}}
{{- $path := trimPrefix (printf "%s/" $address) $registry -}}
{{- /* A name without a host is one of docker.io, and one word there is one of library (normalize.go, splitDockerDomain). */ -}}
{{- $hub := "(?i:(?:index[.]|registry-1[.])?docker[.]io)" -}}
{{- if regexMatch (printf "^%s$" $hub) $address -}}
{{- $prefix = printf "(?:%s/)?%s" $hub (ternary "" "(?:library/)?" (contains "/" $path)) -}}
{{- end -}}
{{- $expression := printf "^%s%s(?:[:@]|$)" $prefix (regexQuoteMeta $path) -}}
{{- /* What costs least comes first: an expression may cost a million, and a Pod can have hundreds of volumes. */ -}}
{{- $conditions = append $conditions (printf "(reference.contains(%s) && !%s && reference.matches(%s))" (toRawJson $path) (include "nix-closure.namespaceMatches" $patterns) (toRawJson $expression)) -}}
{{- end -}}
{{- end -}}
{{- join " ||\n" $conditions -}}
{{- end }}
