{{- /* Selectors hold what never changes: no version, no label of the user. args: the root context. */ -}}
{{- define "llm-serving.selectorLabels" -}}
app.kubernetes.io/name: {{ include "llm-serving.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: engine
{{- end -}}

{{- /* args: dict root, component */ -}}
{{- define "llm-serving.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/name: {{ include "llm-serving.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Values.engine.version | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}
