{{- /* What is particular to vLLM. args of all but flag: the root context */ -}}

{{- /* The arguments as a JSON list. */ -}}
{{- define "llm-serving.vllm.args" -}}
{{- $v := .Values -}}
{{- $args := list .Facts.model "--served-model-name" .Facts.servedName -}}
{{- $args = concat $args $v.model.aliases (include "llm-serving.vllm.use" . | fromJsonArray) (include "llm-serving.vllm.lora" . | fromJsonArray) -}}
{{- $args = concat $args (list "--host" .Facts.listen "--port" "8000") (include "llm-serving.vllm.parallel" . | fromJsonArray) -}}
{{- if and $v.model.revision (not .Facts.modelPath) -}}
{{- $args = concat $args (list "--revision" $v.model.revision) -}}
{{- end -}}
{{- if $v.model.trustRemoteCode }}{{ $args = append $args "--trust-remote-code" }}{{ end -}}
{{- if gt (int $v.drain.shutdownTimeoutSeconds) 0 -}}
{{- $args = concat $args (list "--shutdown-timeout" ($v.drain.shutdownTimeoutSeconds | toJson)) -}}
{{- end -}}
{{- $args = concat $args (include "llm-serving.vllm.operations" . | fromJsonArray) -}}
{{- range $name := keys $v.engine.args | sortAlpha -}}
{{- $args = concat $args (include "llm-serving.vllm.flag" (dict "name" $name "value" (index $v.engine.args $name)) | fromJsonArray) -}}
{{- end -}}
{{- $args | toJson -}}
{{- end -}}

{{- /* One flag as a JSON list. args: dict name, value */ -}}
{{- define "llm-serving.vllm.flag" -}}
{{- if kindIs "bool" .value -}}
{{- list (printf "--%s%s" (ternary "" "no-" .value) .name) | toJson -}}
{{- else -}}
{{- $words := list (printf "--%s" .name) -}}
{{- range kindIs "slice" .value | ternary .value (list .value) }}{{ $words = append $words (include "llm-serving.scalar" .) }}{{ end -}}
{{- $words | toJson -}}
{{- end -}}
{{- end -}}

{{- /*
Ranks. Data and expert parallel are several engines behind one API: every pod holds whole engines, so that only the
engines of one model's experts, never the layers of one engine, talk over the network. These flags are the same for all
members; each member's own ranks come from the supervisor.
*/ -}}
{{- define "llm-serving.vllm.parallel" -}}
{{- $p := .Values.parallelism -}}
{{- $args := list "--tensor-parallel-size" ($p.tensor | toJson) -}}
{{- if gt (int $p.pipeline) 1 }}{{ $args = concat $args (list "--pipeline-parallel-size" ($p.pipeline | toJson)) }}{{ end -}}
{{- if gt (int $p.data) 1 }}{{ $args = concat $args (list "--data-parallel-size" ($p.data | toJson)) }}{{ end -}}
{{- if and (gt (int $p.data) 1) (not .Facts.severalPods) -}}
{{- $args = concat $args (list "--api-server-count" ($p.apiServers | toJson)) -}}
{{- end -}}
{{- if $p.expert }}{{ $args = append $args "--enable-expert-parallel" }}{{ end -}}
{{- if eq $p.executor "ray" }}{{ $args = concat $args (list "--distributed-executor-backend" "ray") }}{{ end -}}
{{- $args | toJson -}}
{{- end -}}

{{- /* What is served beside plain generation: tasks, templates, drafts, an offloaded cache. */ -}}
{{- define "llm-serving.vllm.use" -}}
{{- $e := .Values.engine -}}
{{- $args := ternary list (list "--runner" "pooling") (eq .Values.model.task "generate") -}}
{{- with ternary "/llm/template/template.jinja" $e.chatTemplate.file (ne $e.chatTemplate.text "") -}}
{{- $args = concat $args (list "--chat-template" .) -}}
{{- end -}}
{{- $s := $e.speculative -}}
{{- if $s.method -}}
{{- $config := merge (dict "method" $s.method "num_speculative_tokens" $s.tokens) $s.options -}}
{{- with include "llm-serving.place" $s }}{{ $_ := set $config "model" . }}{{ end -}}
{{- $args = concat $args (list "--speculative-config" ($config | toJson)) -}}
{{- end -}}
{{- with $e.kvOffload.sizeGiB }}{{ $args = concat $args (list "--kv-offloading-size" (. | toJson)) }}{{ end -}}
{{- $args | toJson -}}
{{- end -}}

{{- /* Adapters; none of these flags where there are none. */ -}}
{{- define "llm-serving.vllm.lora" -}}
{{- $lora := .Values.engine.lora -}}
{{- $cpu := int $lora.maxCpuLoras | default (int $lora.maxLoras) -}}
{{- $args := list "--enable-lora" "--max-loras" ($lora.maxLoras | toJson) "--max-lora-rank" ($lora.maxRank | toJson) -}}
{{- $args = concat $args (list "--max-cpu-loras" ($cpu | toJson)) -}}
{{- if $lora.adapters }}{{ $args = append $args "--lora-modules" }}{{ end -}}
{{- range $lora.adapters -}}
{{- $module := dict "name" .name "path" (include "llm-serving.place" .) -}}
{{- if .base }}{{ $_ := set $module "base_model_name" .base }}{{ end -}}
{{- $args = append $args ($module | toJson) -}}
{{- end -}}
{{- ternary $args list (not (empty (or $lora.adapters $lora.dynamic))) | toJson -}}
{{- end -}}

{{- /* TLS, streamed weights, browsers and idle streams. */ -}}
{{- define "llm-serving.vllm.operations" -}}
{{- $x := .Values.expose -}}
{{- $args := list -}}
{{- if .Facts.https }}{{ $args = list "--ssl-certfile" "/llm/tls/tls.crt" "--ssl-keyfile" "/llm/tls/tls.key" }}{{ end -}}
{{- if and .Facts.https (index .Facts.knows "enable-ssl-refresh") }}{{ $args = append $args "--enable-ssl-refresh" }}{{ end -}}
{{- if and .Facts.streamed (not (hasKey .Values.engine.args "load-format")) -}}
{{- $args = concat $args (list "--load-format" "runai_streamer") -}}
{{- end -}}
{{- with .Facts.tracing.url }}{{ $args = concat $args (list "--otlp-traces-endpoint" .) }}{{ end -}}
{{- with .Values.monitoring.tracing.detailed }}{{ $args = concat $args (list "--collect-detailed-traces" (join "," .)) }}{{ end -}}
{{- with $x.cors }}{{ $args = concat $args (list "--allowed-origins" (. | toJson)) }}{{ end -}}
{{- if gt (int $x.keepAliveSeconds) 0 -}}
{{- $args = concat $args (list "--sse-keep-alive-interval" ($x.keepAliveSeconds | toJson)) -}}
{{- end -}}
{{- $args | toJson -}}
{{- end -}}

{{- /* Every cache below the two writable folders, whatever the user id. VLLM_PORT is never set: it is an internal port. */ -}}
{{- define "llm-serving.vllm.env" -}}
HF_HOME: /llm/models/huggingface
HF_HUB_OFFLINE: {{ ternary "1" "0" .Facts.offline | quote }}
VLLM_CACHE_ROOT: /llm/models/vllm
VLLM_CONFIG_ROOT: /llm/home/.config/vllm
VLLM_NO_USAGE_STATS: "1"
TRITON_CACHE_DIR: /llm/home/.triton
TORCHINDUCTOR_CACHE_DIR: /llm/home/.inductor
NUMBA_CACHE_DIR: /llm/home/.numba
OUTLINES_CACHE_DIR: /llm/home/.outlines
FLASHINFER_WORKSPACE_BASE: /llm/home
{{- if .Values.engine.lora.dynamic }}
VLLM_ALLOW_RUNTIME_LORA_UPDATING: "True"
{{- end }}
{{- if .Facts.tracing }}
OTEL_SERVICE_NAME: {{ .Values.monitoring.tracing.serviceName | default .Facts.fullname | quote }}
OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: {{ .Values.monitoring.tracing.protocol | quote }}
OTEL_EXPORTER_OTLP_TRACES_INSECURE: {{ .Facts.tracing.plain | quote }}
{{- end }}
{{- end -}}
