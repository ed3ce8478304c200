{{- /* Grafana's dashboard: files/dashboard-*.json with the release's names filled in. args of all: the root context */ -}}

{{- define "llm-serving.dashboardName" -}}
{{- printf "%s-board" (include "llm-serving.fullname" .) -}}
{{- end -}}

{{- define "llm-serving.dashboard" -}}
{{- $name := printf "%s/%s" (include "llm-serving.namespace" .) .Release.Name -}}
{{- $text := .Files.Get (printf "files/dashboard-%s.json" .Values.engine.type) -}}
{{- if .Values.monitoring.dashboard.dcgm -}}
{{- $text = .Files.Get (printf "files/dashboard-%s-dcgm.json" .Values.engine.type) -}}
{{- end -}}
{{- range $role, $_ := index (.Files.Get "files/metrics.yaml" | fromYaml) .Values.engine.type -}}
{{- $text = $text | replace (printf "@%s@" $role) (include "llm-serving.metric" (dict "root" $ "role" $role)) -}}
{{- end -}}
{{- $text = $text | replace "@uid@" (sha256sum $name | trunc 32) | replace "@title@" $name -}}
{{- $text = $text | replace "@namespace@" (include "llm-serving.namespace" .) | replace "@pods@" (include "llm-serving.podPrefix" .) -}}
{{- $text | replace "@series@" (include "llm-serving.series" . | toRawJson | trimAll "\"") | trim -}}
{{- end -}}
