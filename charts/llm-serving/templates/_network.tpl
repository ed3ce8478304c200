{{- /* Who reaches the engine: routes for clients outside, and NetworkPolicies, which add up, so that each says one thing. */ -}}

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

{{- /* Who may come in, and what may go out. Ports of a group are nobody's but the group's. args: the root context */ -}}
{{- define "llm-serving.networkPolicy" -}}
{{- $n := .Values.networkPolicy }}
{{- $test := dict "matchLabels" (merge (dict "app.kubernetes.io/component" "test") .Facts.selectorLabels) }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "llm-serving.metadata" (dict "root" . "name" (printf "%s-api" .Facts.fullname) "component" "network") | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- toYaml .Facts.selectorLabels | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- with concat $n.clients (ternary (list (dict "podSelector" $test)) list .Values.test.enabled) }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        {{- range $.Facts.apiPorts }}
        - {port: {{ . }}, protocol: TCP}
        {{- end }}
    {{- end }}
    {{- with $n.metrics }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - {port: http, protocol: TCP}
    {{- end }}
    {{- with $n.nodes }}
    - from:
        {{- range . }}
        - ipBlock: {cidr: {{ . | quote }}}
        {{- end }}
      ports:
        - {port: {{ $.Facts.healthPort }}, protocol: TCP}
    {{- end }}
  egress:
    {{- include "llm-serving.egress" . | nindent 4 }}
{{- end -}}

{{- /* args: the root context */ -}}
{{- define "llm-serving.egress" -}}
{{- $n := .Values.networkPolicy -}}
{{- with $n.dns }}
- to:
    {{- toYaml . | nindent 4 }}
  ports:
    {{- range $port := list 53 5353 }}
    - {port: {{ $port }}, protocol: UDP}
    - {port: {{ $port }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- with ternary $n.hub.to list .Facts.downloads }}
- to:
    {{- toYaml . | nindent 4 }}
  ports:
    {{- range $port := $n.hub.ports }}
    - {port: {{ $port | int64 }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- with $n.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /*
Members of a group among themselves: NCCL and message queues choose their ports at random.
args: dict root, name (suffix), own (labels of one group)
*/ -}}
{{- define "llm-serving.groupPolicy" -}}
{{- $members := dict "matchLabels" (merge (dict) .root.Facts.selectorLabels .own) }}
{{- $name := printf "%s-%s" .root.Facts.fullname .name }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "llm-serving.metadata" (dict "root" .root "name" $name "component" "network") | nindent 2 }}
spec:
  podSelector:
    {{- toYaml $members | nindent 4 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            {{- toYaml $members | nindent 12 }}
  egress:
    - to:
        - podSelector:
            {{- toYaml $members | nindent 12 }}
{{- end -}}
