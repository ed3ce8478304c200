{{- /* A liveness that sees an engine which answers /health and nothing else. args of all: the root context */ -}}

{{- /* The probe: what it needs goes on its command line, so that the engine sees none of it. */ -}}
{{- define "llm-serving.liveness" -}}
{{- if .Facts.judgesStall -}}
{{- $f := .Facts -}}
{{- $m := $f.metrics -}}
{{- $health := ternary "http://localhost:29401/health" (printf "%s://localhost:8000/health" $f.scheme) $f.severalPods -}}
{{- $body := ternary (dict "model" $f.servedName "prompt" "a" "max_tokens" 1 | toJson) "" (eq .Values.model.task "generate") -}}
{{- $words := list "env"
      (printf "HEALTH_URL=%s" $health)
      (printf "METRICS_URL=%s://localhost:8000/metrics" $f.scheme)
      (printf "BUSY=%s %s" $m.running $m.queue)
      (printf "MOVING=%s %s %s %s" $m.kvCache $m.promptTokens $m.generatedTokens $m.preemptions)
      (printf "STALL_SECONDS=%d" (int .Values.liveness.stalledSeconds))
      (printf "COMPLETION=%s" $body) -}}
exec:
  command: {{ concat $words $f.python (list "/llm/liveness/stall.py") | toJson }}
{{- else -}}
{{- include "llm-serving.probe" . -}}
{{- end -}}
{{- end -}}
