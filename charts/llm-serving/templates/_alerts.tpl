{{- /* Alerts. `up` and the engine's own metrics suffice; times follow the start-up budget. */ -}}

{{- /* One alert. args: dict root, name, severity, expr, for, summary, way */ -}}
{{- define "llm-serving.alert" }}
- alert: {{ .name }}
  expr: {{ .expr | quote }}
  for: {{ .for }}
  labels:
    severity: {{ .severity }}
    release: {{ .root.Release.Name | quote }}
    namespace: {{ include "llm-serving.namespace" .root | quote }}
  annotations:
    summary: {{ printf "%s/%s: %s" (include "llm-serving.namespace" .root) .root.Release.Name .summary | quote }}
    description: {{ .way | quote }}
{{- end -}}

{{- /* Alerts on whether the engine is there at all. args: the root context */ -}}
{{- define "llm-serving.alerts.up" -}}
{{- $up := printf "up%s" (include "llm-serving.series" .) -}}
{{- $wanted := and (or (gt (int .Values.replicas) 0) (include "llm-serving.autoscaled" .)) (not .Values.scaling.keda.scaleToZero.enabled) -}}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmEngineDown" "severity" "critical" "for" "2m" "expr" (printf "%s == 0 and max_over_time(%s[1h]) == 1" $up $up) "summary" "{{ $labels.pod }} served and does not answer any more" "way" "Look at the pod's last state: kubectl describe pod, kubectl logs --previous.") }}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmStartOverBudget" "severity" "warning" "for" (printf "%ss" (include "llm-serving.startupSeconds" .)) "expr" (printf "%s == 0 unless max_over_time(%s[1d]) == 1" $up $up) "summary" "{{ $labels.pod }} takes longer to start than its budget" "way" "The startup probe ends it soon: raise startup.budgetSeconds, or find what is slow (download, disk, compilation).") }}
{{- if $wanted }}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmEngineAbsent" "severity" "critical" "for" (printf "%ss" (include "llm-serving.deadlineSeconds" .)) "expr" (printf "absent(%s)" $up) "summary" "no engine is scraped" "way" "No pod has an address (Pending for want of GPUs?), or nothing scrapes it.") }}
{{- end }}
{{- end -}}

{{- /* Alerts on load. args: the root context */ -}}
{{- define "llm-serving.alerts.load" -}}
{{- $s := include "llm-serving.series" . -}}
{{- $r := .Values.monitoring.prometheusRule -}}
{{- $queue := printf "%s%s" (include "llm-serving.metric" (dict "root" . "role" "queue")) $s -}}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmQueueGrowing" "severity" "warning" "for" "10m" "expr" (printf "sum(%s) > %s and sum(deriv(%s[10m])) > 0" $queue ($r.queueLength | toJson) $queue) "summary" "{{ $value }} requests wait, and their number grows" "way" "Add engines (replicas or scaling), or shorten prompts and answers.") }}
{{- with include "llm-serving.metric" (dict "root" . "role" "kvCache") }}
{{- include "llm-serving.alert" (dict "root" $ "name" "LlmKvCacheFull" "severity" "warning" "for" "10m" "expr" (printf "max by (pod) (%s%s) > %s" . $s ($r.kvCacheUsage | toJson)) "summary" "the KV cache of {{ $labels.pod }} is full" "way" "Requests wait for memory: lower max-model-len or max-num-seqs, an 8-bit cache, or more GPUs.") }}
{{- end }}
{{- with include "llm-serving.metric" (dict "root" . "role" "preemptions") }}
{{- include "llm-serving.alert" (dict "root" $ "name" "LlmPreemptions" "severity" "warning" "for" "10m" "expr" (printf "sum(rate(%s%s[5m])) > %s" . $s ($r.preemptionsPerSecond | toJson)) "summary" "{{ $value }} requests per second are thrown out of the KV cache and computed again" "way" "Lower max-num-seqs, or give the cache more memory.") }}
{{- end }}
{{- end -}}

{{- /* Alerts on what users feel. args: the root context */ -}}
{{- define "llm-serving.alerts.service" -}}
{{- $s := include "llm-serving.series" . -}}
{{- $r := .Values.monitoring.prometheusRule -}}
{{- $requests := include "llm-serving.metric" (dict "root" . "role" "requests") -}}
{{- $all := printf "sum(rate(%s%s[5m]))" $requests $s -}}
{{- $failed := printf "sum(rate(%s%s,status=\"5xx\"}[5m]))" $requests (trimSuffix "}" $s) -}}
{{- with include "llm-serving.metric" (dict "root" . "role" "failures") }}
{{- /* clients that hang up or send nonsense are no failures of the service */}}
{{- $failed = printf "sum(rate(%s%s,err!~\"cancelled|dropped|validation\"}[5m]))" . (trimSuffix "}" $s) }}
{{- end }}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmErrors" "severity" "critical" "for" "5m" "expr" (printf "%s / %s > %s" $failed $all ($r.errorRatio | toJson)) "summary" "{{ $value | humanizePercentage }} of the requests fail" "way" "Look into the engine's log.") }}
{{- if $r.timeToFirstTokenSeconds }}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmFirstTokenSlow" "severity" "warning" "for" "10m" "expr" (include "llm-serving.percentile" (dict "root" . "role" "firstToken" "limit" $r.timeToFirstTokenSeconds)) "summary" "one of twenty requests waits {{ $value }} s for its first token" "way" "Long prompts or a queue: add engines, or lower max-num-batched-tokens.") }}
{{- end }}
{{- if $r.interTokenLatencySeconds }}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmTokensSlow" "severity" "warning" "for" "10m" "expr" (include "llm-serving.percentile" (dict "root" . "role" "interToken" "limit" $r.interTokenLatencySeconds)) "summary" "one of twenty tokens takes {{ $value }} s" "way" "Lower max-num-seqs, or add engines.") }}
{{- end }}
{{- end -}}

{{- /* The 95th percentile above a limit. args: dict root, role, limit */ -}}
{{- define "llm-serving.percentile" -}}
{{- printf "histogram_quantile(0.95, sum by (le) (rate(%s%s[5m]))) > %s" (include "llm-serving.metric" .) (include "llm-serving.series" .root) (.limit | toJson) -}}
{{- end -}}
