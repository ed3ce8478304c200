{{- /*
What is particular to TGIS (the fork of TGI by IBM and Open Data Hub): gRPC on 8033, health and metrics on 3000, flags
by environment, no download while serving. One cache variable only: two that differ end the launcher.
args of all: the root context
*/ -}}

{{- define "llm-serving.tgis.command" -}}
["text-generation-launcher"]
{{- end -}}

{{- define "llm-serving.tgis.args" -}}
[]
{{- end -}}

{{- define "llm-serving.tgis.env" -}}
{{- $v := .Values -}}
MODEL_NAME: {{ include "llm-serving.model" . | quote }}
{{- if and $v.model.revision (not (include "llm-serving.modelPath" .)) }}
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
{{- range $name := keys $v.engine.args | sortAlpha }}
{{ $name | upper | replace "-" "_" }}: {{ include "llm-serving.scalar" (index $v.engine.args $name) | quote }}
{{- end }}
{{- end -}}

{{- /* TGIS knows no API key. */ -}}
{{- define "llm-serving.tgis.apiKeyName" -}}{{- end -}}

{{- define "llm-serving.tgis.ports" -}}
- {name: http, containerPort: 3000, protocol: TCP}
- {name: grpc, containerPort: 8033, protocol: TCP}
{{- end -}}

{{- /* Downloads the model and converts it to safetensors, which sharding needs. args: the root context */ -}}
{{- define "llm-serving.tgis.download" -}}
{{- $words := concat (.Values.engine.downloadCommand | default (list "text-generation-server" "download-weights")) (list .Values.model.id) -}}
{{- if .Values.model.revision -}}
{{- $words = concat $words (list "--revision" .Values.model.revision) -}}
{{- end -}}
name: download
image: {{ include "llm-serving.engineImage" . | quote }}
imagePullPolicy: {{ .Values.engine.image.pullPolicy }}
command: {{ $words | toJson }}
terminationMessagePolicy: FallbackToLogsOnError
env:
  {{- include "llm-serving.env" (dict "root" . "downloading" true) | trim | nindent 2 }}
resources:
  requests:
    cpu: "1"
    memory: {{ .Values.memory.host.request | quote }}
  limits:
    memory: {{ .Values.memory.host.limit | quote }}
securityContext:
  {{- include "llm-serving.containerSecurityContext" (dict "root" . "readOnly" false) | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /llm/models}
  - {name: home, mountPath: /llm/home}
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "llm-serving.tgis.reservedFlags" -}}
model-name: model.id
revision: model.revision
num-shard: parallelism.tensor
num-gpus: parallelism.tensor
port: service.port
grpc-port: service.grpcPort
hf-hub-cache: storage
trust-remote-code: model.trustRemoteCode
tls-cert-path: tls.existingSecret
tls-key-path: tls.existingSecret
{{- end -}}
