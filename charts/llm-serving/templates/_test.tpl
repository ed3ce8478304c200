{{- /* The pod of `helm test`. args of all: the root context */ -}}

{{- define "llm-serving.testName" -}}
{{- printf "%s-test-api" .Facts.fullname -}}
{{- end -}}

{{- /* What `helm test` runs: the protocol is the engine's. */ -}}
{{- define "llm-serving.testScript" -}}
{{- ternary "test_tgis.py" "test_api.py" .Facts.grpc -}}
{{- end -}}

{{- /* What it asks for besides the model's first name. */ -}}
{{- define "llm-serving.testEnv" -}}
{{- if ne .Values.model.task "generate" }}
- name: TASK
  value: {{ .Values.model.task | quote }}
{{- end }}
{{- with .Facts.names }}
- name: NAMES
  value: {{ . | toJson | quote }}
{{- end }}
{{- with .Values.engine.lora.adapters }}
- name: ADAPTERS
  value: {{ len . | quote }}
{{- end }}
{{- end -}}

{{- /* The certificate authority alone. */ -}}
{{- define "llm-serving.tls.caVolume" -}}
{{- $ca := .Values.tls.ca -}}
{{- if and .Facts.tls $ca.existingConfigMap }}
- name: ca
  configMap:
    name: {{ $ca.existingConfigMap | quote }}
    items: [{key: {{ $ca.key | quote }}, path: ca.crt}]
{{- else if .Facts.tls }}
- name: ca
  secret:
    secretName: {{ .Values.tls.existingSecret | quote }}
    items: [{key: {{ $ca.key | quote }}, path: ca.crt}]
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- /* TGIS is tested in the engine's image: where that image is, and with the account that may pull it. */ -}}
{{- define "llm-serving.testPlace" -}}
{{- if .Facts.grpc }}
serviceAccountName: {{ .Facts.account | quote }}
{{- with merge (dict) .Values.nodeSelector .Values.gpu.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .Values.gpu.tolerations .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}
