{{- /* What is particular to vLLM. args of all: the root context */ -}}

{{- define "llm-serving.vllm.command" -}}
["vllm", "serve"]
{{- end -}}

{{- define "llm-serving.vllm.args" -}}
{{- $v := .Values -}}
{{- $args := list (include "llm-serving.model" .) "--served-model-name" (include "llm-serving.servedName" .) -}}
{{- $args = concat $args $v.model.aliases (include "llm-serving.vllm.use" . | fromYamlArray) -}}
{{- $args = concat $args (list "--host" "0.0.0.0" "--port" "8000") -}}
{{- $args = concat $args (list "--tensor-parallel-size" ($v.parallelism.tensor | toJson)) -}}
{{- if gt (int $v.parallelism.pipeline) 1 -}}
{{- $args = concat $args (list "--pipeline-parallel-size" ($v.parallelism.pipeline | toJson)) -}}
{{- end -}}
{{- $args = concat $args (include "llm-serving.vllm.parallel" . | fromYamlArray) -}}
{{- if eq $v.parallelism.executor "ray" -}}
{{- $args = concat $args (list "--distributed-executor-backend" "ray") -}}
{{- end -}}
{{- if and $v.model.revision (not (include "llm-serving.modelPath" .)) -}}
{{- $args = concat $args (list "--revision" $v.model.revision) -}}
{{- end -}}
{{- if $v.model.trustRemoteCode -}}
{{- $args = append $args "--trust-remote-code" -}}
{{- end -}}
{{- if gt (int $v.drain.shutdownTimeoutSeconds) 0 -}}
{{- $args = concat $args (list "--shutdown-timeout" ($v.drain.shutdownTimeoutSeconds | toJson)) -}}
{{- end -}}
{{- $args = concat $args (include "llm-serving.tls.args" . | fromYamlArray) (include "llm-serving.vllm.operations" . | fromYamlArray) -}}
{{- range $name := keys $v.engine.args | sortAlpha -}}
{{- $args = concat $args (include "llm-serving.flag" (dict "name" $name "value" (index $v.engine.args $name)) | fromYamlArray) -}}
{{- end -}}
{{- $args | toYaml -}}
{{- end -}}

{{- /* Every cache below the two writable folders, whatever the user id. VLLM_PORT is never set: it is an internal port. */ -}}
{{- define "llm-serving.vllm.env" -}}
HF_HOME: /llm/models/huggingface
HF_HUB_OFFLINE: {{ include "llm-serving.offline" . | quote }}
VLLM_CACHE_ROOT: /llm/models/vllm
VLLM_CONFIG_ROOT: /llm/home/.config/vllm
VLLM_NO_USAGE_STATS: "1"
TRITON_CACHE_DIR: /llm/home/.triton
TORCHINDUCTOR_CACHE_DIR: /llm/home/.inductor
NUMBA_CACHE_DIR: /llm/home/.numba
OUTLINES_CACHE_DIR: /llm/home/.outlines
FLASHINFER_WORKSPACE_BASE: /llm/home
{{- end -}}

{{- define "llm-serving.vllm.apiKeyName" -}}VLLM_API_KEY{{- end -}}

{{- define "llm-serving.vllm.ports" -}}
- {name: http, containerPort: 8000, protocol: TCP}
{{- end -}}

{{- /* Flags that have a key of their own, or belong to layouts that the chart builds. */ -}}
{{- define "llm-serving.vllm.reservedFlags" -}}
model: model.id
model-tag: model.id
served-model-name: model.servedName
revision: model.revision
trust-remote-code: model.trustRemoteCode
tensor-parallel-size: parallelism.tensor
pipeline-parallel-size: parallelism.pipeline
data-parallel-size: parallelism.data
data-parallel-size-local: parallelism.data
data-parallel-address: parallelism.data
data-parallel-rpc-port: parallelism.data
data-parallel-rank: parallelism.data
data-parallel-start-rank: parallelism.data
data-parallel-backend: parallelism.data
data-parallel-external-lb: parallelism.data
data-parallel-hybrid-lb: parallelism.data
data-parallel-multi-port-external-lb: parallelism.data
data-parallel-supervisor-port: parallelism.data
enable-expert-parallel: parallelism.expert
api-server-count: parallelism.apiServers
nnodes: parallelism.nodes
node-rank: parallelism.nodes
master-addr: parallelism.nodes
master-port: parallelism.nodes
headless: parallelism.nodes
distributed-executor-backend: parallelism.executor
shutdown-timeout: drain.shutdownTimeoutSeconds
host: service
port: service.port
api-key: auth.apiKey
hf-token: auth.hfToken
ssl-certfile: tls.existingSecret
ssl-keyfile: tls.existingSecret
allowed-origins: expose.cors
sse-keep-alive-interval: expose.keepAliveSeconds
runner: model.task
enable-lora: engine.lora.adapters
lora-modules: engine.lora.adapters
max-loras: engine.lora.maxLoras
max-lora-rank: engine.lora.maxRank
max-cpu-loras: engine.lora.maxCpuLoras
speculative-config: engine.speculative
spec-method: engine.speculative.method
spec-model: engine.speculative.id
spec-tokens: engine.speculative.tokens
chat-template: engine.chatTemplate
kv-offloading-size: engine.kvOffload.sizeGiB
{{- end -}}
