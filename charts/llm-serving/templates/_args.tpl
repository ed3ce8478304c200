{{- /*
The engine's arguments as a YAML list. Numbers go through toJson: quote and printf would write 1048576 as 1e+06.
args: the root context
*/ -}}
{{- define "llm-serving.args" -}}
{{- $v := .Values -}}
{{- $args := list ($v.model.path | default $v.model.id) "--served-model-name" (include "llm-serving.servedName" .) -}}
{{- $args = concat $args (list "--host" "0.0.0.0" "--port" "8000") -}}
{{- $args = concat $args (list "--tensor-parallel-size" ($v.parallelism.tensor | toJson)) -}}
{{- if gt (int $v.parallelism.pipeline) 1 -}}
{{- $args = concat $args (list "--pipeline-parallel-size" ($v.parallelism.pipeline | toJson)) -}}
{{- end -}}
{{- if and $v.model.revision (not $v.model.path) -}}
{{- $args = concat $args (list "--revision" $v.model.revision) -}}
{{- end -}}
{{- if $v.model.trustRemoteCode -}}
{{- $args = append $args "--trust-remote-code" -}}
{{- end -}}
{{- if gt (int $v.drain.shutdownTimeoutSeconds) 0 -}}
{{- $args = concat $args (list "--shutdown-timeout" ($v.drain.shutdownTimeoutSeconds | toJson)) -}}
{{- end -}}
{{- range $name := keys $v.engine.args | sortAlpha -}}
{{- $args = concat $args (include "llm-serving.flag" (dict "name" $name "value" (index $v.engine.args $name)) | fromYamlArray) -}}
{{- end -}}
{{- concat $args $v.engine.extraArgs | toYaml -}}
{{- end -}}

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
