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

{{- /* The engine's own: only an image that nobody but root can read (stock TGI) runs as root. args: root */ -}}
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
{{- include "llm-serving.accelerator.groups" . -}}
{{- end -}}

{{- /* args: dict root, readOnly (false for GPU containers: the CDI hook writes /etc/ld.so.cache), rdma */ -}}
{{- define "llm-serving.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ .readOnly }}
capabilities:
  drop: [ALL]
  {{- if .rdma }}
  add: [IPC_LOCK]
  {{- end }}
{{- end -}}

{{- /* Several pods: the supervisor knows both the engine's health and the member's own. args: dict root, periodSeconds, failureThreshold, timeoutSeconds */ -}}
{{- define "llm-serving.probe" -}}
httpGet:
  path: /health
  port: {{ ternary "group" "http" (gt (int .root.Values.parallelism.nodes) 1) }}
  {{- if and (le (int .root.Values.parallelism.nodes) 1) (eq (include "llm-serving.scheme" .root) "https") }}
  scheme: HTTPS
  {{- end }}
periodSeconds: {{ .periodSeconds }}
timeoutSeconds: {{ .timeoutSeconds }}
failureThreshold: {{ .failureThreshold }}
{{- end -}}

{{- /* Seconds until the container must serve; members of a group wait for each other first. args: the root context */ -}}
{{- define "llm-serving.startupSeconds" -}}
{{- if gt (int .Values.parallelism.nodes) 1 -}}
{{- add .Values.startup.budgetSeconds (include "llm-serving.groupWaitSeconds" .) -}}
{{- else -}}
{{- .Values.startup.budgetSeconds | int64 -}}
{{- end -}}
{{- end -}}

{{- /* Seconds from the install until it must serve. args: the root context */ -}}
{{- define "llm-serving.deadlineSeconds" -}}
{{- add (include "llm-serving.startupSeconds" .) .Values.startup.imagePullSeconds (include "llm-serving.downloadSeconds" .) -}}
{{- end -}}

{{- /* args: the root context */ -}}
{{- define "llm-serving.container" -}}
name: engine
image: {{ include "llm-serving.engineImage" . | quote }}
imagePullPolicy: {{ .Values.engine.image.pullPolicy }}
command: {{ include "llm-serving.command" . }}
{{- with include "llm-serving.args" . | fromYamlArray }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
env:
  {{- include "llm-serving.env" (dict "root" . "downloading" false) | trim | nindent 2 }}
ports:
  {{- include (printf "llm-serving.%s.ports" .Values.engine.type) . | nindent 2 }}
  {{- if gt (int .Values.parallelism.nodes) 1 }}
  - {name: group, containerPort: 29401, protocol: TCP}
  {{- end }}
  {{- if include "llm-serving.dataOverPods" . }}
  - {name: data-parallel, containerPort: {{ include "llm-serving.dataPort" . }}, protocol: TCP}
  {{- end }}
startupProbe:
  {{- include "llm-serving.probe" (dict "root" . "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" (ceil (divf (include "llm-serving.startupSeconds" .) 10))) | nindent 2 }}
readinessProbe:
  {{- include "llm-serving.probe" (dict "root" . "periodSeconds" 5 "timeoutSeconds" 5 "failureThreshold" 3) | nindent 2 }}
livenessProbe:
  {{- include "llm-serving.probe" (dict "root" . "periodSeconds" 10 "timeoutSeconds" 5 "failureThreshold" 6) | nindent 2 }}
lifecycle:
  {{- include "llm-serving.lifecycle" . | nindent 2 }}
resources:
  {{- include "llm-serving.resources" . | nindent 2 }}
securityContext:
  {{- include "llm-serving.containerSecurityContext" (dict "root" . "readOnly" false "rdma" .Values.network.rdma.enabled) | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /llm/models}
  - {name: home, mountPath: /llm/home}
  - {name: tmp, mountPath: /tmp}
  - {name: shm, mountPath: /dev/shm}
  {{- if gt (int .Values.parallelism.nodes) 1 }}
  - {name: group, mountPath: /llm/group}
  {{- end }}
  {{- with include "llm-serving.operations.mounts" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
