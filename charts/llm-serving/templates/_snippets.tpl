{{- /* How to call each engine, for NOTES.txt. args of all: the root context */ -}}

{{- define "llm-serving.vllm.snippets" -}}
{{- include "llm-serving.openai.snippets" . -}}
{{- end -}}

{{- define "llm-serving.tgi.snippets" -}}
{{- include "llm-serving.openai.snippets" . -}}
{{- end -}}

{{- define "llm-serving.openai.snippets" -}}
{{- $name := include "llm-serving.fullname" . -}}
{{- $served := include "llm-serving.servedName" . | toJson -}}
{{- $scheme := include "llm-serving.scheme" . -}}
{{- /* The forwarded port has another name than the certificate. */ -}}
{{- $tls := ternary "--insecure " "" (eq $scheme "https") -}}
{{- $key := ternary " -H \"Authorization: Bearer $API_KEY\"" "" (ne .Values.auth.apiKey.existingSecret "") }}  kubectl port-forward service/{{ $name }} 8000:{{ .Values.service.port }} --namespace {{ include "llm-serving.namespace" . }} &
  curl {{ $tls }}{{ $scheme }}://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json'{{ $key }} \
    -d '{"model": {{ $served }}, "messages": [{"role": "user", "content": "Hello"}]}'

From Python (pip install openai):

  from openai import OpenAI
  client = OpenAI(base_url="{{ $scheme }}://127.0.0.1:8000/v1", api_key={{ ternary "os.environ[\"API_KEY\"]" "\"none\"" (ne .Values.auth.apiKey.existingSecret "") }})
  for chunk in client.chat.completions.create(model={{ $served }}, stream=True,
                                              messages=[{"role": "user", "content": "Hello"}]):
      print(chunk.choices[0].delta.content or "", end="")
{{- end -}}

{{- define "llm-serving.tgis.snippets" -}}
{{- $port := .Values.service.grpcPort }}  kubectl port-forward service/{{ include "llm-serving.fullname" . }} {{ $port }} --namespace {{ include "llm-serving.namespace" . }} &
  llm-serving query --protocol tgis --base-url 127.0.0.1:{{ $port }} Hello
  grpcurl {{ ternary "-plaintext" "-insecure" (eq .Values.tls.existingSecret "") }} -d '{"requests": [{"text": "Hello"}]}' 127.0.0.1:{{ $port }} fmaas.GenerationService/Generate
{{- end -}}
