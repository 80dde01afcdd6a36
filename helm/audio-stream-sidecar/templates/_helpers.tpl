{{- define "sidecar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* 50 letters, so that the names of all objects stay below 63. */}}
{{- define "sidecar.fullname" -}}
{{- $name := include "sidecar.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "sidecar.selector" -}}
app.kubernetes.io/name: {{ include "sidecar.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sidecar.labels" -}}
{{ include "sidecar.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sidecar.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "sidecar.hostNetwork" -}}
{{- if or .Values.hostNetwork (eq .Values.mode "daemonset") }}true{{ end -}}
{{- end -}}

{{- define "sidecar.apiSecret" -}}
{{- default (printf "%s-api" (include "sidecar.fullname" .)) .Values.api.existingSecret -}}
{{- end -}}

{{- define "sidecar.apiScheme" -}}
{{- ternary "https" "http" (ne .Values.api.tls.existingSecret "") -}}
{{- end -}}

{{/* What the certificate of REST names. */}}
{{- define "sidecar.apiName" -}}
{{- required "api.tls.name: the name in the certificate of api.tls.existingSecret is needed" .Values.api.tls.name -}}
{{- end -}}

{{/* The RTP and RTCP ports of all workers, in mode `one`. */}}
{{- define "sidecar.rtpPorts" -}}
{{- $first := int .Values.rtp.port -}}
{{- untilStep $first (add $first (mul 2 (max 1 (int .Values.workers))) | int) 1 | toJson -}}
{{- end -}}

{{- define "sidecar.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sidecar.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Refuse what would find its port taken when the pod starts. */}}
{{- define "sidecar.checkPorts" -}}
{{- $tcp := dict (print .Values.sip.port) "sip.port" -}}
{{- $others := dict "api.port" .Values.api.port -}}
{{- if .Values.sip.tls.existingSecret }}{{ $_ := set $others "sip.tls.port" .Values.sip.tls.port }}{{ end -}}
{{- range $name, $port := $others -}}
  {{- if hasKey $tcp (print $port) }}{{ fail (printf "%s and %s are both %v" $name (get $tcp (print $port)) $port) }}{{ end -}}
  {{- $_ := set $tcp (print $port) $name -}}
{{- end -}}
{{- $sip := int .Values.sip.port -}}
{{- if eq .Values.rtp.mode "one" -}}
  {{- $rtp := include "sidecar.rtpPorts" . | fromJsonArray -}}
  {{- if gt (last $rtp | int) 65535 }}{{ fail "rtp.port: too high for two ports of each worker" }}{{ end -}}
  {{- range $rtp }}{{ if eq (int .) $sip }}{{ fail (printf "sip.port: %d is an RTP port of a worker" $sip) }}{{ end }}{{ end -}}
{{- else -}}
  {{- $first := int .Values.rtp.portMin }}{{ $last := int .Values.rtp.portMax -}}
  {{- if ge $first $last }}{{ fail "rtp.portMin: it must be below rtp.portMax" }}{{ end -}}
  {{- if and (le $first $sip) (le $sip $last) }}{{ fail "sip.port: it is between rtp.portMin and rtp.portMax" }}{{ end -}}
{{- end -}}
{{- end -}}
