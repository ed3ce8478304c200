{{- /*
Several pods that serve one model together. files/group.py runs in each of them, whatever controller made them: it waits
for all members, starts the engine everywhere at once, and ends with the first member that is lost.
*/ -}}

{{- /* What a member must know of its group. args: the root context */ -}}
{{- define "llm-serving.groupEnv" -}}
{{- $v := .Values }}
- name: GROUP_SIZE
  value: {{ $v.parallelism.nodes | toJson | quote }}
{{- include (printf "llm-serving.%s.member" $v.parallelism.controller) . }}
- name: GROUP_GPUS
  value: {{ $v.parallelism.gpusPerNode | toJson | quote }}
- name: GROUP_WAIT_SECONDS
  value: {{ include "llm-serving.groupWaitSeconds" . | quote }}
- name: GROUP_GRACE_SECONDS
  value: {{ $v.drain.shutdownTimeoutSeconds | toJson | quote }}
{{- if eq (include "llm-serving.scheme" .) "https" }}
- name: GROUP_ENGINE_TLS
  value: "1"
{{- end }}
- name: VLLM_HOST_IP
  valueFrom:
    fieldRef: {fieldPath: status.podIP}
{{- end -}}

{{- /* Members start when their image is there: they wait for each other as long as a pull may take, at least a minute. */ -}}
{{- define "llm-serving.groupWaitSeconds" -}}
{{- add (max 60 (int .Values.startup.imagePullSeconds)) (include "llm-serving.downloadSeconds" .) -}}
{{- end -}}

{{- /* Rank and leader of a member, by controller. args: the root context */ -}}
{{- define "llm-serving.statefulset.member" }}
- name: GROUP_RANK
  valueFrom:
    fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}
- name: GROUP_INDEX
  valueFrom:
    fieldRef: {fieldPath: "metadata.labels['llm-serving/group']"}
- name: GROUP_LEADER
  value: {{ printf "%s-$(GROUP_INDEX)-0.%s.%s.svc" (include "llm-serving.groupName" .) (include "llm-serving.groupServiceName" .) (include "llm-serving.namespace" .) | quote }}
{{- end -}}

{{- /* The operator's own variables come first in the container, so they can be named here. */ -}}
{{- define "llm-serving.leaderworkerset.member" }}
- name: GROUP_RANK
  value: $(LWS_WORKER_INDEX)
- name: GROUP_LEADER
  value: $(LWS_LEADER_ADDRESS)
{{- end -}}

{{- /* Ray gives ranks itself: what counts is who leads. */ -}}
{{- define "llm-serving.raycluster.member" }}
- name: GROUP_RANK
  valueFrom:
    fieldRef: {fieldPath: "metadata.labels['llm-serving/rank']"}
- name: GROUP_INDEX
  valueFrom:
    fieldRef: {fieldPath: "metadata.labels['llm-serving/group']"}
- name: GROUP_LEADER
  value: {{ printf "%s-$(GROUP_INDEX)-leader.%s.svc" (include "llm-serving.groupName" .) (include "llm-serving.namespace" .) | quote }}
{{- end -}}

{{- /* Two members never share a node. args: dict root, own (label of one group), keys (labels whose value is the pod's own) */ -}}
{{- define "llm-serving.groupAffinity" -}}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- merge (include "llm-serving.selectorLabels" .root | fromYaml) .own | toYaml | nindent 10 }}
      {{- with .keys }}
      matchLabelKeys: {{ . | toJson }}
      {{- end }}
{{- end -}}

{{- /* Label that only leaders have. args: the root context */ -}}
{{- define "llm-serving.leaderLabels" -}}
{{- $p := .Values.parallelism -}}
{{- if eq $p.controller "statefulset" -}}
apps.kubernetes.io/pod-index: "0"
{{- else if eq $p.controller "leaderworkerset" -}}
leaderworkerset.sigs.k8s.io/worker-index: "0"
{{- else -}}
llm-serving/rank: "0"
{{- end -}}
{{- end -}}

{{- /* RDMA is one block: resource, huge pages, capability and these. args: the root context */ -}}
{{- define "llm-serving.rdmaEnv" -}}
{{- with .Values.network.rdma }}
{{- if and .enabled .hca }}
NCCL_IB_HCA: {{ .hca | quote }}
{{- end }}
{{- if and .enabled (ge (int .gidIndex) 0) }}
NCCL_IB_GID_INDEX: {{ .gidIndex | toJson | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Anti-affinity, unless members may share nodes. args: as for groupAffinity */ -}}
{{- define "llm-serving.spread" -}}
{{- $p := .root.Values.parallelism -}}
{{- if and (gt (int $p.nodes) 1) (not $p.shareNodes) -}}
{{- include "llm-serving.groupAffinity" . -}}
{{- end -}}
{{- end -}}

{{- /* The claims of storage.type perReplica. args: the root context */ -}}
{{- define "llm-serving.claimsOfPods" -}}
{{- if eq .Values.storage.type "perReplica" -}}
persistentVolumeClaimRetentionPolicy:
  whenDeleted: {{ ternary "Retain" "Delete" .Values.storage.keep }}
  whenScaled: {{ ternary "Retain" "Delete" .Values.storage.keep }}
volumeClaimTemplates:
  {{- include "llm-serving.claimTemplates" . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- /* KubeRay leaves the container's command alone where the template says so. args: as for podTemplate */ -}}
{{- define "llm-serving.rayTemplate" -}}
{{- $template := include "llm-serving.podTemplate" . | fromYaml -}}
{{- $annotations := dict "ray.io/overwrite-container-cmd" "true" -}}
{{- $_ := set $template.metadata "annotations" (merge $annotations ($template.metadata.annotations | default dict)) -}}
{{- $template | toYaml -}}
{{- end -}}

{{- /* Headless, for members that are not ready yet. args: dict root, name, labels (of the pods beside the selector's) */ -}}
{{- define "llm-serving.groupService" }}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name | quote }}
  namespace: {{ include "llm-serving.namespace" .root | quote }}
  labels:
    {{- include "llm-serving.labels" (dict "root" .root "component" "group") | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  ports:
    - {name: group, port: 29400, protocol: TCP}
    {{- if include "llm-serving.dataOverPods" .root }}
    - {name: data-parallel, port: {{ include "llm-serving.dataPort" .root }}, protocol: TCP}
    {{- end }}
  selector:
    {{- merge (include "llm-serving.selectorLabels" .root | fromYaml) .labels | toYaml | nindent 4 }}
{{- end -}}
