{{- /* The pod of `helm test`. args of all: the root context */ -}}

{{- define "llm-serving.testName" -}}
{{- printf "%s-test-api" .Facts.fullname -}}
{{- end -}}

{{- /* Argo CD makes no tests; what else applies rendered files may leave them out by test.enabled. args: the weight */ -}}
{{- define "llm-serving.testAnnotations" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
argocd.argoproj.io/hook: Skip
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

{{- /* Where the test runs. TGIS is tested in the engine's image: where that image is, and with the account that may pull it. */ -}}
{{- define "llm-serving.testPlace" -}}
{{- $v := .Values -}}
{{- if .Facts.grpc }}
serviceAccountName: {{ .Facts.account | quote }}
{{- end }}
{{- with ternary (merge (dict) $v.test.nodeSelector $v.nodeSelector $v.gpu.nodeSelector) $v.test.nodeSelector .Facts.grpc }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with ternary (concat $v.gpu.tolerations $v.tolerations $v.test.tolerations | uniq) $v.test.tolerations .Facts.grpc }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
