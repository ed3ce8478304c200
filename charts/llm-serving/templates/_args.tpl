{{- /*
Words of the engine's command line. Numbers go through toJson: quote and printf would write 1048576 as 1e+06.
*/ -}}

{{- /* One flag as a YAML list. args: dict name, value */ -}}
{{- define "llm-serving.flag" -}}
{{- if kindIs "bool" .value -}}
{{- list (printf "--%s%s" (ternary "" "no-" .value) .name) | toYaml -}}
{{- else if kindIs "slice" .value -}}
{{- $items := list (printf "--%s" .name) -}}
{{- range .value }}{{ $items = append $items (include "llm-serving.scalar" .) }}{{ end -}}
{{- $items | toYaml -}}
{{- else -}}
{{- list (printf "--%s" .name) (include "llm-serving.scalar" .value) | toYaml -}}
{{- end -}}
{{- end -}}

{{- /* A string as it is, everything else as JSON. args: the value */ -}}
{{- define "llm-serving.scalar" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ . | toJson }}{{ end -}}
{{- end -}}

{{- /* The container's command, under the supervisor where several pods are one engine. args: the root context */ -}}
{{- define "llm-serving.command" -}}
{{- $engine := .Values.engine.command | default (include (printf "llm-serving.%s.command" .Values.engine.type) . | fromJsonArray) -}}
{{- if gt (int .Values.parallelism.nodes) 1 -}}
{{- $engine = concat (list "python3" "/llm/group/group.py") (include "llm-serving.groupWords" . | fromJsonArray) (list "--") $engine -}}
{{- end -}}
{{- $engine | toJson -}}
{{- end -}}

{{- /* The engine's arguments as a YAML list. args: the root context */ -}}
{{- define "llm-serving.args" -}}
{{- concat (include (printf "llm-serving.%s.args" .Values.engine.type) . | fromYamlArray) .Values.engine.extraArgs | toYaml -}}
{{- end -}}
