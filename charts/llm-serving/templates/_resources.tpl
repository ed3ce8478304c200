{{- /* What a pod asks of its node. */ -}}

{{- /* Devices are both requested and limited. args: the root context */ -}}
{{- define "llm-serving.devices" -}}
{{- with ternary "" .Values.gpu.resourceName (ne .Values.gpu.dra.deviceClassName "") }}
{{ . }}: {{ $.Values.parallelism.gpusPerNode | int64 }}
{{- end }}
{{- if .Values.network.rdma.enabled }}
{{ .Values.network.rdma.resourceName }}: {{ .Values.network.rdma.count | int64 }}
{{- with .Values.network.rdma.hugepages }}
hugepages-2Mi: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* args: the root context */ -}}
{{- define "llm-serving.resources" -}}
requests:
  cpu: {{ .Values.cpu.request | quote }}
  memory: {{ .Values.memory.host.request | quote }}
  {{- if eq .Values.storage.type "emptyDir" }}
  ephemeral-storage: {{ .Values.storage.size | quote }}
  {{- end }}
  {{- include "llm-serving.devices" . | nindent 2 }}
limits:
  {{- with .Values.cpu.limit }}
  cpu: {{ . | quote }}
  {{- end }}
  memory: {{ .Values.memory.host.limit | quote }}
  {{- include "llm-serving.devices" . | nindent 2 }}
{{- if .Values.gpu.dra.deviceClassName }}
claims:
  - name: gpus
{{- end }}
{{- end -}}

{{- /* The volume that holds model and compile caches; perReplica is the controller's own. args: the root context */ -}}
{{- define "llm-serving.modelVolume" -}}
{{- $s := .Values.storage -}}
{{- if eq $s.type "emptyDir" }}
- name: models
  emptyDir:
    sizeLimit: {{ $s.size | quote }}
{{- else if eq $s.type "hostPath" }}
- name: models
  hostPath:
    path: {{ $s.hostPath | quote }}
    type: DirectoryOrCreate
{{- else if ne $s.type "perReplica" }}
- name: models
  persistentVolumeClaim:
    claimName: {{ ternary $s.existingClaim (include "llm-serving.claimName" .) (eq $s.type "existingClaim") | quote }}
{{- end }}
{{- end -}}
