{{- /* Pod-level security: restricted everywhere; ids only where the platform does not choose them. args: root */ -}}
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

{{- /* args: dict readOnly (false for GPU containers: the CDI hook writes /etc/ld.so.cache) */ -}}
{{- define "llm-serving.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ .readOnly }}
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* args: dict periodSeconds, failureThreshold, timeoutSeconds */ -}}
{{- define "llm-serving.probe" -}}
httpGet:
  path: /health
  port: http
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
failureThreshold: {{ .failureThreshold }}
{{- end -}}

{{- /* args: the root context */ -}}
{{- define "llm-serving.resources" -}}
requests:
  cpu: {{ .Values.cpu.request | quote }}
  memory: {{ .Values.memory.host.request | quote }}
  {{- if eq .Values.storage.type "emptyDir" }}
  ephemeral-storage: {{ .Values.storage.size | quote }}
  {{- end }}
  {{ .Values.gpu.resourceName }}: {{ .Values.parallelism.gpusPerNode | int64 }}
limits:
  {{- with .Values.cpu.limit }}
  cpu: {{ . | quote }}
  {{- end }}
  memory: {{ .Values.memory.host.limit | quote }}
  {{ .Values.gpu.resourceName }}: {{ .Values.parallelism.gpusPerNode | int64 }}
{{- end -}}

{{- /* The volume that holds model and compile caches. args: the root context */ -}}
{{- define "llm-serving.modelVolume" -}}
name: models
{{- if eq .Values.storage.type "emptyDir" }}
emptyDir:
  sizeLimit: {{ .Values.storage.size | quote }}
{{- else if eq .Values.storage.type "hostPath" }}
hostPath:
  path: {{ .Values.storage.hostPath | quote }}
  type: DirectoryOrCreate
{{- else }}
persistentVolumeClaim:
  claimName: {{ ternary .Values.storage.existingClaim (include "llm-serving.claimName" .) (eq .Values.storage.type "existingClaim") | quote }}
{{- end }}
{{- end -}}

{{- /* args: the root context */ -}}
{{- define "llm-serving.container" -}}
name: engine
image: {{ include "llm-serving.engineImage" . | quote }}
imagePullPolicy: {{ .Values.engine.image.pullPolicy }}
command: {{ .Values.engine.command | default (list "vllm" "serve") | toJson }}
args:
  {{- include "llm-serving.args" . | nindent 2 }}
env:
  {{- include "llm-serving.env" . | trim | nindent 2 }}
ports:
  - name: http
    containerPort: 8000
    protocol: TCP
startupProbe:
  {{- include "llm-serving.probe" (dict "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" (ceil (divf .Values.startup.budgetSeconds 10))) | nindent 2 }}
readinessProbe:
  {{- include "llm-serving.probe" (dict "periodSeconds" 5 "timeoutSeconds" 5 "failureThreshold" 3) | nindent 2 }}
livenessProbe:
  {{- include "llm-serving.probe" (dict "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 6) | nindent 2 }}
lifecycle:
  preStop:
    exec:
      command: ["sleep", {{ .Values.drain.preStopSeconds | toJson | quote }}]
resources:
  {{- include "llm-serving.resources" . | nindent 2 }}
securityContext:
  {{- include "llm-serving.containerSecurityContext" (dict "readOnly" false) | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /llm/models}
  - {name: home, mountPath: /llm/home}
  - {name: tmp, mountPath: /tmp}
  - {name: shm, mountPath: /dev/shm}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
