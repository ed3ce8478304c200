{{- /* Pods: those of the engine, for every kind of workload, and what those of Jobs share with them. */ -}}

{{- /*
Metadata and spec of the engine's pod template.
args: dict root, labels (beside the selector's), annotations (over the user's), affinity (that the workload demands, to
which the user's terms are added)
*/ -}}
{{- define "llm-serving.podTemplate" -}}
{{- $v := .root.Values -}}
{{- $f := .root.Facts -}}
{{- $rotation := ternary (dict "llm-serving/rotation" $v.auth.rotation) dict (ne $v.auth.rotation "") -}}
metadata:
  labels:
    {{- mergeOverwrite (dict) $v.commonLabels $v.podLabels .labels $f.selectorLabels | toYaml | nindent 4 }}
  {{- with mergeOverwrite (dict) $v.podAnnotations $f.scripts $rotation (.annotations | default dict) }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "llm-serving.podCommon" (dict "root" .root "hook" false "tolerations" list) | nindent 2 }}
  {{- if $v.hostIPC }}
  hostIPC: true
  {{- end }}
  terminationGracePeriodSeconds: {{ $f.graceSeconds }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $v.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
  {{- include "llm-serving.placement" .root | nindent 2 }}
  {{- with include "llm-serving.affinity" (dict "own" (.affinity | default dict) "user" $v.affinity) | fromJson }}
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
first user's zone or node binds to theirs.
args: dict root, hook (the release's service account is not there yet), tolerations (besides the engine's)
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
{{- with .root.Facts.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "llm-serving.reach" .root }}
{{- with merge (dict) $v.nodeSelector $v.gpu.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $v.gpu.tolerations $v.tolerations .tolerations | uniq }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Scheduler and name resolution, the same for every pod. args: the root context */ -}}
{{- define "llm-serving.reach" -}}
{{- $v := .Values -}}
{{- range $field, $value := dict "schedulerName" $v.schedulerName "dnsPolicy" $v.dnsPolicy -}}
{{- with $value }}
{{ $field }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- range $field, $value := dict "dnsConfig" $v.dnsConfig "hostAliases" $v.hostAliases -}}
{{- with $value }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The user's affinity, and the terms by which the chart keeps members of a group apart, as JSON. args: dict own, user */ -}}
{{- define "llm-serving.affinity" -}}
{{- $field := "requiredDuringSchedulingIgnoredDuringExecution" -}}
{{- $all := mergeOverwrite (dict) (deepCopy .own) (deepCopy .user) -}}
{{- $own := dig "podAntiAffinity" $field list .own -}}
{{- if $own }}{{ $_ := set $all.podAntiAffinity $field (concat $own (dig "podAntiAffinity" $field list .user | default list)) }}{{ end -}}
{{- $all | toJson -}}
{{- end -}}

{{- /* Metadata of the pods of a Job. args: dict labels (by which they are found), section (of the values: labels, annotations), root */ -}}
{{- define "llm-serving.helperMetadata" -}}
labels:
  {{- mergeOverwrite (dict) .root.Values.commonLabels .section.labels .labels | toYaml | nindent 2 }}
{{- with .section.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Resources of a helper container, the user's over the chart's own. args: dict own (map), user (map) */ -}}
{{- define "llm-serving.helperResources" -}}
{{- mergeOverwrite (dict) .own .user | toYaml -}}
{{- end -}}

{{- /* Pod-level security: restricted everywhere; ids only where the platform does not choose them. args: the root context */ -}}
{{- define "llm-serving.podSecurityContext" -}}
{{- $s := .Values.security -}}
{{- $own := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $ids := dict "runAsUser" (int64 $s.runAsUser) "runAsGroup" (int64 $s.runAsGroup) "fsGroup" (int64 $s.fsGroup) -}}
{{- mergeOverwrite $own (ternary $ids dict (eq .Values.platform "kubernetes")) $s.podContext | toYaml -}}
{{- end -}}

{{- /*
The engine's own: only an image that nobody but root can read (stock TGI) runs as root. Device plugins leave the devices'
owners as they are, hence further groups. args: the root context
*/ -}}
{{- define "llm-serving.enginePodSecurityContext" -}}
{{- $root := dict "runAsNonRoot" false "seccompProfile" (dict "type" "RuntimeDefault") "runAsUser" 0 "runAsGroup" 0 -}}
{{- $own := include "llm-serving.podSecurityContext" . | fromYaml -}}
{{- if .Values.security.allowRoot }}{{ $own = mergeOverwrite $root .Values.security.podContext }}{{ end -}}
{{- $groups := concat .Values.gpu.supplementalGroups (dig "supplementalGroups" list .Values.security.podContext) | uniq -}}
{{- mergeOverwrite $own (ternary (dict "supplementalGroups" $groups) dict (ne (len $groups) 0)) | toYaml -}}
{{- end -}}

{{- /* What the pod says of its place besides nodes and affinity. args: the root context */ -}}
{{- define "llm-serving.placement" -}}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{- merge (dict) . (dict "labelSelector" (dict "matchLabels" $.Facts.selectorLabels)) | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- $gpus := list (dict "name" "gpus" "resourceClaimTemplateName" .Facts.claimTemplate) -}}
{{- with concat (ternary $gpus list (ne .Values.gpu.dra.deviceClassName "")) .Values.extraResourceClaims }}
resourceClaims:
  {{- toYaml . | nindent 2 }}
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

{{- /* Metadata of a workload. args: dict root, kind, name, labels */ -}}
{{- define "llm-serving.workloadMetadata" -}}
{{- $v := .root.Values -}}
{{- $labels := mergeOverwrite (dict) (.labels | default dict) -}}
{{- with $v.kueue.queue }}{{ $_ := set $labels "kueue.x-k8s.io/queue-name" . }}{{ end -}}
{{- with $v.kueue.priorityClass }}{{ $_ := set $labels "kueue.x-k8s.io/priority-class" . }}{{ end -}}
{{- $plan := ternary (dict "llm-serving/plan" $v.plan.summary) dict (not (empty $v.plan.summary)) -}}
{{- include "llm-serving.metadata" (dict "root" .root "kind" .kind "name" .name "component" "engine" "labels" $labels "own" $plan) -}}
{{- end -}}
