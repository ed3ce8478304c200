{{- /* How a new pod takes over from the old one when GPUs are scarce. args: the root context */ -}}
{{- define "llm-serving.strategy" -}}
{{- if eq .Values.rollout.mode "recreate" -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: {{ ternary 1 0 (eq .Values.rollout.mode "surge") }}
  maxUnavailable: {{ ternary 0 1 (eq .Values.rollout.mode "surge") }}
{{- end -}}
{{- end -}}
