{{- /* Names of metrics and series. */ -}}

{{- /*
Name of a metric by what it tells, empty where the engine has none; files/metrics.yaml has the names of each version.
args: dict root, role
*/ -}}
{{- define "llm-serving.metric" -}}
{{- $engine := .root.Values.engine -}}
{{- $names := index (.root.Files.Get "files/metrics.yaml" | fromYaml) $engine.type -}}
{{- $version := regexFind "^[0-9]+[.][0-9]+([.][0-9]+)?" $engine.version | default "0.0.0" -}}
{{- $name := "" -}}
{{- range index $names .role -}}
{{- $name = ternary .name $name (semverCompare (printf ">=%s" .from) $version) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- /* Labels that every series of the release has, as YAML. args: the root context */ -}}
{{- define "llm-serving.seriesLabels" -}}
{{- $own := dict "namespace" (include "llm-serving.namespace" .) "app_kubernetes_io_instance" .Release.Name -}}
{{- .Values.monitoring.seriesLabels | default $own | toYaml -}}
{{- end -}}

{{- /* The same as a PromQL selector. args: the root context */ -}}
{{- define "llm-serving.series" -}}
{{- $parts := list -}}
{{- range $label, $value := include "llm-serving.seriesLabels" . | fromYaml -}}
{{- $parts = append $parts (printf "%s=%q" $label $value) -}}
{{- end -}}
{{- printf "{%s}" (join "," $parts) -}}
{{- end -}}

{{- /* Beginning of the pods' names. args: the root context */ -}}
{{- define "llm-serving.podPrefix" -}}
{{- include (ternary "llm-serving.fullname" "llm-serving.groupName" (eq .Values.parallelism.controller "deployment")) . -}}
{{- end -}}

{{- /* Metadata of an object that the Prometheus operator reads. args: dict root, labels */ -}}
{{- define "llm-serving.monitorMetadata" -}}
name: {{ include "llm-serving.fullname" .root | quote }}
namespace: {{ include "llm-serving.namespace" .root | quote }}
labels:
  {{- merge (include "llm-serving.labels" (dict "root" .root "component" "monitoring") | fromYaml) .labels | toYaml | nindent 2 }}
{{- end -}}

{{- /* Labels of the pods that answer: of a group, its leader. args: the root context */ -}}
{{- define "llm-serving.leaderSelector" -}}
{{- include "llm-serving.selectorLabels" . }}
{{- if ne .Values.parallelism.controller "deployment" }}
{{ include "llm-serving.leaderLabels" . }}
{{- end }}
{{- end -}}
