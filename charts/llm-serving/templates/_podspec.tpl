{{- /* The pod of one engine, for every kind of workload. args: the root context */ -}}
{{- define "llm-serving.podSpec" -}}
serviceAccountName: {{ include "llm-serving.serviceAccountName" . | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add .Values.drain.preStopSeconds .Values.drain.shutdownTimeoutSeconds 10 }}
securityContext:
  {{- include "llm-serving.podSecurityContext" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with merge (dict) .Values.nodeSelector .Values.gpu.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .Values.gpu.tolerations .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - {{- include "llm-serving.container" . | nindent 4 }}
volumes:
  - {{- include "llm-serving.modelVolume" . | nindent 4 }}
  - name: home
    emptyDir: {}
  - name: tmp
    emptyDir: {}
  - name: shm
    emptyDir:
      medium: Memory
      sizeLimit: {{ .Values.memory.sharedMemory | quote }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
