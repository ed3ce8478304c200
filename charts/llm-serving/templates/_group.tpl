{{- /*
Several pods that serve one model together. files/group.py runs in each of them, whatever controller made them: it waits
for all members, starts the engine everywhere at once, and ends with the first member that is lost.
args of all, unless told otherwise: the root context
*/ -}}

{{- /*
What stands before the engine's command, as a JSON list. A member without API refuses --api-server-count, so that is the
supervisor's business too.
*/ -}}
{{- define "llm-serving.groupCommand" -}}
{{- $p := .Values.parallelism -}}
{{- $words := list "python3" "/llm/group/group.py" "--executor" $p.executor -}}
{{- if .Facts.dataOverPods -}}
{{- $words = concat $words (list "--data" ($p.data | toJson) "--api-servers" ($p.apiServers | toJson)) -}}
{{- end -}}
{{- append $words "--" | toJson -}}
{{- end -}}

{{- /* Port over which engines of other pods report to the leader; everything else between members is random. */ -}}
{{- define "llm-serving.dataPort" -}}29550{{- end -}}

{{- /* What a member must know of its group. */ -}}
{{- define "llm-serving.groupEnv" -}}
{{- $v := .Values }}
- name: GROUP_SIZE
  value: {{ $v.parallelism.nodes | toJson | quote }}
{{- include (printf "llm-serving.%s.member" .Facts.controller) . }}
- name: GROUP_GPUS
  value: {{ $v.parallelism.gpusPerNode | toJson | quote }}
- name: GROUP_WAIT_SECONDS
  value: {{ .Facts.groupWaitSeconds | quote }}
- name: GROUP_GRACE_SECONDS
  value: {{ $v.drain.shutdownTimeoutSeconds | toJson | quote }}
{{- if .Facts.https }}
- name: GROUP_ENGINE_TLS
  value: "1"
{{- end }}
{{- include "llm-serving.secretEnv" (dict "name" "GROUP_SECRET" "secret" (dict "existingSecret" .Facts.groupSecret "key" $v.auth.group.key)) }}
- name: VLLM_HOST_IP
  valueFrom:
    fieldRef: {fieldPath: status.podIP}
{{- end -}}

{{- /* Rank and leader of a member, by controller. */ -}}
{{- define "llm-serving.statefulset.member" }}
- name: GROUP_RANK
  valueFrom:
    fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}
- name: GROUP_INDEX
  valueFrom:
    fieldRef: {fieldPath: "metadata.labels['llm-serving/group']"}
- name: GROUP_LEADER
  value: {{ printf "%s-$(GROUP_INDEX)-0.%s.%s.svc" .Facts.groupName .Facts.groupService .Facts.namespace | quote }}
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
  value: {{ printf "%s-$(GROUP_INDEX)-leader.%s.svc" .Facts.groupName .Facts.namespace | quote }}
{{- end -}}

{{- /*
Two members never share a node, unless they may: the affinity as YAML.
args: dict root, own (labels of one group), keys (labels whose value is the pod's own)
*/ -}}
{{- define "llm-serving.groupAffinity" -}}
{{- if and .root.Facts.severalPods (not .root.Values.parallelism.shareNodes) -}}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- merge (dict) .root.Facts.selectorLabels .own | toYaml | nindent 10 }}
      {{- with .keys }}
      matchLabelKeys: {{ . | toJson }}
      {{- end }}
{{- end -}}
{{- end -}}

{{- /* Headless, for members that are not ready yet. args: dict root, name, labels (of the pods beside the selector's) */ -}}
{{- define "llm-serving.groupServiceOf" }}
apiVersion: v1
kind: Service
metadata:
  {{- include "llm-serving.metadata" (dict "kind" "Service" "root" .root "name" .name "component" "group") | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  ports:
    - {name: group, port: 29400, protocol: TCP}
    {{- if .root.Facts.dataOverPods }}
    - {name: data-parallel, port: {{ include "llm-serving.dataPort" .root }}, protocol: TCP}
    {{- end }}
  selector:
    {{- merge (dict) .root.Facts.selectorLabels .labels | toYaml | nindent 4 }}
{{- end -}}
