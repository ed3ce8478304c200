{{- /*
Alerts and Grafana's dashboard. `up` and the engine's own metrics suffice; times follow the start-up budget.
args of all, unless told otherwise: the root context
*/ -}}

{{- /* Where traces go, as JSON: {url, plain (no TLS), port}; an empty mapping where they go nowhere. */ -}}
{{- define "llm-serving.tracing" -}}
{{- $t := .Values.monitoring.tracing -}}
{{- $scheme := regexFind "^https?" $t.endpoint -}}
{{- /* Not by urlParse, which ends the rendering without a word of the key. */ -}}
{{- $host := regexReplaceAll "^https?://([^/]*).*$" $t.endpoint "${1}" -}}
{{- $usual := ternary "4317" "4318" (eq $t.protocol "grpc") -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" | default $usual | int -}}
{{- ternary (dict "url" $t.endpoint "plain" (eq $scheme "http") "port" $port) dict (ne $t.endpoint "") | toJson -}}
{{- end -}}

{{- /* How a monitor scrapes the engines. Where they speak TLS the certificate is judged. args: dict root, monitor */ -}}
{{- define "llm-serving.endpoint" -}}
{{- $m := .monitor -}}
{{- $ca := .root.Values.tls.ca -}}
{{- $map := dict "configMap" (dict "name" $ca.existingConfigMap "key" $ca.key) -}}
{{- $secret := dict "secret" (dict "name" .root.Values.tls.existingSecret "key" $ca.key) -}}
{{- $own := dict "ca" (ternary $secret $map (eq $ca.existingConfigMap "")) "serverName" .root.Facts.hostname -}}
port: http
path: /metrics
interval: {{ $m.interval }}
{{- with $m.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- if .root.Facts.https }}
scheme: https
tlsConfig:
  {{- mergeOverwrite $own $m.tlsConfig | toYaml | nindent 2 }}
{{- end }}
{{- range $field, $rules := pick $m "relabelings" "metricRelabelings" }}
{{- with $rules }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Where a monitor in another namespace looks. args: dict root, monitor */ -}}
{{- define "llm-serving.ofNamespace" -}}
{{- if .monitor.namespace -}}
namespaceSelector:
  matchNames: [{{ .root.Facts.namespace | quote }}]
{{- end -}}
{{- end -}}

{{- /* One alert, unless it is switched off. args: dict root, name, severity, expr, for, summary, way */ -}}
{{- define "llm-serving.alert" -}}
{{- $r := .root.Values.monitoring.prometheusRule -}}
{{- $own := index $r.alerts .name | default dict -}}
{{- $labels := dict "severity" ($own.severity | default .severity) "release" .root.Release.Name "namespace" .root.Facts.namespace -}}
{{- $summary := printf "%s/%s: %s" .root.Facts.namespace .root.Release.Name .summary -}}
{{- if dig "enabled" true $own }}
- alert: {{ .name }}
  expr: {{ .expr | quote }}
  for: {{ $own.for | default .for }}
  labels:
    {{- mergeOverwrite $labels $r.alertLabels ($own.labels | default dict) | toYaml | nindent 4 }}
  annotations:
    {{- mergeOverwrite (dict "summary" $summary "description" .way) $r.alertAnnotations | toYaml | nindent 4 }}
{{- end -}}
{{- end -}}

{{- /* Whether the engine is there at all. */ -}}
{{- define "llm-serving.alerts.up" -}}
{{- $up := printf "up%s" .Facts.series -}}
{{- $wanted := and (or (gt .Facts.replicas 0) .Facts.autoscaled) (not .Values.scaling.keda.scaleToZero.enabled) -}}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmEngineDown" "severity" "critical" "for" "2m"
      "expr" (printf "%s == 0 and max_over_time(%s[1h]) == 1" $up $up)
      "summary" "{{ $labels.pod }} served and does not answer any more"
      "way" "Look at the pod's last state: kubectl describe pod, kubectl logs --previous.") }}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmStartOverBudget" "severity" "warning" "for" (printf "%ds" .Facts.startupSeconds)
      "expr" (printf "%s == 0 unless max_over_time(%s[1d]) == 1" $up $up)
      "summary" "{{ $labels.pod }} takes longer to start than its budget"
      "way" "The startup probe ends it soon: raise startup.budgetSeconds, or find what is slow (download, disk, compilation).") }}
{{- if $wanted }}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmEngineAbsent" "severity" "critical" "for" (printf "%ds" .Facts.deadlineSeconds)
      "expr" (printf "absent(%s)" $up)
      "summary" "no engine is scraped"
      "way" "No pod has an address (Pending for want of GPUs?), or nothing scrapes it.") }}
{{- end }}
{{- end -}}

{{- /* Load. */ -}}
{{- define "llm-serving.alerts.load" -}}
{{- $s := .Facts.series -}}
{{- $r := .Values.monitoring.prometheusRule -}}
{{- $queue := printf "%s%s" .Facts.metrics.queue $s -}}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmQueueGrowing" "severity" "warning" "for" "10m"
      "expr" (printf "sum(%s) > %s and sum(deriv(%s[10m])) > 0" $queue ($r.queueLength | toJson) $queue)
      "summary" "{{ $value }} requests wait, and their number grows"
      "way" "Add engines (replicas or scaling), or shorten prompts and answers.") }}
{{- with .Facts.metrics.kvCache }}
{{- include "llm-serving.alert" (dict "root" $ "name" "LlmKvCacheFull" "severity" "warning" "for" "10m"
      "expr" (printf "max by (pod) (%s%s) > %s" . $s ($r.kvCacheUsage | toJson))
      "summary" "the KV cache of {{ $labels.pod }} is full"
      "way" "Requests wait for memory: lower max-model-len or max-num-seqs, an 8-bit cache, or more GPUs.") }}
{{- end }}
{{- with .Facts.metrics.preemptions }}
{{- include "llm-serving.alert" (dict "root" $ "name" "LlmPreemptions" "severity" "warning" "for" "10m"
      "expr" (printf "sum(rate(%s%s[5m])) > %s" . $s ($r.preemptionsPerSecond | toJson))
      "summary" "{{ $value }} requests per second are thrown out of the KV cache and computed again"
      "way" "Lower max-num-seqs, or give the cache more memory.") }}
{{- end }}
{{- end -}}

{{- /* What users feel. */ -}}
{{- define "llm-serving.alerts.service" -}}
{{- $s := .Facts.series -}}
{{- $r := .Values.monitoring.prometheusRule -}}
{{- $all := printf "sum(rate(%s%s[5m]))" .Facts.metrics.requests $s -}}
{{- $failed := printf "sum(rate(%s%s,status=\"5xx\"}[5m]))" .Facts.metrics.requests (trimSuffix "}" $s) -}}
{{- with .Facts.metrics.failures }}
{{- /* clients that hang up or send nonsense are no failures of the service */}}
{{- $failed = printf "sum(rate(%s%s,err!~\"cancelled|dropped|validation\"}[5m]))" . (trimSuffix "}" $s) }}
{{- end }}
{{- include "llm-serving.alert" (dict "root" . "name" "LlmErrors" "severity" "critical" "for" "5m"
      "expr" (printf "%s / %s > %s" $failed $all ($r.errorRatio | toJson))
      "summary" "{{ $value | humanizePercentage }} of the requests fail"
      "way" "Look into the engine's log.") }}
{{- /* the 95th percentile of a histogram's series, above a limit */}}
{{- $percentile := "histogram_quantile(0.95, sum by (le) (rate(%s%s[5m]))) > %s" }}
{{- with $r.timeToFirstTokenSeconds }}
{{- include "llm-serving.alert" (dict "root" $ "name" "LlmFirstTokenSlow" "severity" "warning" "for" "10m"
      "expr" (printf $percentile $.Facts.metrics.firstToken $s (. | toJson))
      "summary" "one of twenty requests waits {{ $value }} s for its first token"
      "way" "Long prompts or a queue: add engines, or lower max-num-batched-tokens.") }}
{{- end }}
{{- with $r.interTokenLatencySeconds }}
{{- include "llm-serving.alert" (dict "root" $ "name" "LlmTokensSlow" "severity" "warning" "for" "10m"
      "expr" (printf $percentile $.Facts.metrics.interToken $s (. | toJson))
      "summary" "one of twenty tokens takes {{ $value }} s"
      "way" "Lower max-num-seqs, or add engines.") }}
{{- end }}
{{- end -}}

{{- /* The dashboard: files/dashboard-*.json with the release's names filled in. */ -}}
{{- define "llm-serving.dashboard" -}}
{{- $f := .Facts -}}
{{- $name := printf "%s/%s" $f.namespace .Release.Name -}}
{{- $text := .Files.Get (printf "files/dashboard-%s%s.json" $f.engine (ternary "-dcgm" "" .Values.monitoring.dashboard.dcgm)) -}}
{{- range $role, $metric := $f.metrics }}{{ $text = $text | replace (printf "@%s@" $role) $metric }}{{ end -}}
{{- $text = $text | replace "@uid@" (sha256sum $name | trunc 32) | replace "@title@" $name -}}
{{- $pods := ternary $f.fullname $f.groupName (eq $f.controller "deployment") -}}
{{- $text = $text | replace "@namespace@" $f.namespace | replace "@pods@" $pods -}}
{{- $text | replace "@series@" ($f.series | toRawJson | trimAll "\"") | trim -}}
{{- end -}}
