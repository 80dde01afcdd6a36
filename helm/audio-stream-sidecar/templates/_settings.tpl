{{/* What sidecar.toml says, as YAML: what the chart sets, and `settings`. */}}
{{- define "sidecar.settings" -}}
{{- $values := .Values -}}
{{- $sip := dict "host" "0.0.0.0" "port" $values.sip.port "max_calls" $values.maxCalls -}}
{{- $rtp := dict "host" "0.0.0.0" "mode" $values.rtp.mode -}}
{{- $api := dict "host" "0.0.0.0" "port" $values.api.port "open_metrics" $values.api.openMetrics -}}
{{- if $values.api.tls.existingSecret -}}
  {{- $_ := set $api "tls_certificate" "/run/secrets/api-tls/tls.crt" -}}
  {{- $_ := set $api "tls_key" "/run/secrets/api-tls/tls.key" -}}
{{- end -}}
{{- with $values.sip.allow }}{{ $_ := set $sip "allow" . }}{{ end -}}
{{- if $values.sip.tls.existingSecret -}}
  {{- $_ := set $sip "tls_port" $values.sip.tls.port -}}
  {{- $_ := set $sip "tls_certificate" "/run/secrets/sip-tls/tls.crt" -}}
  {{- $_ := set $sip "tls_key" "/run/secrets/sip-tls/tls.key" -}}
  {{- if $values.sip.tls.clientCertificates }}{{ $_ := set $sip "tls_client_ca" "/run/secrets/sip-tls/ca.crt" }}{{ end -}}
{{- end -}}
{{- if eq $values.rtp.mode "one" -}}
  {{- $_ := set $rtp "port" $values.rtp.port -}}
{{- else -}}
  {{- $_ := set $rtp "port_min" $values.rtp.portMin -}}
  {{- $_ := set $rtp "port_max" $values.rtp.portMax -}}
{{- end -}}
{{- if not (has $values.advertised (list "pod" "auto")) -}}
  {{- $_ := set $sip "advertised" $values.advertised -}}
  {{- $_ := set $rtp "advertised" $values.advertised -}}
{{- end -}}
{{- $_ := set $api "tokens" (dict "chart" "file:/run/secrets/api/token") -}}
{{- $_ := set $api "read_tokens" (dict "metrics" "file:/run/secrets/api/read-token") -}}
{{- $all := dict "workers" $values.workers "drain_timeout" $values.drainTimeout "sip" $sip "rtp" $rtp "api" $api -}}
{{- if $values.bots.caSecret }}{{ $_ := set $all "stream" (dict "tls_ca_file" "/run/secrets/bots/ca.crt") }}{{ end -}}
{{- with $values.freeswitch -}}
  {{- if .host -}}
    {{- $main := dict "host" .host "port" .port "dial" .dial "password" "file:/run/secrets/freeswitch/password" -}}
    {{- $_ := set $all "freeswitch" (dict "main" $main) -}}
  {{- end -}}
{{- end -}}
{{- with $values.directory -}}
  {{- if and .url .existingSecret -}}
    {{- fail "directory: give its `url`, or an `existingSecret` that has it" -}}
  {{- end -}}
  {{- if or .url .existingSecret -}}
    {{- $directory := dict "url" (default "file:/run/secrets/directory/url" .url) -}}
    {{- if $values.api.tls.existingSecret -}}
      {{- $_ := set $directory "tls_ca" "/run/secrets/api-tls/ca.crt" -}}
      {{- $_ := set $directory "tls_name" (include "sidecar.apiName" $) -}}
    {{- end -}}
    {{- $_ := set $all "directory" $directory -}}
  {{- end -}}
{{- end -}}
{{- range $section, $given := $values.settings -}}
  {{- $ours := index $all $section -}}
  {{- if and (hasKey $all $section) (not (kindIs "map" $ours)) -}}
    {{- fail (printf "settings.%s: the chart has a value of its own for it" $section) -}}
  {{- end -}}
  {{- if and (kindIs "map" $ours) (kindIs "map" $given) -}}
    {{- range $key, $_ := $given -}}
      {{- if and (hasKey $ours $key) (not (kindIs "map" (index $ours $key))) -}}
        {{- fail (printf "settings.%s.%s: the chart has a value of its own for it" $section $key) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toYaml (mergeOverwrite $all (deepCopy $values.settings)) -}}
{{- end -}}

{{/* A map as TOML; sections hold inline values. Helm's own toToml writes 5070 as 5070.0. */}}
{{- define "sidecar.toml" -}}
{{- range $key, $value := . }}{{ if not (kindIs "map" $value) }}
{{ $key }} = {{ include "sidecar.tomlValue" $value }}
{{- end }}{{ end }}
{{- range $section, $values := . }}{{ if kindIs "map" $values }}

[{{ $section }}]
{{- range $key, $value := $values }}
{{ include "sidecar.tomlKey" $key }} = {{ include "sidecar.tomlValue" $value }}
{{- end }}
{{- end }}{{ end }}
{{- end -}}

{{- define "sidecar.tomlKey" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end -}}
{{- end -}}

{{- define "sidecar.tomlValue" -}}
{{- if kindIs "map" . -}}
  {{- $parts := list -}}
  {{- range $key, $value := . -}}
    {{- $parts = append $parts (printf "%s = %s" (include "sidecar.tomlKey" $key) (include "sidecar.tomlValue" $value)) -}}
  {{- end -}}
  { {{ join ", " $parts }} }
{{- else if kindIs "slice" . -}}
  {{- $parts := list -}}
  {{- range . }}{{ $parts = append $parts (include "sidecar.tomlValue" .) }}{{ end -}}
  [{{ join ", " $parts }}]
{{- else if kindIs "float64" . -}}
  {{- if eq (float64 (int64 .)) . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- else -}}
  {{- toJson . -}}
{{- end -}}
{{- end -}}
