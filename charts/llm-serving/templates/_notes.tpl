{{- /* Parts of NOTES.txt about operation. args of all: the root context */ -}}

{{- /* What an upgrade needs and what it interrupts. */ -}}
{{- define "llm-serving.notes.upgrade" -}}
{{- $p := .Values.parallelism -}}
{{- $one := ternary (mul $p.gpusPerNode $p.nodes) 0 (ne .Values.gpu.resourceName "") -}}
{{- if eq .Values.rollout.mode "surge" -}}
An upgrade (rollout.mode surge) needs {{ $one }} free GPUs on {{ $p.nodes }} node(s): a new engine serves before an old one stops.
{{- else if and (eq .Values.rollout.mode "replaceOneByOne") (gt (int .Values.replicas) 1) -}}
An upgrade (rollout.mode replaceOneByOne) needs 0 free GPUs; one of {{ .Values.replicas }} engines is away at a time.
{{- else -}}
An upgrade (rollout.mode {{ .Values.rollout.mode }}) needs 0 free GPUs; the service pauses while the new pod starts.
{{- end }}
A pod that stops has {{ include "llm-serving.graceSeconds" . }} s: {{ .Values.drain.preStopSeconds }} s to leave the Service, {{ .Values.drain.shutdownTimeoutSeconds }} s for running answers, 10 s to end.
{{- if or (eq .Values.storage.type "pvc") (eq .Values.storage.type "perReplica") }}
A claim's class and access mode never change, and its size only grows (storage.type {{ .Values.storage.type }}): see docs/operations.md before you change them.
{{- end }}
{{- end -}}

{{- define "llm-serving.notes.operations" -}}
{{- $x := .Values.expose -}}
{{- $scheme := ternary "https" "http" (or $x.route.enabled (ne $x.ingress.tlsSecret "")) -}}
{{- if or $x.ingress.enabled $x.gateway.enabled $x.route.enabled }}
From outside: {{ ternary (printf "%s://%s" $scheme $x.host) "the address of the Ingress, Gateway or Route" (ne $x.host "") }} (only {{ range include "llm-serving.exposed" . | fromJsonArray }}{{ .path }} {{ end }}is let through).
{{- if not .Values.auth.apiKey.existingSecret }}
note: nobody is asked for a key there. Set auth.apiKey.existingSecret (vllm, tgi), or let the gateway ask.
{{- end }}
{{- end }}
{{- if ne .Values.model.download.mode "none" }}
The model is downloaded before the engine starts ({{ .Values.model.download.mode }}), within {{ .Values.startup.budgetSeconds }} s.
{{- end }}
{{- if or (eq .Values.model.download.mode "hook") .Values.prePull.enabled }}
Helm waits for hooks before it goes on: install and upgrade with --timeout {{ include "llm-serving.hookSeconds" . }}s.
{{- end }}
{{- if eq .Values.model.source.type "oci" }}
Image volumes are beta from Kubernetes 1.33 and need the feature gate ImageVolume where it is not on by default.
{{- end }}
{{- if eq .Values.model.source.type "hostPath" }}
model.source.type hostPath is not admitted where Pod Security restricted is enforced.
{{- end }}
{{- end -}}

{{- /* Seconds that hooks may take before the release's objects are made. */ -}}
{{- define "llm-serving.hookSeconds" -}}
{{- add .Values.startup.imagePullSeconds .Values.startup.imagePullSeconds .Values.startup.budgetSeconds 120 -}}
{{- end -}}
