{{- /*
What is particular to TGI, which its authors archived on 2026-03-21. Its entry point splits words at blanks, hence
--flag=value; it listens on the address in HOSTNAME, which Kubernetes sets, hence --hostname.
args of all: the root context
*/ -}}

{{- define "llm-serving.tgi.command" -}}
["/tgi-entrypoint.sh"]
{{- end -}}

{{- define "llm-serving.tgi.args" -}}
{{- $v := .Values -}}
{{- $args := list (printf "--model-id=%s" (include "llm-serving.model" .)) "--hostname=0.0.0.0" "--port=8000" -}}
{{- $args = append $args (printf "--num-shard=%s" ($v.parallelism.tensor | toJson)) -}}
{{- if gt (int $v.parallelism.tensor) 1 -}}
{{- $args = append $args "--sharded=true" -}}
{{- end -}}
{{- if and $v.model.revision (not (include "llm-serving.modelPath" .)) -}}
{{- $args = append $args (printf "--revision=%s" $v.model.revision) -}}
{{- end -}}
{{- if $v.model.trustRemoteCode -}}
{{- $args = append $args "--trust-remote-code" -}}
{{- end -}}
{{- $args = append $args (printf "--graceful-termination-timeout=%s" ($v.drain.shutdownTimeoutSeconds | toJson)) -}}
{{- range $v.expose.cors }}{{ $args = append $args (printf "--cors-allow-origin=%s" .) }}{{ end -}}
{{- range $name := keys $v.engine.args | sortAlpha -}}
{{- $args = concat $args (include "llm-serving.tgi.flag" (dict "name" $name "value" (index $v.engine.args $name)) | fromYamlArray) -}}
{{- end -}}
{{- $args | toYaml -}}
{{- end -}}

{{- /* One flag: true is the bare flag, false is nothing (TGI has no --no-flag). args: dict name, value */ -}}
{{- define "llm-serving.tgi.flag" -}}
{{- if kindIs "bool" .value -}}
{{- ternary (list (printf "--%s" .name)) list .value | toYaml -}}
{{- else -}}
{{- list (printf "--%s=%s" .name (include "llm-serving.scalar" .value)) | toYaml -}}
{{- end -}}
{{- end -}}

{{- define "llm-serving.tgi.env" -}}
HF_HOME: /llm/models/huggingface
HF_HUB_OFFLINE: {{ include "llm-serving.offline" . | quote }}
USAGE_STATS: "off"
TRITON_CACHE_DIR: /llm/home/.triton
TORCHINDUCTOR_CACHE_DIR: /llm/home/.inductor
{{- end -}}

{{- define "llm-serving.tgi.apiKeyName" -}}API_KEY{{- end -}}

{{- define "llm-serving.tgi.ports" -}}
- {name: http, containerPort: 8000, protocol: TCP}
- {name: metrics, containerPort: 9000, protocol: TCP}
{{- end -}}

{{- define "llm-serving.tgi.reservedFlags" -}}
model-id: model.id
revision: model.revision
trust-remote-code: model.trustRemoteCode
sharded: parallelism.tensor
num-shard: parallelism.tensor
graceful-termination-timeout: drain.shutdownTimeoutSeconds
hostname: service
port: service.port
api-key: auth.apiKey
huggingface-hub-cache: storage
weights-cache-override: storage
cors-allow-origin: expose.cors
{{- end -}}
