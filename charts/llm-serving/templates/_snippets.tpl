{{- /* How to call each engine, for NOTES.txt. args of all: the root context */ -}}

{{- define "llm-serving.vllm.snippets" -}}
{{- include (ternary "llm-serving.openai.snippets" "llm-serving.pooling.snippets" (eq .Values.model.task "generate")) . -}}
{{- end -}}

{{- define "llm-serving.tgi.snippets" -}}
{{- include "llm-serving.openai.snippets" . -}}
{{- end -}}

{{- define "llm-serving.openai.snippets" -}}
{{- $name := include "llm-serving.fullname" . -}}
{{- $ns := include "llm-serving.namespace" . -}}
{{- $served := include "llm-serving.servedName" . | toJson -}}
{{- $secret := .Values.auth.apiKey.existingSecret -}}
{{- $scheme := include "llm-serving.scheme" . -}}
{{- /* The forwarded port has another name than the certificate. */ -}}
{{- $tls := ternary "--insecure " "" (eq $scheme "https") -}}
{{- $key := ternary " -H \"Authorization: Bearer $OPENAI_API_KEY\"" "" (ne $secret "") -}}
{{- if $secret }}  export OPENAI_API_KEY="$(kubectl get secret {{ $secret }} --namespace {{ $ns }} \
    --output jsonpath='{.data.{{ .Values.auth.apiKey.key | replace "." "\\." }}}' | base64 --decode)"
{{ end }}{{ if eq $scheme "http" }}  llm-serving query "Hello" --release {{ .Release.Name }} --namespace {{ $ns }}

or with curl:
{{ end }}
  kubectl port-forward service/{{ $name }} 8000:{{ .Values.service.port }} --namespace {{ $ns }} &
  curl {{ $tls }}{{ $scheme }}://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json'{{ $key }} \
    -d '{"model": {{ $served }}, "messages": [{"role": "user", "content": "Hello"}]}'

or from Python (pip install openai; the key is read from OPENAI_API_KEY{{ if not $secret }}, any text will do{{ end }}):

  from openai import OpenAI
  client = OpenAI(base_url="{{ $scheme }}://127.0.0.1:8000/v1")
  for chunk in client.chat.completions.create(model={{ $served }}, stream=True,
                                              messages=[{"role": "user", "content": "Hello"}]):
      print(chunk.choices[0].delta.content or "", end="")
{{- end -}}

{{- define "llm-serving.tgis.snippets" }}  llm-serving query "Hello" --protocol tgis --release {{ .Release.Name }} --namespace {{ include "llm-serving.namespace" . }}

(pip install 'llm-serving-planner[tgis]'; any gRPC client works with the proto of fmaas.GenerationService on port {{ .Values.service.grpcPort }}.)
{{- end -}}
