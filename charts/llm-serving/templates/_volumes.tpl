{{- /* Volumes, their mounts and their claims. args of all, unless told otherwise: the root context */ -}}

{{- /* The volume that holds model and compile caches; perReplica is the controller's own. */ -}}
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
    claimName: {{ ternary $s.existingClaim .Facts.claim (eq $s.type "existingClaim") | quote }}
{{- end }}
{{- end -}}

{{- /* Those of the engine's pod, but for the user's own. */ -}}
{{- define "llm-serving.volumes" -}}
{{- $scratch := ternary (dict "sizeLimit" .Values.storage.scratch) dict (ne .Values.storage.scratch "") | toJson -}}
{{- include "llm-serving.modelVolume" . }}
- {name: home, emptyDir: {{ $scratch }}}
- {name: tmp, emptyDir: {{ $scratch }}}
- name: shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ .Values.memory.sharedMemory | quote }}
{{- if .Facts.severalPods }}
- name: group
  configMap:
    name: {{ .Facts.groupService | quote }}
{{- end }}
{{- if .Facts.judgesStall }}
- name: liveness
  configMap:
    name: {{ .Facts.livenessName | quote }}
{{- end }}
{{- include "llm-serving.source.volume" . -}}
{{- with .Values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . | quote }}
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
    defaultMode: 0440
{{- end }}
{{- if .Values.engine.chatTemplate.text }}
- name: template
  configMap:
    name: {{ include "llm-serving.templateName" . }}
{{- end }}
{{- if .Facts.podDownloads }}
{{- include "llm-serving.download.volume" . }}
{{- end }}
{{- end -}}

{{- /* Mounts of the engine's container, but for the user's own. */ -}}
{{- define "llm-serving.mounts" }}
- {name: models, mountPath: /llm/models}
- {name: home, mountPath: /llm/home}
- {name: tmp, mountPath: /tmp}
- {name: shm, mountPath: /dev/shm}
{{- if .Facts.severalPods }}
- {name: group, mountPath: /llm/group}
{{- end }}
{{- if .Facts.judgesStall }}
- {name: liveness, mountPath: /llm/liveness, readOnly: true}
{{- end }}
{{- include "llm-serving.source.mount" . -}}
{{- if .Facts.tls }}
- {name: tls, mountPath: /llm/tls, readOnly: true}
{{- end }}
{{- if .Values.engine.chatTemplate.text }}
- {name: template, mountPath: /llm/template, readOnly: true}
{{- end }}
{{- end -}}

{{- /* A changed chat template is another ConfigMap, and so starts the pods anew. */ -}}
{{- define "llm-serving.templateName" -}}
{{- printf "%s-template-%s" .Facts.fullname (sha256sum .Values.engine.chatTemplate.text | trunc 5) -}}
{{- end -}}

{{- /* Spec of a claim of storage.type pvc or perReplica. */ -}}
{{- define "llm-serving.claimSpec" -}}
accessModes: [{{ .Values.storage.accessMode }}]
{{- with .Values.storage.storageClass }}
storageClassName: {{ . | quote }}
{{- end }}
{{- with .Values.storage.selector }}
selector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.storage.volumeName }}
volumeName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ .Values.storage.size | quote }}
{{- end -}}

{{- /* The claims of storage.type perReplica, which the controller makes, one for each pod. */ -}}
{{- define "llm-serving.claimsOfPods" -}}
{{- if eq .Values.storage.type "perReplica" -}}
{{- $keep := ternary "Retain" "Delete" .Values.storage.keep -}}
persistentVolumeClaimRetentionPolicy:
  whenDeleted: {{ $keep }}
  whenScaled: {{ $keep }}
volumeClaimTemplates:
  - metadata:
      {{- mergeOverwrite (dict "name" "models") (include "llm-serving.claimMetadata" . | fromJson) | toYaml | nindent 6 }}
    spec:
      {{- include "llm-serving.claimSpec" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{- /* Labels and annotations of the claims of pods, where the user gives any, as JSON. */ -}}
{{- define "llm-serving.claimMetadata" -}}
{{- $found := dict -}}
{{- range $field, $value := pick .Values.storage "labels" "annotations" -}}
{{- if $value }}{{ $_ := set $found $field $value }}{{ end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}
