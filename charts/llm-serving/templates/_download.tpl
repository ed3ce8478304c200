{{- /*
The model's download before the engine starts (files/download.py): an init container of each pod, a Job beside the
pods for which they wait, or a Helm hook before everything else.
*/ -}}

{{- define "llm-serving.downloadName" -}}
{{- printf "%s-download" (include "llm-serving.fullname" .) -}}
{{- end -}}

{{- /* "true" where pods wait for a download, or make it, before their engine. args: the root context */ -}}
{{- define "llm-serving.download.inPods" -}}
{{- if or (has .Values.model.download.mode (list "init" "job")) (include "llm-serving.use.action" .) }}true{{ end -}}
{{- end -}}

{{- define "llm-serving.vllm.python" -}}["python3"]{{- end -}}
{{- /* TGI's packages lie in an environment that its entry point would activate. */ -}}
{{- define "llm-serving.tgi.python" -}}["/usr/src/.venv/bin/python3"]{{- end -}}
{{- define "llm-serving.tgis.python" -}}["python3"]{{- end -}}

{{- /* args: dict root, action (fetch or wait); for another repository than the model's: name, id, revision, folder (a link to it) */ -}}
{{- define "llm-serving.download.container" -}}
{{- $d := .root.Values.model.download -}}
{{- $python := $d.command | default (include (printf "llm-serving.%s.python" .root.Values.engine.type) .root | fromJsonArray) -}}
name: {{ .name | default (printf "%s-model" .action) }}
image: {{ include "llm-serving.engineImage" .root | quote }}
imagePullPolicy: {{ .root.Values.engine.image.pullPolicy }}
command: {{ concat $python (list "/llm/download/download.py" .action) | toJson }}
terminationMessagePolicy: FallbackToLogsOnError
env:
  {{- include "llm-serving.env" (dict "root" .root "downloading" true) | trim | nindent 2 }}
  - name: DOWNLOAD_MODEL
    value: {{ .id | default .root.Values.model.id | quote }}
  - name: DOWNLOAD_REVISION
    value: {{ ternary .revision .root.Values.model.revision (hasKey . "id") | quote }}
  {{- with .folder }}
  - name: DOWNLOAD_LINK
    value: {{ . | quote }}
  {{- end }}
  - name: DOWNLOAD_VERIFY
    value: {{ ternary "1" "0" $d.verify | quote }}
  - name: DOWNLOAD_CACHE
    value: /llm/models/huggingface/hub
  - name: DOWNLOAD_SECONDS
    value: {{ .root.Values.startup.budgetSeconds | toJson | quote }}
resources:
  requests: {cpu: 250m, memory: 512Mi}
  limits: {memory: {{ .root.Values.memory.host.limit | quote }}}
securityContext:
  {{- include "llm-serving.containerSecurityContext" (dict "root" .root "readOnly" true) | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /llm/models}
  - {name: home, mountPath: /llm/home}
  - {name: tmp, mountPath: /tmp}
  - {name: download, mountPath: /llm/download}
{{- end -}}

{{- /* args: the root context */ -}}
{{- define "llm-serving.download.volume" }}
- name: download
  configMap:
    name: {{ include "llm-serving.downloadName" . | quote }}
{{- end -}}

{{- /*
Where the pods of a Job run: on the engine's nodes, so that a volume that binds to its first user's zone or node binds
to theirs. args: dict root, account (whether the release's service account is there)
*/ -}}
{{- define "llm-serving.jobPod" -}}
{{- $v := .root.Values -}}
restartPolicy: Never
automountServiceAccountToken: false
enableServiceLinks: false
{{- if or .account (not $v.serviceAccount.create) }}
serviceAccountName: {{ include "llm-serving.serviceAccountName" .root | quote }}
{{- end }}
securityContext:
  {{- include "llm-serving.enginePodSecurityContext" .root | nindent 2 }}
{{- with $v.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with merge (dict) $v.nodeSelector $v.gpu.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat $v.gpu.tolerations $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Spec of the Job. Code 3 is a refusal (no such model, no access, no room), which no retry mends. args: as for jobPod */ -}}
{{- define "llm-serving.download.job" -}}
backoffLimit: 3
activeDeadlineSeconds: {{ add .root.Values.startup.budgetSeconds .root.Values.startup.imagePullSeconds 60 }}
podFailurePolicy:
  rules:
    - action: FailJob
      onPodConditions: []  # servers before 1.31 call it required
      onExitCodes: {operator: In, values: [3]}
template:
  metadata:
    labels:
      {{- include "llm-serving.jobLabels" (dict "root" .root "component" "download") | nindent 6 }}
  spec:
    {{- include "llm-serving.jobPod" . | nindent 4 }}
    {{- with include "llm-serving.use.containers" (dict "root" .root "action" "fetch") | trim }}
    initContainers:
      {{- . | nindent 6 }}
    {{- end }}
    containers:
      - {{- include "llm-serving.download.container" (dict "root" .root "action" "fetch") | nindent 8 }}
    volumes:
      {{- include "llm-serving.modelVolume" .root | nindent 6 }}
      - {name: home, emptyDir: {}}
      - {name: tmp, emptyDir: {}}
      {{- include "llm-serving.download.volume" .root | trim | nindent 6 }}
{{- end -}}

{{- /* Labels of a Job's pods: the selectors' name and instance under another component. args: dict root, component */ -}}
{{- define "llm-serving.jobLabels" -}}
app.kubernetes.io/name: {{ include "llm-serving.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* Every init container of a pod, in order. args: the root context */ -}}
{{- define "llm-serving.initContainers" -}}
{{- include "llm-serving.adapt.sidecars" . -}}
{{- with .Values.initContainers }}
{{ include "llm-serving.adapt.containers" (dict "root" $ "containers" .) }}
{{- end }}
{{- if has .Values.model.download.mode (list "init" "job") }}
- {{- include "llm-serving.download.container" (dict "root" . "action" (ternary "fetch" "wait" (eq .Values.model.download.mode "init"))) | nindent 2 }}
{{- end }}
{{- with include "llm-serving.use.action" . }}
{{- include "llm-serving.use.containers" (dict "root" $ "action" .) }}
{{- end }}
{{- if and (eq .Values.engine.type "tgis") (not (include "llm-serving.modelPath" .)) }}
- {{- include "llm-serving.tgis.download" . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Seconds that a pod may spend on the download before its engine starts. args: the root context */ -}}
{{- define "llm-serving.downloadSeconds" -}}
{{- if include "llm-serving.download.inPods" . }}{{ .Values.startup.budgetSeconds | int64 }}{{ else }}0{{ end -}}
{{- end -}}
