{{- /* Names, labels and images. Room for the longest suffix (-test-api) is left below 63. */ -}}

{{- /* args: the root context */ -}}
{{- define "llm-serving.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimAll "-." -}}
{{- end -}}

{{- /* Release names may hold dots, names of Services may not. args: the root context */ -}}
{{- define "llm-serving.fullname" -}}
{{- $own := include "llm-serving.name" . -}}
{{- /* Two subcharts of one release must not both be named after it. */ -}}
{{- $short := and .Chart.IsRoot (contains $own .Release.Name) -}}
{{- .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $own) $short) | replace "." "-" | trunc 53 | trimAll "-" -}}
{{- end -}}

{{- /* First name of the model in the API, for templates in extraObjects. args: the root context */ -}}
{{- define "llm-serving.servedName" -}}
{{- include "llm-serving.facts" . -}}
{{- .Facts.servedName -}}
{{- end -}}

{{- /* args: dict root, component, labels (that give way to the chart's own) */ -}}
{{- define "llm-serving.labels" -}}
{{- merge (dict "app.kubernetes.io/component" .component) .root.Facts.labels (.labels | default dict) | toYaml -}}
{{- end -}}

{{- /* Name, namespace, labels and annotations of an object. args: as for labels, and name, annotations */ -}}
{{- define "llm-serving.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .root.Facts.namespace | quote }}
labels:
  {{- include "llm-serving.labels" . | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* args: dict root, image, tag (used where the image names none) */ -}}
{{- define "llm-serving.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $name := .image.repository -}}
{{- if $registry }}{{ $name = printf "%s/%s" $registry .image.repository }}{{ end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .tag) -}}
{{- end -}}
{{- end -}}
