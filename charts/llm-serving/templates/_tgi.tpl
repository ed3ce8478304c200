{{- /*
What is particular to TGI, which its authors archived on 2026-03-21. Its entry point splits words at blanks, hence
--flag=value; it listens on the address in HOSTNAME, which Kubernetes sets, hence --hostname.
args of both: the root context
*/ -}}

{{- /* The arguments as a JSON list. True is the bare flag, false is nothing: TGI has no --no-flag. */ -}}
{{- define "llm-serving.tgi.args" -}}
{{- $v := .Values -}}
{{- $args := list (printf "--model-id=%s" .Facts.model) (printf "--hostname=%s" .Facts.listen) "--port=8000" -}}
{{- $args = append $args (printf "--num-shard=%s" ($v.parallelism.tensor | toJson)) -}}
{{- if gt (int $v.parallelism.tensor) 1 }}{{ $args = append $args "--sharded=true" }}{{ end -}}
{{- if and $v.model.revision (not .Facts.modelPath) }}{{ $args = append $args (printf "--revision=%s" $v.model.revision) }}{{ end -}}
{{- if $v.model.trustRemoteCode }}{{ $args = append $args "--trust-remote-code" }}{{ end -}}
{{- $args = append $args (printf "--graceful-termination-timeout=%s" ($v.drain.shutdownTimeoutSeconds | toJson)) -}}
{{- with .Facts.tracing.url }}{{ $args = append $args (printf "--otlp-endpoint=%s" .) }}{{ end -}}
{{- if .Facts.tracing }}{{ $args = append $args (printf "--otlp-service-name=%s" ($v.monitoring.tracing.serviceName | default .Facts.fullname)) }}{{ end -}}
{{- range $v.expose.cors }}{{ $args = append $args (printf "--cors-allow-origin=%s" .) }}{{ end -}}
{{- range $name := keys $v.engine.args | sortAlpha -}}
{{- $value := index $v.engine.args $name -}}
{{- if kindIs "bool" $value -}}
{{- $args = concat $args (ternary (list (printf "--%s" $name)) list $value) -}}
{{- else -}}
{{- $args = append $args (printf "--%s=%s" $name (include "llm-serving.scalar" $value)) -}}
{{- end -}}
{{- end -}}
{{- $args | toJson -}}
{{- end -}}

{{- define "llm-serving.tgi.env" -}}
HF_HOME: /llm/models/huggingface
HF_HUB_OFFLINE: {{ ternary "1" "0" .Facts.offline | quote }}
USAGE_STATS: "off"
TRITON_CACHE_DIR: /llm/home/.triton
TORCHINDUCTOR_CACHE_DIR: /llm/home/.inductor
{{- end -}}
