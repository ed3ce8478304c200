{{- /* Pods: those of the engine, for every kind of workload, and what those of Jobs share with them. */ -}}

{{- /*
Metadata and spec of the engine's pod template.
args: dict root, labels (beside the selector's), annotations (over the user's), affinity (that the workload demands; the
user's own comes over it)
*/ -}}
{{- define "llm-serving.podTemplate" -}}
{{- $v := .root.Values -}}
{{- $f := .root.Facts -}}
{{- $rotation := ternary (dict "llm-serving/rotation" $v.auth.rotation) dict (ne $v.auth.rotation "") -}}
metadata:
  labels:
    {{- merge (dict) $f.selectorLabels .labels $v.podLabels | toYaml | nindent 4 }}
  {{- with merge (dict) (.annotations | default dict) $rotation $v.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "llm-serving.podCommon" (dict "root" .root "hook" false) | nindent 2 }}
  terminationGracePeriodSeconds: {{ $f.graceSeconds }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $v.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
  {{- include "llm-serving.placement" .root | nindent 2 }}
  {{- with mergeOverwrite (dict) (.affinity | default dict) $v.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "llm-serving.initContainers" .root | trim }}
  initContainers:
    {{- . | nindent 4 }}
  {{- end }}
  containers:
    - {{- include "llm-serving.container" .root | nindent 6 }}
  volumes:
    {{- include "llm-serving.volumes" .root | trim | nindent 4 }}
    {{- with $v.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- /*
What pods of the engine and of Jobs have in common. Jobs run on the engine's nodes, so that a volume that binds to its
first user's zone or node binds to theirs. args: dict root, hook (the release's service account is not there yet)
*/ -}}
{{- define "llm-serving.podCommon" -}}
{{- $v := .root.Values -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- if not (and .hook $v.serviceAccount.create) }}
serviceAccountName: {{ .root.Facts.account | quote }}
{{- end }}
securityContext:
  {{- include "llm-serving.enginePodSecurityContext" .root | nindent 2 }}
{{- with $v.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with merge (dict) $v.nodeSelector $v.gpu.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $v.gpu.tolerations $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Pod-level security: restricted everywhere; ids only where the platform does not choose them. args: the root context */ -}}
{{- define "llm-serving.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- if eq .Values.platform "kubernetes" }}
runAsUser: {{ .Values.security.runAsUser | int64 }}
runAsGroup: {{ .Values.security.runAsGroup | int64 }}
fsGroup: {{ .Values.security.fsGroup | int64 }}
{{- end }}
{{- end -}}

{{- /*
The engine's own: only an image that nobody but root can read (stock TGI) runs as root. Device plugins leave the devices'
owners as they are, hence further groups. args: the root context
*/ -}}
{{- define "llm-serving.enginePodSecurityContext" -}}
{{- if .Values.security.allowRoot -}}
runAsNonRoot: false
seccompProfile:
  type: RuntimeDefault
runAsUser: 0
runAsGroup: 0
{{- else -}}
{{- include "llm-serving.podSecurityContext" . -}}
{{- end -}}
{{- with .Values.gpu.supplementalGroups }}
supplementalGroups:
  {{- range . }}
  - {{ . | int64 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* What the pod says of its place besides nodes and affinity. args: the root context */ -}}
{{- define "llm-serving.placement" -}}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{- merge (dict) . (dict "labelSelector" (dict "matchLabels" $.Facts.selectorLabels)) | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- if .Values.gpu.dra.deviceClassName }}
resourceClaims:
  - name: gpus
    resourceClaimTemplateName: {{ .Facts.claimTemplate | quote }}
{{- end }}
{{- end -}}

{{- /*
Every init container of a pod, in order. Native sidecars are init containers that go on. Containers of users get the
restrictions of Pod Security where they say nothing of their own. args: the root context
*/ -}}
{{- define "llm-serving.initContainers" -}}
{{- $security := include "llm-serving.containerSecurityContext" (dict "readOnly" true) | fromYaml -}}
{{- $users := list -}}
{{- range .Values.sidecars }}{{ $users = append $users (merge (dict "restartPolicy" "Always") .) }}{{ end -}}
{{- range concat $users .Values.initContainers }}
- {{- merge (deepCopy .) (dict "securityContext" $security) | toYaml | nindent 2 }}
{{- end }}
{{- range .Facts.podDownloads }}
- {{- include "llm-serving.download.container" (dict "root" $ "download" .) | nindent 2 }}
{{- end }}
{{- if and (eq .Facts.engine "tgis") (not .Facts.modelPath) }}
- {{- include "llm-serving.tgis.download" . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Metadata of a workload. args: dict root, name, labels */ -}}
{{- define "llm-serving.workloadMetadata" -}}
{{- $v := .root.Values -}}
{{- $labels := merge (dict) (.labels | default dict) -}}
{{- with $v.kueue.queue }}{{ $_ := set $labels "kueue.x-k8s.io/queue-name" . }}{{ end -}}
{{- with $v.kueue.priorityClass }}{{ $_ := set $labels "kueue.x-k8s.io/priority-class" . }}{{ end -}}
{{- $plan := ternary (dict "llm-serving/plan" $v.plan.summary) dict (not (empty $v.plan.summary)) -}}
{{- include "llm-serving.metadata" (dict "root" .root "name" .name "component" "engine" "labels" $labels "annotations" $plan) -}}
{{- end -}}
