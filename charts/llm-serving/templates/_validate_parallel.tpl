{{- /* Refusals about data and expert parallel; see _validate.tpl. args of all: the root context */ -}}

{{- define "llm-serving.validate.data" -}}
{{- $p := .Values.parallelism -}}
{{- $e := .Values.engine -}}
{{- $problems := list -}}
{{- if and (gt (int $p.data) 1) (ne $e.type "vllm") -}}
{{- $problems = append $problems (printf "parallelism.data is %d, but engine.type %s knows no data parallel. Set parallelism.data=1 and replicas=%d, or engine.type=vllm." (int $p.data) $e.type (int $p.data)) -}}
{{- end -}}
{{- if and (gt (int $p.data) 1) (eq $e.type "vllm") (not (include "llm-serving.has" (dict "root" . "flag" "data-parallel-start-rank"))) -}}
{{- $problems = append $problems (printf "parallelism.data is %d, but vllm %s cannot be started that way (0.9.2 and newer can). Set parallelism.data=1 and replicas=%d, or a newer engine.version." (int $p.data) $e.version (int $p.data)) -}}
{{- end -}}
{{- if and (gt (int $p.data) 1) (eq $p.executor "ray") -}}
{{- $problems = append $problems (printf "parallelism.data is %d, but with parallelism.executor ray the engines of several pods wait for each other for ever (vLLM issue 44878). Set parallelism.executor=mp and parallelism.controller to statefulset or leaderworkerset." (int $p.data)) -}}
{{- end -}}
{{- if and (include "llm-serving.dataOverPods" .) (ne (mod (int $p.data) (int $p.nodes)) 0) -}}
{{- $problems = append $problems (printf "parallelism.data (%d) does not divide by parallelism.nodes (%d): every pod holds whole engines. Set parallelism.data to a multiple of parallelism.nodes, or parallelism.data=1." (int $p.data) (int $p.nodes)) -}}
{{- end -}}
{{- if and (gt (int $p.apiServers) 1) (le (int $p.data) 1) -}}
{{- $problems = append $problems (printf "parallelism.apiServers is %d, but parallelism.data is 1: one engine needs one API server. Set parallelism.apiServers=1." (int $p.apiServers)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.expert" -}}
{{- $p := .Values.parallelism -}}
{{- $e := .Values.engine -}}
{{- $problems := list -}}
{{- if and $p.expert (ne $e.type "vllm") -}}
{{- $problems = append $problems (printf "parallelism.expert is true, but engine.type %s knows no expert parallel. Set parallelism.expert=false, or engine.type=vllm." $e.type) -}}
{{- end -}}
{{- if and $p.expert (le (int $p.tensor) 1) (le (int $p.data) 1) -}}
{{- $problems = append $problems "parallelism.expert is true, but parallelism.tensor and parallelism.data are 1: there is no rank to divide experts over. Set parallelism.expert=false, or raise one of them." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
