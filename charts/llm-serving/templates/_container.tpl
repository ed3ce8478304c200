{{- /* The engine's container: its command line, probes and resources. args of all, unless told otherwise: the root context */ -}}

{{- define "llm-serving.container" -}}
{{- $v := .Values -}}
{{- $f := .Facts -}}
{{- $command := $v.engine.command | default $f.command -}}
{{- if $f.severalPods }}{{ $command = concat (include "llm-serving.groupCommand" . | fromJsonArray) $command }}{{ end -}}
{{- $args := concat (include (printf "llm-serving.%s.args" $f.engine) . | fromJsonArray) $v.engine.extraArgs -}}
name: engine
image: {{ $f.image | quote }}
imagePullPolicy: {{ $v.engine.image.pullPolicy }}
command: {{ $command | toJson }}
{{- with $args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
{{- with $v.engine.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- if $f.severalPods }}
  {{- include "llm-serving.groupEnv" . | trim | nindent 2 }}
  {{- end }}
  {{- include "llm-serving.env" (dict "root" . "downloading" false) | trim | nindent 2 }}
ports:
  {{- include "llm-serving.containerPorts" . | nindent 2 }}
startupProbe:
  {{- include "llm-serving.probe" . | nindent 2 }}
  timeoutSeconds: {{ $v.probes.startup.timeoutSeconds | int64 }}
  periodSeconds: {{ $v.probes.startup.periodSeconds | int64 }}
  failureThreshold: {{ ceil (divf $f.startupSeconds $v.probes.startup.periodSeconds) }}
readinessProbe:
  {{- include "llm-serving.probe" . | nindent 2 }}
  timeoutSeconds: {{ $v.probes.readiness.timeoutSeconds | int64 }}
  periodSeconds: {{ $v.probes.readiness.periodSeconds | int64 }}
  failureThreshold: {{ $v.probes.readiness.failureThreshold | int64 }}
livenessProbe:
  {{- include "llm-serving.liveness" . | nindent 2 }}
  {{- /* The look at the figures may send a completion, and waits for it. */}}
  timeoutSeconds: {{ max (ternary 15 1 $f.judgesStall) (int64 $v.probes.liveness.timeoutSeconds) }}
  periodSeconds: {{ $v.probes.liveness.periodSeconds | int64 }}
  failureThreshold: {{ $v.probes.liveness.failureThreshold | int64 }}
lifecycle:
  {{- include "llm-serving.lifecycle" . | nindent 2 }}
resources:
  {{- include "llm-serving.resources" . | nindent 2 }}
securityContext:
  {{- $security := include "llm-serving.containerSecurityContext" (dict "readOnly" false "rdma" $v.network.rdma.enabled) | fromYaml }}
  {{- mergeOverwrite $security $v.security.containerContext | toYaml | nindent 2 }}
volumeMounts:
  {{- include "llm-serving.mounts" . | trim | nindent 2 }}
  {{- with $v.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /*
A value on a command line: a string as it is, everything else as JSON, since quote and printf would write 1048576 as
1e+06. args: the value
*/ -}}
{{- define "llm-serving.scalar" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ . | toJson }}{{ end -}}
{{- end -}}

{{- define "llm-serving.containerPorts" -}}
{{- range .Facts.ports }}
- {{ toJson . }}
{{- end }}
{{- if .Facts.severalPods }}
- {name: group, containerPort: 29401, protocol: TCP}
{{- end }}
{{- if .Facts.dataOverPods }}
- {name: data-parallel, containerPort: {{ include "llm-serving.dataPort" . }}, protocol: TCP}
{{- end }}
{{- range .Values.engine.extraPorts }}
- {{ mergeOverwrite (dict "protocol" "TCP") . | toJson }}
{{- end }}
{{- end -}}

{{- /* Of several pods each has a supervisor, which knows both the engine's health and the member's own, without TLS. */ -}}
{{- define "llm-serving.probe" -}}
httpGet:
  path: /health
  port: {{ .Facts.healthPort }}
  {{- if and .Facts.https (not .Facts.severalPods) }}
  scheme: HTTPS
  {{- end }}
{{- end -}}

{{- define "llm-serving.lifecycle" -}}
preStop:
{{- with .Values.lifecycle.preStop }}
  {{- toYaml . | nindent 2 }}
{{- else }}
  exec:
    command: ["sleep", {{ .Values.drain.preStopSeconds | toJson | quote }}]
{{- end }}
{{- with .Values.lifecycle.postStart }}
postStart:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "llm-serving.resources" -}}
{{- $v := .Values -}}
{{- $devices := include "llm-serving.devices" . -}}
requests:
  cpu: {{ $v.cpu.request | quote }}
  memory: {{ $v.memory.host.request | quote }}
  {{- with $v.storage.ephemeral.request | default (ternary $v.storage.size "" (eq $v.storage.type "emptyDir")) }}
  ephemeral-storage: {{ . | quote }}
  {{- end }}
  {{- $devices | nindent 2 }}
limits:
  {{- with $v.cpu.limit }}
  cpu: {{ . | quote }}
  {{- end }}
  memory: {{ $v.memory.host.limit | quote }}
  {{- with $v.storage.ephemeral.limit }}
  ephemeral-storage: {{ . | quote }}
  {{- end }}
  {{- $devices | nindent 2 }}
{{- if or $v.gpu.dra.deviceClassName $v.extraResourceClaims }}
claims:
  {{- if $v.gpu.dra.deviceClassName }}
  - name: gpus
  {{- end }}
  {{- range $v.extraResourceClaims }}
  - name: {{ .name }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* Devices are both requested and limited. A quantity is text to the API, and an operator that stores it would differ from a number. */ -}}
{{- define "llm-serving.devices" -}}
{{- $g := .Values.gpu -}}
{{- $r := .Values.network.rdma -}}
{{- with ternary "" $g.resourceName (ne $g.dra.deviceClassName "") }}
{{ . }}: {{ $.Values.parallelism.gpusPerNode | int64 | toString | quote }}
{{- end }}
{{- with $g.hugepages }}
hugepages-2Mi: {{ . | quote }}
{{- end }}
{{- if $r.enabled }}
{{ $r.resourceName }}: {{ $r.count | int64 | toString | quote }}
{{- with $r.hugepages }}
hugepages-2Mi: {{ . | quote }}
{{- end }}
{{- end }}
{{- range $name, $quantity := .Values.extraResources }}
{{ $name }}: {{ $quantity | quote }}
{{- end }}
{{- end -}}

{{- /* args: dict readOnly (false for GPU containers: the CDI hook writes /etc/ld.so.cache), rdma */ -}}
{{- define "llm-serving.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ .readOnly }}
capabilities:
  drop: [ALL]
  {{- if .rdma }}
  add: [IPC_LOCK]
  {{- end }}
{{- end -}}
