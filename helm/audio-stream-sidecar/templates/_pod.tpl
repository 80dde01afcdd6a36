{{/* The pod of both modes. */}}
{{- define "sidecar.pod" -}}
metadata:
  labels:
    {{- include "sidecar.labels" . | nindent 4 }}
    app.kubernetes.io/component: sidecar
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/config: {{ include "sidecar.settings" . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false # variables of a Service named `sidecar...` would look like settings
  {{- with .Values.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if include "sidecar.hostNetwork" . }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  terminationGracePeriodSeconds: {{ add .Values.preStopSeconds .Values.drainTimeout 15 }}
  securityContext: {{ include "sidecar.podSecurity" . | nindent 4 }}
  containers:
    - name: sidecar
      image: {{ include "sidecar.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/sidecar/sidecar.toml]
      securityContext: {{ include "sidecar.containerSecurity" . | nindent 8 }}
      {{- $pod := eq .Values.advertised "pod" }}
      {{- $directory := or .Values.directory.url .Values.directory.existingSecret }}
      {{- if or $pod $directory .Values.extraEnv }}
      env:
        {{- range $pod | ternary (list "SIP" "RTP") list }}
        - name: SIDECAR_{{ . }}__ADVERTISED
          valueFrom: { fieldRef: { fieldPath: status.podIP } }
        {{- end }}
        {{- if $directory }}
        - name: SIDECAR_DIRECTORY__NAME
          valueFrom: { fieldRef: { fieldPath: metadata.name } }
        - name: POD_IP
          valueFrom: { fieldRef: { fieldPath: status.podIP } }
        - name: SIDECAR_DIRECTORY__ADDRESS
          value: {{ include "sidecar.apiScheme" . }}://$(POD_IP):{{ .Values.api.port }}
        {{- end }}
        {{- with .Values.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom: {{ toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - { name: sip, containerPort: {{ .Values.sip.port }}, protocol: UDP }
        - { name: sip-tcp, containerPort: {{ .Values.sip.port }}, protocol: TCP }
        {{- if .Values.sip.tls.existingSecret }}
        - { name: sips, containerPort: {{ .Values.sip.tls.port }}, protocol: TCP }
        {{- end }}
        {{- if eq .Values.rtp.mode "one" }}
        {{- range include "sidecar.rtpPorts" . | fromJsonArray }}
        - { name: rtp-{{ . }}, containerPort: {{ . }}, protocol: UDP }
        {{- end }}
        {{- end }}
        - { name: api, containerPort: {{ .Values.api.port }}, protocol: TCP }
      startupProbe:
        httpGet: { path: /healthz, port: api, scheme: {{ include "sidecar.apiScheme" . | upper }} }
        periodSeconds: 1
        failureThreshold: 60
        terminationGracePeriodSeconds: 10
      livenessProbe:
        httpGet: { path: /healthz, port: api, scheme: {{ include "sidecar.apiScheme" . | upper }} }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
        terminationGracePeriodSeconds: 10 # what says nothing for a minute does not drain: do not wait for it
      readinessProbe:
        httpGet: { path: /readyz, port: api, scheme: {{ include "sidecar.apiScheme" . | upper }} }
        periodSeconds: 2
        failureThreshold: 1
      lifecycle:
        preStop: { sleep: { seconds: {{ .Values.preStopSeconds }} } }
      resources: {{ toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - { name: config, mountPath: /etc/sidecar, readOnly: true }
        - { name: api, mountPath: /run/secrets/api, readOnly: true }
        {{- range include "sidecar.secrets" . | fromJsonArray }}
        - { name: {{ .name }}, mountPath: /run/secrets/{{ .name }}, readOnly: true }
        {{- end }}
        {{- with .Values.extraVolumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    - name: config
      configMap: { name: {{ include "sidecar.fullname" . }} }
    - name: api
      secret: { secretName: {{ include "sidecar.apiSecret" . }}, defaultMode: 0440 }
    {{- range include "sidecar.secrets" . | fromJsonArray }}
    - name: {{ .name }}
      secret: { secretName: {{ .secret }}, defaultMode: 0440 }
    {{- end }}
    {{- with .Values.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml . | nindent 6 | trim }}
      labelSelector:
        matchLabels: {{ include "sidecar.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The existing Secrets that are mounted, beside that of REST. */}}
{{- define "sidecar.secrets" -}}
{{- $secrets := list -}}
{{- with .Values.sip.tls.existingSecret }}{{ $secrets = append $secrets (dict "name" "sip-tls" "secret" .) }}{{ end -}}
{{- with .Values.api.tls.existingSecret }}{{ $secrets = append $secrets (dict "name" "api-tls" "secret" .) }}{{ end -}}
{{- with .Values.bots.caSecret }}{{ $secrets = append $secrets (dict "name" "bots" "secret" .) }}{{ end -}}
{{- with .Values.directory.existingSecret }}{{ $secrets = append $secrets (dict "name" "directory" "secret" .) }}{{ end -}}
{{- if .Values.freeswitch.host -}}
  {{- $secret := required "freeswitch.existingSecret: a Secret with the password of the event socket is needed" .Values.freeswitch.existingSecret -}}
  {{- $secrets = append $secrets (dict "name" "freeswitch" "secret" $secret) -}}
{{- end -}}
{{- toJson $secrets -}}
{{- end -}}
