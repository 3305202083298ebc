{{- define "eta.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* labels that select: (list . "service") */}}
{{- define "eta.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "eta.labels" -}}
{{- $root := index . 0 -}}
{{ include "eta.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* an image: (list . "service") */}}
{{- define "eta.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "eta.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "eta.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "eta.sparkRemote" -}}
{{- if .Values.spark.enabled -}}
{{- printf "sc://%s-spark:%v" (include "eta.name" .) .Values.spark.port -}}
{{- else -}}
{{- .Values.spark.remote -}}
{{- end -}}
{{- end -}}

{{/* a variable from a Secret: (list "NAME" .Values.part) */}}
{{- define "eta.secretVariable" -}}
{{- $from := index . 1 -}}
{{- if $from.existingSecret }}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef: {name: {{ $from.existingSecret }}, key: {{ $from.key }}}
{{- end }}
{{- end -}}

{{/* what every process reads */}}
{{- define "eta.environment" -}}
- {name: ETA_HOME, value: /var/lib/eta/home}
- {name: HOME, value: /tmp}
{{- include "eta.secretVariable" (list "ETA_DATABASE_URL" .Values.database) }}
{{- with .Values.lake.uri }}
- {name: ETA_LAKE_URI, value: {{ . | quote }}}
{{- end }}
{{- if .Values.lake.existingSecret }}
{{- include "eta.secretVariable" (list "ETA_STORAGE_OPTIONS" .Values.lake) }}
{{- else if .Values.lake.storageOptions }}
- {name: ETA_STORAGE_OPTIONS, value: {{ .Values.lake.storageOptions | toJson | quote }}}
{{- end }}
{{- include "eta.secretVariable" (list "ETA_REDIS_URL" .Values.redis) }}
{{- if .Values.signingKey.existingSecret }}
- {name: ETA_CERTIFICATE_KEY_FILE, value: /run/eta/signing/{{ .Values.signingKey.key }}}
{{- end }}
{{- with .Values.openlineage.url }}
- {name: ETA_OPENLINEAGE_URL, value: {{ . | quote }}}
{{- end }}
{{- include "eta.secretVariable" (list "ETA_OPENLINEAGE_KEY" .Values.openlineage) }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | toString | quote }}}
{{- end }}
{{- end -}}

{{- define "eta.kafkaEnvironment" -}}
- {name: ETA_STREAM_BOOTSTRAP_SERVERS, value: {{ .Values.kafka.bootstrapServers | quote }}}
{{- with .Values.kafka.registryUrl }}
- {name: ETA_STREAM_REGISTRY_URL, value: {{ . | quote }}}
{{- end }}
{{- with .Values.kafka.topicPrefix }}
- {name: ETA_STREAM_TOPIC_PREFIX, value: {{ . | quote }}}
{{- end }}
{{- include "eta.secretVariable" (list "ETA_STREAM_CLIENT_OPTIONS" .Values.kafka) }}
{{- end -}}

{{- define "eta.modelsEnvironment" -}}
- {name: DBT_TARGET, value: connect}
- {name: ETA_SPARK_REMOTE, value: {{ include "eta.sparkRemote" . | quote }}}
{{- end -}}

{{- define "eta.mounts" -}}
- {name: home, mountPath: /var/lib/eta}
- {name: tmp, mountPath: /tmp}
{{- if .Values.signingKey.existingSecret }}
- {name: signing, mountPath: /run/eta/signing, readOnly: true}
{{- end }}
{{- end -}}

{{- define "eta.volumes" -}}
- name: home
  persistentVolumeClaim: {claimName: {{ .Values.home.existingClaim | default (printf "%s-home" (include "eta.name" .)) }}}
- name: tmp
  emptyDir: {}
{{- if .Values.signingKey.existingSecret }}
- name: signing
  secret: {secretName: {{ .Values.signingKey.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "eta.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* what every pod has: (list . .Values.part) */}}
{{- define "eta.pod" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $part.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "eta.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "eta.selector" . | nindent 8 }}
{{- end -}}
