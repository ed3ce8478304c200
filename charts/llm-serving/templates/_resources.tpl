{{- /* What a pod asks of its node. */ -}}

{{- /* Devices are both requested and limited. args: the root context */ -}}
{{- define "llm-serving.devices" -}}
{{- with ternary "" .Values.gpu.resourceName (ne .Values.gpu.dra.deviceClassName "") }}
{{ . }}: {{ $.Values.parallelism.gpusPerNode | int64 }}
{{- end }}
{{- with .Values.gpu.hugepages }}
hugepages-2Mi: {{ . | quote }}
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
  {{- with .Values.storage.ephemeral.request | default (ternary .Values.storage.size "" (eq .Values.storage.type "emptyDir")) }}
  ephemeral-storage: {{ . | quote }}
  {{- end }}
  {{- include "llm-serving.devices" . | nindent 2 }}
limits:
  {{- with .Values.cpu.limit }}
  cpu: {{ . | quote }}
  {{- end }}
  memory: {{ .Values.memory.host.limit | quote }}
  {{- with .Values.storage.ephemeral.limit }}
  ephemeral-storage: {{ . | quote }}
  {{- end }}
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

{{- /* Home and temporary files. args: the root context */ -}}
{{- define "llm-serving.scratchVolumes" -}}
{{- $limit := .Values.storage.scratch -}}
{{- range list "home" "tmp" }}
- name: {{ . }}
  {{- if $limit }}
  emptyDir:
    sizeLimit: {{ $limit | quote }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* Volumes and mounts of features that are off by default. args of both: the root context */ -}}
{{- define "llm-serving.operations.volumes" -}}
{{- include "llm-serving.source.volume" . -}}
{{- include "llm-serving.tls.volume" . -}}
{{- include "llm-serving.use.volume" . -}}
{{- if include "llm-serving.download.inPods" . }}
{{- include "llm-serving.download.volume" . }}
{{- end }}
{{- end -}}

{{- define "llm-serving.operations.mounts" -}}
{{- include "llm-serving.source.mount" . -}}
{{- include "llm-serving.tls.mount" . -}}
{{- include "llm-serving.use.mount" . -}}
{{- end -}}
