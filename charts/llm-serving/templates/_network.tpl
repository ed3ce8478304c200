{{- /* How clients outside reach the engine: routes, and the Service behind them. */ -}}

{{- /*
What is let through to clients outside, as JSON: the API of engine and task where no paths are given. args: the root context
*/ -}}
{{- define "llm-serving.exposed" -}}
{{- $f := .Facts -}}
{{- $x := .Values.expose -}}
{{- $more := dict "vllm" (dict "classify" (list "/classify") "pooling" (list "/pooling")) -}}
{{- $paths := $x.paths | default (concat (list "/v1") (dig $f.engine .Values.model.task list $more)) -}}
{{- if $f.grpc }}{{ $paths = list "/fmaas.GenerationService" }}{{ end -}}
{{- $before := trimSuffix "/" $x.pathPrefix -}}
{{- $found := list -}}
{{- range $index, $path := $paths -}}
{{- $word := regexReplaceAll "[^a-z0-9]+" (lower $path) "-" | trunc 20 | trimAll "-" -}}
{{- $name := printf "-%s" (printf "%s-%s" $word (sha256sum $path | trunc 5) | trimPrefix "-") -}}
{{- $prefixed := printf "%s%s" $before $path | trimSuffix "/" | default "/" -}}
{{- $found = append $found (dict "path" $path "prefixed" $prefixed "type" "Prefix" "port" $f.apiPort "name" (ternary "" $name (eq $index 0))) -}}
{{- end -}}
{{- $health := dict "path" "/health" "prefixed" (printf "%s/health" $before) "type" "Exact" "port" "http" "name" "-health" -}}
{{- ternary (append $found $health) $found (and $x.health (not (has "/health" $paths))) | toJson -}}
{{- end -}}

{{- /*
Paths among them for which no key is asked though one is set, as JSON: vLLM guards what begins with one of four prefixes
(GUARDED_PREFIX of vllm/entrypoints/serve/middleware/authenticate.py, 0.33.0, read 2026-11-29), TGI all of its API.
args: the root context
*/ -}}
{{- define "llm-serving.unguarded" -}}
{{- $open := list -}}
{{- range .Facts.exposed -}}
{{- if and (eq $.Facts.engine "vllm") (eq .type "Prefix") (not (regexMatch "^/(v1|v2|inference|cohere)" .path)) }}{{ $open = append $open .path }}{{ end -}}
{{- end -}}
{{- $open | toJson -}}
{{- end -}}

{{- /* Fields of the Service that are left to the cluster where nothing is said. args: the root context */ -}}
{{- define "llm-serving.serviceOptions" -}}
{{- $s := .Values.service -}}
{{- $given := pick $s "ipFamilyPolicy" "ipFamilies" "loadBalancerClass" "loadBalancerSourceRanges" "externalTrafficPolicy" -}}
{{- $given = merge $given (pick $s "internalTrafficPolicy" "sessionAffinity") -}}
{{- if and (eq $s.type "LoadBalancer") (not $s.allocateLoadBalancerNodePorts) }}{{ $_ := set $given "allocateLoadBalancerNodePorts" "false" }}{{ end -}}
{{- range $field, $value := $given }}
{{- if kindIs "string" $value | and $value }}
{{ $field }}: {{ $value }}
{{- else if $value }}
{{ $field }}: {{ toJson $value }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* What a route of the Gateway API leads to: the Service, or the pool that picks a pod for each request. args: the root context */ -}}
{{- define "llm-serving.backend" -}}
{{- if .Values.expose.inferencePool.enabled -}}
- group: inference.networking.k8s.io
  kind: InferencePool
  name: {{ .Facts.fullname | quote }}
{{- else -}}
- name: {{ .Facts.fullname | quote }}
  port: {{ ternary .Values.service.grpcPort .Values.service.port .Facts.grpc | int64 }}
{{- end -}}
{{- end -}}
