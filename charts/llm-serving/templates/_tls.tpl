{{- /* TLS that the engine itself speaks. args of all: the root context */ -}}

{{- /* "https" or "http": what the engine's API speaks. TGIS keeps health and metrics in plain text. */ -}}
{{- define "llm-serving.scheme" -}}
{{- if and .Values.tls.existingSecret (eq .Values.engine.type "vllm") }}https{{ else }}http{{ end -}}
{{- end -}}

{{- define "llm-serving.tls.args" -}}
{{- $args := list -}}
{{- if eq (include "llm-serving.scheme" .) "https" -}}
{{- $args = list "--ssl-certfile" "/llm/tls/tls.crt" "--ssl-keyfile" "/llm/tls/tls.key" -}}
{{- if include "llm-serving.has" (dict "root" . "flag" "enable-ssl-refresh") -}}
{{- $args = append $args "--enable-ssl-refresh" -}}
{{- end -}}
{{- end -}}
{{- $args | toYaml -}}
{{- end -}}

{{- /* TGIS takes its certificate by environment. */ -}}
{{- define "llm-serving.tls.env" -}}
{{- if and .Values.tls.existingSecret (eq .Values.engine.type "tgis") -}}
TLS_CERT_PATH: /llm/tls/tls.crt
TLS_KEY_PATH: /llm/tls/tls.key
{{- end -}}
{{- end -}}

{{- define "llm-serving.tls.volume" -}}
{{- with .Values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . | quote }}
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "llm-serving.tls.mount" -}}
{{- if .Values.tls.existingSecret }}
- {name: tls, mountPath: /llm/tls, readOnly: true}
{{- end }}
{{- end -}}

{{- /* The authority alone, for the test's pod. */ -}}
{{- define "llm-serving.tls.caVolume" -}}
{{- $ca := .Values.tls.ca -}}
{{- if and .Values.tls.existingSecret $ca.existingConfigMap }}
- name: ca
  configMap:
    name: {{ $ca.existingConfigMap | quote }}
    items: [{key: {{ $ca.key | quote }}, path: ca.crt}]
{{- else if .Values.tls.existingSecret }}
- name: ca
  secret:
    secretName: {{ .Values.tls.existingSecret | quote }}
    items: [{key: {{ $ca.key | quote }}, path: ca.crt}]
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- /* Name that the certificate must hold. */ -}}
{{- define "llm-serving.hostname" -}}
{{- printf "%s.%s.svc" (include "llm-serving.fullname" .) (include "llm-serving.namespace" .) -}}
{{- end -}}

{{- /* First versions of vLLM that know a flag that the chart sets by itself; a test compares them with the generator's table. */ -}}
{{- define "llm-serving.vllm.since" -}}
data-parallel-start-rank: 0.9.2
enable-ssl-refresh: 0.8.5
sse-keep-alive-interval: 0.30.0
shutdown-timeout: 0.18.0
runner: 0.10.2
kv-offloading-size: 0.11.1
{{- end -}}

{{- /* "true" where the engine is a vLLM that knows the flag. args: dict root, flag */ -}}
{{- define "llm-serving.has" -}}
{{- $since := index (include "llm-serving.vllm.since" .root | fromYaml) .flag -}}
{{- $version := regexFind "^[0-9]+\\.[0-9]+(\\.[0-9]+)?" .root.Values.engine.version -}}
{{- if and (eq .root.Values.engine.type "vllm") $version -}}
{{- if semverCompare (printf ">=%s-0" $since) $version }}true{{ end -}}
{{- end -}}
{{- end -}}

{{- /* The test asks the Service; under TLS by the name that the certificate holds. */ -}}
{{- define "llm-serving.testHost" -}}
{{- if .Values.tls.existingSecret }}{{ include "llm-serving.hostname" . }}{{ else }}{{ include "llm-serving.fullname" . }}{{ end -}}
{{- end -}}
