{{- /* Names. args of all: the root context. Room for the longest suffix (-test-api) is left below 63. */ -}}

{{- define "llm-serving.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- /* Release names may hold dots, names of Services may not. */ -}}
{{- define "llm-serving.fullname" -}}
{{- $name := printf "%s-%s" .Release.Name (include "llm-serving.name" .) -}}
{{- if contains (include "llm-serving.name" .) .Release.Name }}{{ $name = .Release.Name }}{{ end -}}
{{- .Values.fullnameOverride | default $name | replace "." "-" | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "llm-serving.claimName" -}}
{{- printf "%s-models" (include "llm-serving.fullname" .) -}}
{{- end -}}

{{- define "llm-serving.planName" -}}
{{- printf "%s-plan" (include "llm-serving.fullname" .) -}}
{{- end -}}

{{- define "llm-serving.testName" -}}
{{- printf "%s-test-api" (include "llm-serving.fullname" .) -}}
{{- end -}}

{{- define "llm-serving.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "llm-serving.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "llm-serving.namespace" -}}
{{- .Release.Namespace -}}
{{- end -}}

{{- define "llm-serving.servedName" -}}
{{- .Values.model.servedName | default .Values.model.id | default (base .Values.model.path) -}}
{{- end -}}
