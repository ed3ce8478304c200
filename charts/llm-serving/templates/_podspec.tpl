{{- /*
The pod of one engine, or of one member of it, for every kind of workload.
args: dict root, affinity (YAML that the workload demands; the user's own comes over it)
*/ -}}
{{- define "llm-serving.podSpec" -}}
{{- $v := .root.Values -}}
serviceAccountName: {{ include "llm-serving.serviceAccountName" .root | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "llm-serving.graceSeconds" .root }}
securityContext:
  {{- include "llm-serving.enginePodSecurityContext" .root | nindent 2 }}
{{- with $v.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $v.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with merge (dict) $v.nodeSelector $v.gpu.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $v.gpu.tolerations $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "llm-serving.placement" .root }}
{{- with mergeOverwrite (.affinity | default "{}" | fromYaml) $v.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "llm-serving.adapt.init" .root }}
containers:
  - {{- include "llm-serving.container" .root | nindent 4 }}
volumes:
  {{- include "llm-serving.modelVolume" .root | nindent 2 }}
  {{- include "llm-serving.scratchVolumes" .root | nindent 2 }}
  - name: shm
    emptyDir:
      medium: Memory
      sizeLimit: {{ $v.memory.sharedMemory | quote }}
  {{- if gt (int $v.parallelism.nodes) 1 }}
  - name: group
    configMap:
      name: {{ include "llm-serving.groupServiceName" .root | quote }}
  {{- end }}
  {{- with include "llm-serving.operations.volumes" .root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $v.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /* Metadata and spec of a pod template. args: dict root, affinity, labels (beside the selector's), annotations */ -}}
{{- define "llm-serving.podTemplate" -}}
metadata:
  labels:
    {{- merge (include "llm-serving.selectorLabels" .root | fromYaml) .labels .root.Values.podLabels | toYaml | nindent 4 }}
  {{- with include "llm-serving.podAnnotations" .root }}
  annotations:
    {{- . | nindent 4 }}
  {{- end }}
spec:
  {{- include "llm-serving.podSpec" . | nindent 2 }}
{{- end -}}

{{- /* Claims that a controller makes, one for each pod. args: the root context */ -}}
{{- define "llm-serving.claimTemplates" -}}
- metadata:
    name: models
  spec:
    accessModes: [{{ .Values.storage.accessMode }}]
    {{- with .Values.storage.storageClass }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources:
      requests:
        storage: {{ .Values.storage.size | quote }}
{{- end -}}

{{- /* Metadata of a workload. args: dict root, name, labels */ -}}
{{- define "llm-serving.workloadMetadata" -}}
name: {{ .name | quote }}
namespace: {{ include "llm-serving.namespace" .root | quote }}
labels:
  {{- merge (include "llm-serving.labels" (dict "root" .root "component" "engine") | fromYaml) (include "llm-serving.kueueLabels" .root | fromYaml) (.labels | default dict) | toYaml | nindent 2 }}
{{- with .root.Values.plan.summary }}
annotations:
  llm-serving/plan: {{ . | quote }}
{{- end }}
{{- end -}}
