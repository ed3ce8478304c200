{{- /* Who decides how many engines there are, and where they go. args of all: the root context */ -}}

{{- /* "yes" where an autoscaler owns the number of replicas. */ -}}
{{- define "llm-serving.autoscaled" -}}
{{- if or .Values.scaling.hpa.enabled .Values.scaling.keda.enabled }}yes{{ end -}}
{{- end -}}

{{- /* The workload that an autoscaler acts on, through its scale subresource. */ -}}
{{- define "llm-serving.scaleTarget" -}}
{{- if eq .Values.parallelism.controller "leaderworkerset" -}}
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
name: {{ printf "%s-group" (include "llm-serving.groupName" .) | quote }}
{{- else -}}
apiVersion: apps/v1
kind: Deployment
name: {{ include "llm-serving.fullname" . | quote }}
{{- end -}}
{{- end -}}

{{- /* Seconds without load before an engine goes: a start must pay off. */ -}}
{{- define "llm-serving.cooldownSeconds" -}}
{{- .Values.scaling.keda.cooldownSeconds | default (include "llm-serving.deadlineSeconds" .) | int64 -}}
{{- end -}}

{{- /* One engine more per start, because the queue stays long while it loads; the limits are those of autoscaling/v2. */ -}}
{{- define "llm-serving.scaleBehavior" -}}
scaleUp:
  policies:
    - type: Pods
      value: 1
      periodSeconds: {{ min 1800 (include "llm-serving.deadlineSeconds" .) }}
scaleDown:
  stabilizationWindowSeconds: {{ min 3600 (include "llm-serving.cooldownSeconds" .) }}
{{- end -}}

{{- /* One metric of a HorizontalPodAutoscaler. args: dict root, role, target */ -}}
{{- define "llm-serving.hpaMetric" -}}
{{- $name := include "llm-serving.metric" . | replace ":" "_" -}}
{{- if eq .root.Values.scaling.hpa.metrics "pods" -}}
- type: Pods
  pods:
    metric:
      name: {{ $name | quote }}
    target:
      type: AverageValue
      averageValue: {{ .target | toJson | quote }}
{{- else -}}
- type: External
  external:
    metric:
      name: {{ $name | quote }}
      selector:
        matchLabels:
          {{- include "llm-serving.seriesLabels" .root | nindent 10 }}
    target:
      type: AverageValue
      averageValue: {{ .target | toJson | quote }}
{{- end -}}
{{- end -}}

{{- /* One Prometheus trigger of KEDA. args: dict root, name, query, threshold, type (of the metric), activation */ -}}
{{- define "llm-serving.kedaTrigger" -}}
- type: prometheus
  name: {{ .name }}
  metricType: {{ .type }}
  metadata:
    serverAddress: {{ .root.Values.scaling.keda.serverAddress | quote }}
    query: {{ .query | quote }}
    threshold: {{ .threshold | toJson | quote }}
    {{- if .activation }}
    activationThreshold: "0"
    {{- end }}
  {{- with .root.Values.scaling.keda.authentication }}
  authenticationRef:
    name: {{ . | quote }}
  {{- end }}
{{- end -}}

{{- define "llm-serving.kueueLabels" -}}
{{- with .Values.kueue.queue }}
kueue.x-k8s.io/queue-name: {{ . | quote }}
{{- end }}
{{- with .Values.kueue.priorityClass }}
kueue.x-k8s.io/priority-class: {{ . | quote }}
{{- end }}
{{- end -}}

{{- /* What the pod says of its place besides nodes and affinity. */ -}}
{{- define "llm-serving.placement" -}}
{{- $selector := dict "matchLabels" (include "llm-serving.selectorLabels" . | fromYaml) -}}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{- merge (dict) . (dict "labelSelector" $selector) | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- if .Values.gpu.dra.deviceClassName }}
resourceClaims:
  - name: gpus
    resourceClaimTemplateName: {{ include "llm-serving.claimTemplateName" . | quote }}
{{- end }}
{{- end -}}

{{- define "llm-serving.claimTemplateName" -}}
{{- printf "%s-gpus" (include "llm-serving.fullname" .) -}}
{{- end -}}

{{- define "llm-serving.deviceSelectors" -}}
{{- range .Values.gpu.dra.selectors }}
- cel:
    expression: {{ . | quote }}
{{- end }}
{{- end -}}
