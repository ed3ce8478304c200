{{- /* Names, labels and images. Room for the longest suffix (-test-api) is left below 63. */ -}}

{{- /* args: the root context */ -}}
{{- define "llm-serving.name" -}}
{{- include "llm-serving.cut" (dict "name" (.Values.nameOverride | default .Chart.Name) "most" 50) -}}
{{- end -}}

{{- /* A name that is cut ends with a digest of the whole, so that two which begin alike stay two. args: dict name, most (characters) */ -}}
{{- define "llm-serving.cut" -}}
{{- $kept := trunc (int (sub .most 7)) .name | trimAll "-." -}}
{{- le (len .name) .most | ternary .name (printf "%s-%s" $kept (sha256sum .name | trunc 6)) | trimAll "-." -}}
{{- end -}}

{{- /* Release names may hold dots, names of Services may not. args: the root context */ -}}
{{- define "llm-serving.fullname" -}}
{{- $own := include "llm-serving.name" . -}}
{{- /* Two subcharts of one release must not both be named after it. */ -}}
{{- $short := and .Chart.IsRoot (contains $own .Release.Name) -}}
{{- $whole := .Values.fullnameOverride | default (ternary .Release.Name (printf "%s-%s" .Release.Name $own) $short) -}}
{{- include "llm-serving.cut" (dict "name" (replace "." "-" $whole) "most" 53) -}}
{{- end -}}

{{- /* First name of the model in the API, for templates in extraObjects. args: the root context */ -}}
{{- define "llm-serving.servedName" -}}
{{- include "llm-serving.facts" . -}}
{{- .Facts.servedName -}}
{{- end -}}

{{- /*
Name, namespace, labels and annotations of an object: the chart's own come over those of its section, these over those of
its kind, these over those of every object. args: dict root, kind, name, component, namespace (the release's where there
is none), labels and annotations (of its section), own (annotations of the chart)
*/ -}}
{{- define "llm-serving.metadata" -}}
{{- $v := .root.Values -}}
{{- $kind := index $v.objectMetadata .kind | default dict -}}
{{- $labels := mergeOverwrite (dict) $v.commonLabels ($kind.labels | default dict) (.labels | default dict) -}}
{{- $annotations := mergeOverwrite (dict) $v.commonAnnotations ($kind.annotations | default dict) (.annotations | default dict) (.own | default dict) -}}
name: {{ .name | quote }}
namespace: {{ .namespace | default .root.Facts.namespace | quote }}
labels:
  {{- mergeOverwrite $labels .root.Facts.labels (dict "app.kubernetes.io/component" .component) | toYaml | nindent 2 }}
{{- with $annotations }}
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

{{- /* The image that holds the model, from the mirror where there is one. args: the root context */ -}}
{{- define "llm-serving.modelImage" -}}
{{- $image := .Values.model.source.image -}}
{{- /* As with Docker: what stands before the first / is a registry where it has a dot, a port or is localhost. */ -}}
{{- $path := regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $image "" -}}
{{- with .Values.global.imageRegistry }}{{ $image = printf "%s/%s" . $path }}{{ end -}}
{{- $image -}}
{{- end -}}
