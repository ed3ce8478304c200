{{- /*
Data and expert parallel: several engines behind one API. Every pod holds whole engines, so that only the engines of one
model's experts, never the layers of one engine, talk over the network. args of all: the root context
*/ -}}

{{- /* "true" where engines of one release run in several pods. */ -}}
{{- define "llm-serving.dataOverPods" -}}
{{- if and (gt (int .Values.parallelism.data) 1) (gt (int .Values.parallelism.nodes) 1) }}true{{ end -}}
{{- end -}}

{{- /* Flags of vLLM that all members share; each member's own ranks come from files/group.py. */ -}}
{{- define "llm-serving.vllm.parallel" -}}
{{- $p := .Values.parallelism -}}
{{- $args := list -}}
{{- if gt (int $p.data) 1 -}}
{{- $args = list "--data-parallel-size" ($p.data | toJson) -}}
{{- end -}}
{{- if and (gt (int $p.data) 1) (le (int $p.nodes) 1) -}}
{{- $args = concat $args (list "--api-server-count" ($p.apiServers | toJson)) -}}
{{- end -}}
{{- if $p.expert -}}
{{- $args = append $args "--enable-expert-parallel" -}}
{{- end -}}
{{- $args | toYaml -}}
{{- end -}}

{{- /* Words for the supervisor: a member without API refuses --api-server-count, so that is its business too. */ -}}
{{- define "llm-serving.groupWords" -}}
{{- $p := .Values.parallelism -}}
{{- $words := list "--executor" $p.executor -}}
{{- if include "llm-serving.dataOverPods" . -}}
{{- $words = concat $words (list "--data" ($p.data | toJson) "--api-servers" ($p.apiServers | toJson)) -}}
{{- end -}}
{{- $words | toJson -}}
{{- end -}}

{{- /* Port over which engines of other pods report to the leader; everything else between members is random. */ -}}
{{- define "llm-serving.dataPort" -}}29550{{- end -}}
