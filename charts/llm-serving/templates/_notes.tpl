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
{{- if eq .Facts.rollout "surge" -}}
An upgrade (rollout.mode surge) needs {{ $one }} free GPUs on {{ $p.nodes }} node(s): a new engine serves before an old one stops.
{{- else if and (eq .Facts.rollout "replaceOneByOne") (or (gt .Facts.replicas 1) .Facts.autoscaled) -}}
An upgrade (rollout.mode replaceOneByOne) needs 0 free GPUs; one of {{ .Facts.autoscaled | ternary "the" .Facts.replicas }} engines is away at a time.
{{- else -}}
An upgrade (rollout.mode {{ .Facts.rollout }}) needs 0 free GPUs; the service pauses while the new pod starts.
{{- end }}
A pod that stops has {{ .Facts.graceSeconds }} s: {{ .Values.drain.preStopSeconds }} s to leave the Service, {{ .Values.drain.shutdownTimeoutSeconds }} s for running answers, 10 s to end.
{{- if or (eq .Values.storage.type "pvc") (eq .Values.storage.type "perReplica") }}
A claim's class and access mode never change, and its size only grows (storage.type {{ .Values.storage.type }}): see docs/operations.md before you change them.
{{- end }}
{{- end -}}

{{- /* Under which address clients outside call. A Gateway's listener tells its scheme, where its name or port does. */ -}}
{{- define "llm-serving.notes.address" -}}
{{- $x := .Values.expose -}}
{{- $listeners := list -}}
{{- range ternary $x.gateway.parents list $x.gateway.enabled }}{{ $listeners = append $listeners (printf "%s:%v" (.sectionName | default "") (.port | default "")) }}{{ end -}}
{{- $named := join " " $listeners -}}
{{- $plain := and $x.gateway.enabled (regexMatch "(^|[^a-z])http([^a-z]|$)|:(80|8080)( |$)" $named) (not (regexMatch "https|tls|443" $named)) -}}
{{- $secure := or $x.route.enabled (ne $x.ingress.tlsSecret "") (and $x.gateway.enabled (not $plain)) -}}
{{- if $x.host -}}
{{- printf "%s://%s" (ternary "https" "http" $secure) $x.host -}}
{{- if and $x.gateway.enabled (not $plain) (not (regexMatch "https|tls|443" $named)) }} (http:// where the Gateway's listener has no TLS){{ end -}}
{{- else -}}
the address of the Ingress, Gateway or Route
{{- end -}}
{{- end -}}

{{- /* What a reader must not miss: doors that stand open, and what nobody has checked. */ -}}
{{- define "llm-serving.notes.open" -}}
{{- $s := .Values.service -}}
{{- if and (ne $s.type "ClusterIP") (not $s.loadBalancerSourceRanges) }}

WARNING: service.type {{ $s.type }} offers every path of the engine, /metrics included, to whoever reaches {{ ternary "the load balancer" "a node" (eq $s.type "LoadBalancer") }}
{{- if .Values.auth.apiKey.existingSecret }}; the key guards {{ ternary "/v1, /v2, /inference and /cohere alone" "the API alone" (eq .Facts.engine "vllm") }}.
{{- else }}, and nobody is asked for a key. Set auth.apiKey.existingSecret (vllm, tgi){{ ternary " and service.loadBalancerSourceRanges" "" (eq $s.type "LoadBalancer") }},
or service.type=ClusterIP with expose.ingress, expose.gateway or expose.route.
{{- end }}
{{- end }}
{{- with .Values.podPatch }}
WARNING: podPatch changes the pods behind the chart's back ({{ concat (keys (.metadata | default dict)) (keys (.spec | default dict)) | sortAlpha | join ", " }}): nothing has checked it.
{{- end }}
{{- if .Values.engine.lora.dynamic }}
note: whoever may call the API may load adapters (engine.lora.dynamic){{ if gt .Facts.replicas 1 }}, and each of the {{ .Facts.replicas }} engines has its own{{ end }}.
{{- end }}
{{- if .Values.hostIPC }}
hostIPC is not admitted where Pod Security baseline is enforced.
{{- end }}
{{- if and .Facts.autoscaled .Facts.setReplicas }}
note: replicas ({{ .Facts.replicas }}) is written, so that autoscaling begins with as many engines. When the autoscaler has changed their number, set replicas=1,
which leaves it alone; until then an upgrade says "conflict ... .spec.replicas" (Helm 4) or sets it back (Helm 3).
{{- end }}
{{- end -}}

{{- define "llm-serving.notes.operations" -}}
{{- $x := .Values.expose -}}
{{- $s := .Values.startup -}}
{{- if or $x.ingress.enabled $x.gateway.enabled $x.route.enabled }}
From outside: {{ include "llm-serving.notes.address" . }} (only {{ range .Facts.exposed }}{{ .prefixed }} {{ end }}is let through).
{{- if not .Values.auth.apiKey.existingSecret }}
note: nobody is asked for a key there. Set auth.apiKey.existingSecret (vllm, tgi), or let the gateway ask.
{{- else if .Facts.unguarded }}
note: vLLM asks for its key below /v1, /v2, /inference and /cohere alone, not at {{ join " " .Facts.unguarded }}. Let the gateway ask.
{{- end }}
{{- end }}
{{- include "llm-serving.notes.open" . }}
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
