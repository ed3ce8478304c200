{{- /* Names. args of all: the root context. Room for the longest suffix (-test-api) is left below 63. */ -}}

{{- define "llm-serving.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimAll "-." -}}
{{- end -}}

{{- /* Release names may hold dots, names of Services may not. */ -}}
{{- define "llm-serving.fullname" -}}
{{- $name := printf "%s-%s" .Release.Name (include "llm-serving.name" .) -}}
{{- /* Two subcharts of one release must not both be named after it. */ -}}
{{- if and .Chart.IsRoot (contains (include "llm-serving.name" .) .Release.Name) }}{{ $name = .Release.Name }}{{ end -}}
{{- .Values.fullnameOverride | default $name | replace "." "-" | trunc 53 | trimAll "-" -}}
{{- end -}}

{{- /* Base for controllers that put name, group, ordinal and a hash of 10 into a label of 63. */ -}}
{{- define "llm-serving.groupName" -}}
{{- $name := include "llm-serving.fullname" . -}}
{{- if gt (len $name) 42 -}}
{{- printf "%s-%s" (trunc 35 $name | trimAll "-") (sha256sum $name | trunc 6) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{- define "llm-serving.groupServiceName" -}}
{{- printf "%s-group" (include "llm-serving.fullname" .) -}}
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

{{- /* What `helm test` runs: the protocol is the engine's. */ -}}
{{- define "llm-serving.testScript" -}}
{{- ternary "test_tgis.py" "test_api.py" (eq .Values.engine.type "tgis") -}}
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
{{- /* TGI answers under the name that it was started with. */ -}}
{{- if eq .Values.engine.type "tgi" -}}
{{- include "llm-serving.model" . -}}
{{- else -}}
{{- .Values.model.servedName | default .Values.model.id | default (base (include "llm-serving.modelPath" .)) -}}
{{- end -}}
{{- end -}}
