{{- /* Who decides how many engines there are. args of all, unless told otherwise: the root context */ -}}

{{- /* The workload that an autoscaler acts on, through its scale subresource. */ -}}
{{- define "llm-serving.scaleTarget" -}}
{{- if eq .Facts.controller "leaderworkerset" -}}
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
name: {{ .Facts.leaderWorkerSet | quote }}
{{- else -}}
apiVersion: apps/v1
kind: Deployment
name: {{ .Facts.fullname | quote }}
{{- end -}}
{{- end -}}

{{- /*
A start must pay off: one engine more per start, because the queue stays long while it loads. The limits are those of
autoscaling/v2.
*/ -}}
{{- define "llm-serving.scaleBehavior" -}}
{{- $up := dict "policies" (list (dict "type" "Pods" "value" 1 "periodSeconds" (min 1800 .Facts.deadlineSeconds))) -}}
{{- $down := dict "stabilizationWindowSeconds" (min 3600 .Facts.cooldownSeconds) -}}
{{- mergeOverwrite (dict "scaleUp" $up "scaleDown" $down) .Values.scaling.behavior | toYaml -}}
{{- end -}}

{{- /* One metric of a HorizontalPodAutoscaler. args: dict root, role, target */ -}}
{{- define "llm-serving.hpaMetric" -}}
{{- $name := index .root.Facts.metrics .role | replace ":" "_" -}}
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
          {{- toYaml .root.Facts.seriesLabels | nindent 10 }}
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
    {{- $k := .root.Values.scaling.keda }}
    {{- if $k.unsafeSsl }}
    unsafeSsl: "true"
    {{- end }}
    {{- if $k.authentication }}
    {{- /* without them KEDA takes neither token nor authority from the object (pkg/scalers/prometheus_scaler.go of 2.21.0) */}}
    authModes: {{ join "," $k.authModes | quote }}
  authenticationRef:
    name: {{ $k.authentication | quote }}
    {{- with ternary "" $k.authenticationKind (eq $k.authenticationKind "TriggerAuthentication") }}
    kind: {{ . }}
    {{- end }}
    {{- end }}
{{- end -}}
