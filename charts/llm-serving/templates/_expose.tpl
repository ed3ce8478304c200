{{- /* The API, and nothing but the API, for clients outside. args of all: the root context */ -}}

{{- /* What is let through: a JSON list of {path, type, port (of the Service), name}. */ -}}
{{- define "llm-serving.exposed" -}}
{{- $grpc := eq .Values.engine.type "tgis" -}}
{{- $api := dict "path" (ternary "/fmaas.GenerationService" "/v1" $grpc) "type" "Prefix" "port" (ternary "grpc" "http" $grpc) "name" "" -}}
{{- $paths := list $api -}}
{{- if .Values.expose.health -}}
{{- $paths = append $paths (dict "path" "/health" "type" "Exact" "port" "http" "name" "-health") -}}
{{- end -}}
{{- $paths | toJson -}}
{{- end -}}

{{- define "llm-serving.exposeMetadata" -}}
name: {{ .name | quote }}
namespace: {{ include "llm-serving.namespace" .root | quote }}
labels:
  {{- include "llm-serving.labels" (dict "root" .root "component" "engine") | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* What a route of the Gateway API leads to: the Service, or the pool that picks a pod for each request. */ -}}
{{- define "llm-serving.backend" -}}
{{- if .Values.expose.inferencePool.enabled -}}
- group: inference.networking.k8s.io
  kind: InferencePool
  name: {{ include "llm-serving.fullname" . | quote }}
{{- else -}}
- name: {{ include "llm-serving.fullname" . | quote }}
  port: {{ ternary .Values.service.grpcPort .Values.service.port (eq .Values.engine.type "tgis") | int64 }}
{{- end -}}
{{- end -}}

{{- /* The keys that hold something. args: a mapping */ -}}
{{- define "llm-serving.keep" -}}
{{- $found := dict -}}
{{- range $key, $value := . }}{{ if $value }}{{ $_ := set $found $key $value }}{{ end }}{{ end -}}
{{- with $found }}{{ toYaml . }}{{ end -}}
{{- end -}}
