{{- /* Parts of NOTES.txt: how to call the engine, by the API that it speaks, and what an operator must know. args of all: the root context */ -}}

{{- define "llm-serving.snippets.openai" -}}
{{- $name := .Facts.fullname -}}
{{- $ns := .Facts.namespace -}}
{{- $served := .Facts.servedName | toJson -}}
{{- $secret := .Values.auth.apiKey.existingSecret -}}
{{- $scheme := .Facts.scheme -}}
{{- /* The forwarded port has another name than the certificate. */ -}}
{{- $tls := ternary "--insecure " "" .Facts.https -}}
{{- $key := ternary " -H \"Authorization: Bearer $OPENAI_API_KEY\"" "" (ne $secret "") -}}
{{- if $secret }}  export OPENAI_API_KEY="$(kubectl get secret {{ $secret }} --namespace {{ $ns }} \
    --output jsonpath='{.data.{{ .Values.auth.apiKey.key | replace "." "\\." }}}' | base64 --decode)"
{{ end }}{{ if not .Facts.https }}  llm-serving query "Hello" --release {{ .Release.Name }} --namespace {{ $ns }}

or with curl:
{{ end }}
  kubectl port-forward service/{{ $name }} 8000:{{ .Values.service.port }} --namespace {{ $ns }} &
  curl {{ $tls }}{{ $scheme }}://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json'{{ $key }} \
    -d '{"model": {{ $served | replace "'" "'\\''" }}, "messages": [{"role": "user", "content": "Hello"}]}'

or from Python (pip install openai; the key is read from OPENAI_API_KEY{{ if not $secret }}, any text will do{{ end }}):

  from openai import OpenAI
  client = OpenAI(base_url="{{ $scheme }}://127.0.0.1:8000/v1")
  for chunk in client.chat.completions.create(model={{ $served }}, stream=True,
                                              messages=[{"role": "user", "content": "Hello"}]):
      print(chunk.choices[0].delta.content or "", end="")
{{- end -}}

{{- /* A model that gives vectors or scores. */ -}}
{{- define "llm-serving.snippets.pooling" -}}
{{- $served := .Facts.servedName -}}
{{- $texts := list "Hello" "Good morning" -}}
{{- $bodies := dict
      "embed" (dict "model" $served "input" $texts)
      "rerank" (dict "model" $served "query" "a greeting" "documents" $texts)
      "classify" (dict "model" $served "input" $texts)
      "pooling" (dict "model" $served "input" "Hello") -}}
{{- $paths := dict "embed" "/v1/embeddings" "rerank" "/v1/rerank" "classify" "/classify" "pooling" "/pooling" -}}
{{- $url := printf "%s://127.0.0.1:8000%s" .Facts.scheme (index $paths .Values.model.task) -}}
{{- $tls := ternary "--insecure " "" .Facts.https -}}
{{- $key := ternary "-H \"Authorization: Bearer $OPENAI_API_KEY\" " "" (ne .Values.auth.apiKey.existingSecret "") -}}
{{- "" }}  kubectl port-forward service/{{ .Facts.fullname }} 8000:{{ .Values.service.port }} --namespace {{ .Facts.namespace }} &
  curl {{ $tls }}{{ $key }}{{ $url }} -H 'Content-Type: application/json' \
    -d '{{ index $bodies .Values.model.task | toJson | replace "'" "'\\''" }}'
{{- end -}}

{{- define "llm-serving.snippets.tgis" }}  llm-serving query "Hello" --protocol tgis --release {{ .Release.Name }} --namespace {{ .Facts.namespace }}

(pip install 'llm-serving-planner[tgis]'; any gRPC client works with the proto of fmaas.GenerationService on port {{ .Values.service.grpcPort }}.)
{{- end -}}

{{- /* What an upgrade needs and what it interrupts. */ -}}
{{- define "llm-serving.notes.upgrade" -}}
{{- $p := .Values.parallelism -}}
{{- $one := ternary (mul $p.gpusPerNode $p.nodes) 0 (ne .Values.gpu.resourceName "") -}}
{{- if eq .Values.rollout.mode "surge" -}}
An upgrade (rollout.mode surge) needs {{ $one }} free GPUs on {{ $p.nodes }} node(s): a new engine serves before an old one stops.
{{- else if and (eq .Values.rollout.mode "replaceOneByOne") (gt .Facts.replicas 1) -}}
An upgrade (rollout.mode replaceOneByOne) needs 0 free GPUs; one of {{ .Values.replicas }} engines is away at a time.
{{- else -}}
An upgrade (rollout.mode {{ .Values.rollout.mode }}) needs 0 free GPUs; the service pauses while the new pod starts.
{{- end }}
A pod that stops has {{ .Facts.graceSeconds }} s: {{ .Values.drain.preStopSeconds }} s to leave the Service, {{ .Values.drain.shutdownTimeoutSeconds }} s for running answers, 10 s to end.
{{- if or (eq .Values.storage.type "pvc") (eq .Values.storage.type "perReplica") }}
A claim's class and access mode never change, and its size only grows (storage.type {{ .Values.storage.type }}): see docs/operations.md before you change them.
{{- end }}
{{- end -}}

{{- define "llm-serving.notes.operations" -}}
{{- $x := .Values.expose -}}
{{- $s := .Values.startup -}}
{{- $scheme := ternary "https" "http" (or $x.route.enabled (ne $x.ingress.tlsSecret "")) -}}
{{- if or $x.ingress.enabled $x.gateway.enabled $x.route.enabled }}
From outside: {{ ternary (printf "%s://%s" $scheme $x.host) "the address of the Ingress, Gateway or Route" (ne $x.host "") }} (only {{ range .Facts.exposed }}{{ .path }} {{ end }}is let through).
{{- if not .Values.auth.apiKey.existingSecret }}
note: nobody is asked for a key there. Set auth.apiKey.existingSecret (vllm, tgi), or let the gateway ask.
{{- end }}
{{- end }}
{{- if and .Facts.severalPods (not .Facts.groupSecret) }}
note: auth.group.existingSecret is empty: whoever reaches port 29400 of the group's leader is taken for a member of it. Name a Secret, set auth.group.create=true, or close the port (networkPolicy.enabled).
{{- end }}
{{- if .Facts.makesGroupSecret }}
helm uninstall keeps the Secret {{ .Facts.groupSecret }}, which a hook made once for the members of the group.
{{- end }}
{{- if ne .Values.model.download.mode "none" }}
The model is downloaded before the engine starts ({{ .Values.model.download.mode }}), within {{ $s.budgetSeconds }} s.
{{- end }}
{{- if or .Facts.downloadHook .Values.prePull.enabled }}
Helm waits for hooks before it goes on: install and upgrade with --timeout {{ add $s.imagePullSeconds $s.imagePullSeconds $s.budgetSeconds 120 }}s.
{{- end }}
{{- if eq .Values.model.source.type "oci" }}
Image volumes are beta from Kubernetes 1.33 and need the feature gate ImageVolume where it is not on by default.
{{- end }}
{{- if eq .Values.model.source.type "hostPath" }}
model.source.type hostPath is not admitted where Pod Security restricted is enforced.
{{- end }}
{{- end -}}
