{{- /* NetworkPolicies: they add up, so each says one thing. */ -}}

{{- /* Metadata. args: dict root, name (suffix) */ -}}
{{- define "llm-serving.policyMetadata" -}}
name: {{ printf "%s-%s" (include "llm-serving.fullname" .root) .name | quote }}
namespace: {{ include "llm-serving.namespace" .root | quote }}
labels:
  {{- include "llm-serving.labels" (dict "root" .root "component" "network") | nindent 2 }}
{{- end -}}

{{- /* "yes" where a pod reaches the hub or an object store. args: the root context */ -}}
{{- define "llm-serving.downloads" -}}
{{- if or (not (include "llm-serving.modelPath" .)) (include "llm-serving.streamed" .) (include "llm-serving.use.repositories" .) }}yes{{ end -}}
{{- end -}}

{{- /* Ports of the API by name, as the container has them. args: the root context */ -}}
{{- define "llm-serving.apiPorts" -}}
- {port: http, protocol: TCP}
{{- if eq .Values.engine.type "tgis" }}
- {port: grpc, protocol: TCP}
{{- end }}
{{- end -}}

{{- /* Who may come in, and what may go out. Ports of a group are nobody's but the group's. args: the root context */ -}}
{{- define "llm-serving.networkPolicy" -}}
{{- $n := .Values.networkPolicy }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "llm-serving.policyMetadata" (dict "root" . "name" "api") | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "llm-serving.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- with concat $n.clients (include "llm-serving.testPeer" . | fromYamlArray) }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        {{- include "llm-serving.apiPorts" $ | nindent 8 }}
    {{- end }}
    {{- with $n.metrics }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - {port: http, protocol: TCP}
    {{- end }}
    {{- with $n.nodes }}
    - from:
        {{- include "llm-serving.cidrs" . | nindent 8 }}
      ports:
        - {port: {{ ternary "group" "http" (gt (int $.Values.parallelism.nodes) 1) }}, protocol: TCP}
    {{- end }}
  egress:
    {{- include "llm-serving.egress" . | nindent 4 }}
{{- end -}}

{{- /* args: list of CIDRs */ -}}
{{- define "llm-serving.cidrs" -}}
{{- range . }}
- ipBlock: {cidr: {{ . | quote }}}
{{- end }}
{{- end -}}

{{- /* The pod of `helm test`, as a list. args: the root context */ -}}
{{- define "llm-serving.testPeer" -}}
{{- $labels := merge (dict "app.kubernetes.io/component" "test") (include "llm-serving.selectorLabels" . | fromYaml) -}}
{{- ternary (list (dict "podSelector" (dict "matchLabels" $labels))) list .Values.test.enabled | toYaml -}}
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
{{- with ternary $n.hub.to list (eq (include "llm-serving.downloads" .) "yes") }}
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

{{- /* Members of a group among themselves: NCCL and message queues choose their ports at random. args: dict root, name, own (labels of one group) */ -}}
{{- define "llm-serving.groupPolicy" -}}
{{- $members := merge (include "llm-serving.selectorLabels" .root | fromYaml) .own }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "llm-serving.policyMetadata" (dict "root" .root "name" .name) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- toYaml $members | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels:
              {{- toYaml $members | nindent 14 }}
  egress:
    - to:
        - podSelector:
            matchLabels:
              {{- toYaml $members | nindent 14 }}
{{- end -}}

{{- /* One policy for each group. args: the root context */ -}}
{{- define "llm-serving.groupPolicies" -}}
{{- range $index := until (int .Values.replicas) }}
---
{{- include "llm-serving.groupPolicy" (dict "root" $ "name" (printf "group-%d" $index) "own" (dict "llm-serving/group" ($index | toString))) }}
{{- end }}
{{- end -}}
