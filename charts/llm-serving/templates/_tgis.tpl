{{- /*
What is particular to TGIS (the fork of TGI by IBM and Open Data Hub): gRPC on 8033, health and metrics on 3000, flags
by environment, no download while serving. One cache variable only: two that differ end the launcher.
args of all: the root context
*/ -}}

{{- define "llm-serving.tgis.args" -}}
[]
{{- end -}}

{{- define "llm-serving.tgis.env" -}}
{{- $v := .Values -}}
MODEL_NAME: {{ .Facts.model | quote }}
{{- if and $v.model.revision (not .Facts.modelPath) }}
REVISION: {{ $v.model.revision | quote }}
{{- end }}
NUM_SHARD: {{ $v.parallelism.tensor | toJson | quote }}
PORT: "3000"
GRPC_PORT: "8033"
HF_HUB_CACHE: /llm/models/huggingface/hub
HF_HUB_OFFLINE: "1"
{{- if $v.model.trustRemoteCode }}
TRUST_REMOTE_CODE: "true"
{{- end }}
{{- if .Facts.tls }}
TLS_CERT_PATH: /llm/tls/tls.crt
TLS_KEY_PATH: /llm/tls/tls.key
{{- end }}
{{- if .Facts.tracing }}
OTLP_ENDPOINT: {{ .Facts.tracing.url | quote }}
OTLP_SERVICE_NAME: {{ $v.monitoring.tracing.serviceName | default .Facts.fullname | quote }}
{{- end }}
{{- range $name := keys $v.engine.args | sortAlpha }}
{{ $name | upper | replace "-" "_" }}: {{ include "llm-serving.scalar" (index $v.engine.args $name) | quote }}
{{- end }}
{{- end -}}

{{- /* Downloads the model and converts it to safetensors, which sharding needs. */ -}}
{{- define "llm-serving.tgis.download" -}}
{{- $v := .Values -}}
{{- $words := append ($v.engine.downloadCommand | default (list "text-generation-server" "download-weights")) $v.model.id -}}
{{- if $v.model.revision }}{{ $words = concat $words (list "--revision" $v.model.revision) }}{{ end -}}
name: download
image: {{ .Facts.image | quote }}
imagePullPolicy: {{ $v.engine.image.pullPolicy }}
command: {{ $words | toJson }}
terminationMessagePolicy: FallbackToLogsOnError
{{- with $v.engine.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- include "llm-serving.env" (dict "root" . "downloading" true) | trim | nindent 2 }}
resources:
  {{- $own := dict "requests" (dict "cpu" "1" "memory" $v.memory.host.request) "limits" (dict "memory" $v.memory.host.limit) }}
  {{- include "llm-serving.helperResources" (dict "own" $own "user" $v.model.download.resources) | nindent 2 }}
securityContext:
  {{- include "llm-serving.containerSecurityContext" (dict "readOnly" false) | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /llm/models}
  - {name: home, mountPath: /llm/home}
  - {name: tmp, mountPath: /tmp}
  {{- with include "llm-serving.source.userMounts" . | fromYamlArray }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
