{{- /*
Where the model comes from (model.source), and its download before the engine starts (files/download.py): init containers
of each pod, a Job beside the pods, for which they wait, or a Helm hook before everything else.
args of all, unless told otherwise: the root context
*/ -}}

{{- /* Volume of the model and of credentials, mounted read-only. */ -}}
{{- define "llm-serving.source.volume" -}}
{{- $source := .Values.model.source -}}
{{- if eq $source.type "pvc" }}
- name: source
  persistentVolumeClaim:
    claimName: {{ $source.claim | quote }}
    readOnly: true
{{- else if eq $source.type "hostPath" }}
- name: source
  hostPath:
    path: {{ $source.path | quote }}
    type: Directory
{{- else if eq $source.type "oci" }}
- name: source
  image:
    reference: {{ include "llm-serving.modelImage" . | quote }}
    pullPolicy: {{ $source.pullPolicy }}
{{- else if and (eq $source.type "gcs") $source.existingSecret }}
- name: credentials
  secret:
    secretName: {{ $source.existingSecret | quote }}
    items: [{key: key.json, path: key.json}]
    defaultMode: 0440
{{- end -}}
{{- end -}}

{{- define "llm-serving.source.mount" -}}
{{- $source := .Values.model.source -}}
{{- if has $source.type (list "pvc" "hostPath" "oci") }}
- {name: source, mountPath: /llm/source, readOnly: true}
{{- else if and (eq $source.type "gcs") $source.existingSecret }}
- {name: credentials, mountPath: /llm/credentials, readOnly: true}
{{- end -}}
{{- end -}}

{{- /* Plain variables of the object stores (vLLM's page on the Run:ai Model Streamer, 2026-11). */ -}}
{{- define "llm-serving.source.env" -}}
{{- $source := .Values.model.source -}}
{{- if eq $source.type "s3" -}}
{{- with $source.endpoint }}
AWS_ENDPOINT_URL: {{ . | quote }}
AWS_EC2_METADATA_DISABLED: "true"
RUNAI_STREAMER_S3_USE_VIRTUAL_ADDRESSING: "0"
{{- end }}
{{- with $source.region }}
AWS_DEFAULT_REGION: {{ . | quote }}
{{- end }}
{{- else if eq $source.type "azure" }}
AZURE_STORAGE_ACCOUNT_NAME: {{ $source.account | quote }}
{{- else if and (eq $source.type "gcs") $source.existingSecret }}
GOOGLE_APPLICATION_CREDENTIALS: /llm/credentials/key.json
{{- end -}}
{{- end -}}

{{- /* Variables from the Secret with credentials. */ -}}
{{- define "llm-serving.source.secretEnv" -}}
{{- $source := .Values.model.source -}}
{{- $names := dict
      "s3" (list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN")
      "azure" (list "AZURE_CLIENT_ID" "AZURE_TENANT_ID" "AZURE_CLIENT_SECRET") -}}
{{- if $source.existingSecret -}}
{{- range index $names $source.type }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $source.existingSecret | quote }}
      key: {{ . }}
      optional: {{ eq . "AWS_SESSION_TOKEN" }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Where the engine finds an adapter or a draft: a link that no other revision shares, or the user's folder. args: dict id, revision, path */ -}}
{{- define "llm-serving.place" -}}
{{- if .id -}}
{{- printf "/llm/models/adapters/%s@%s" (.id | replace "/" "--") (.revision | default "main" | replace "/" "--") -}}
{{- else -}}
{{- .path -}}
{{- end -}}
{{- end -}}

{{- /* args: dict root, download {name, action (fetch or wait), id, revision, folder (a link to it; empty for the model)} */ -}}
{{- define "llm-serving.download.container" -}}
{{- $v := .root.Values -}}
{{- $f := .root.Facts -}}
{{- $d := .download -}}
name: {{ $d.name }}
image: {{ $f.image | quote }}
imagePullPolicy: {{ $v.engine.image.pullPolicy }}
command: {{ concat ($v.model.download.command | default $f.python) (list "/llm/download/download.py" $d.action) | toJson }}
terminationMessagePolicy: FallbackToLogsOnError
{{- with $v.engine.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- include "llm-serving.env" (dict "root" .root "downloading" true "waiting" (eq $d.action "wait")) | trim | nindent 2 }}
  - name: DOWNLOAD_MODEL
    value: {{ $d.id | quote }}
  - name: DOWNLOAD_REVISION
    value: {{ $d.revision | quote }}
  {{- with $d.folder }}
  - name: DOWNLOAD_LINK
    value: {{ . | quote }}
  {{- end }}
  {{- if and (not $d.folder) (index $v.engine.args "load-format") }}
  - name: DOWNLOAD_FORMAT
    value: {{ index $v.engine.args "load-format" | toString | quote }}
  {{- end }}
  - name: DOWNLOAD_VERIFY
    value: {{ ternary "1" "0" $v.model.download.verify | quote }}
  - name: DOWNLOAD_CACHE
    value: /llm/models/huggingface/hub
  - name: DOWNLOAD_SECONDS
    value: {{ $v.startup.budgetSeconds | toJson | quote }}
resources:
  {{- $own := dict "requests" (dict "cpu" "250m" "memory" "512Mi") "limits" (dict "memory" $v.memory.host.limit) }}
  {{- include "llm-serving.helperResources" (dict "own" $own "user" $v.model.download.resources) | nindent 2 }}
securityContext:
  {{- include "llm-serving.containerSecurityContext" (dict "readOnly" true) | nindent 2 }}
volumeMounts:
  - {name: models, mountPath: /llm/models}
  - {name: home, mountPath: /llm/home}
  - {name: tmp, mountPath: /tmp}
  - {name: download, mountPath: /llm/download}
  {{- with include "llm-serving.source.userMounts" .root | fromYamlArray }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /*
What users mount for the engine reaches every container that talks to the same hosts: authorities, settings of a proxy.
Claims do not: a Job may run on another node than the one that holds them.
*/ -}}
{{- define "llm-serving.source.userVolumes" -}}
{{- $found := list -}}
{{- range .Values.extraVolumes -}}
{{- if not (or (hasKey . "persistentVolumeClaim") (hasKey . "ephemeral")) }}{{ $found = append $found . }}{{ end -}}
{{- end -}}
{{- $found | toYaml -}}
{{- end -}}

{{- define "llm-serving.source.userMounts" -}}
{{- $names := list -}}
{{- range include "llm-serving.source.userVolumes" . | fromYamlArray }}{{ $names = append $names .name }}{{ end -}}
{{- $found := list -}}
{{- range .Values.extraVolumeMounts }}{{ if has .name $names }}{{ $found = append $found . }}{{ end }}{{ end -}}
{{- $found | toYaml -}}
{{- end -}}

{{- /* Of what runs before an install and an upgrade, and of nothing else. args: the weight */ -}}
{{- define "llm-serving.hookAnnotations" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "llm-serving.download.volume" }}
- name: download
  configMap:
    name: {{ .Facts.downloadName | quote }}
{{- end -}}

{{- /*
Spec of the Job. Code 3 is a refusal (no such model, no access, no room), which no retry mends. A hash of this text is in
the Job's name: another layout of the same text is another download on every upgrade.
*/ -}}
{{- define "llm-serving.download.job" -}}
backoffLimit: 3
activeDeadlineSeconds: {{ add .Values.startup.budgetSeconds .Values.startup.imagePullSeconds 60 }}
podFailurePolicy:
  rules:
    - action: FailJob
      onPodConditions: []  # servers before 1.31 call it required
      onExitCodes: {operator: In, values: [3]}
template:
  metadata:
    {{- $labels := mergeOverwrite (dict) .Facts.selectorLabels (dict "app.kubernetes.io/component" "download") }}
    {{- include "llm-serving.helperMetadata" (dict "root" . "labels" $labels "section" .Values.model.download) | nindent 4 }}
  spec:
    restartPolicy: Never
    {{- include "llm-serving.podCommon" (dict "root" . "hook" .Facts.downloadHook "tolerations" .Values.model.download.tolerations) | nindent 4 }}
    {{- with .Facts.repositories }}
    initContainers:
      {{- range $index, $repository := . }}
      {{- $download := merge (dict "action" "fetch" "name" (printf "fetch-extra-%d" $index)) $repository }}
      - {{- include "llm-serving.download.container" (dict "root" $ "download" $download) | nindent 8 }}
      {{- end }}
    {{- end }}
    containers:
      {{- $m := .Values.model }}
      {{- $download := dict "action" "fetch" "name" "fetch-model" "id" $m.id "revision" $m.revision "folder" "" }}
      - {{- include "llm-serving.download.container" (dict "root" . "download" $download) | nindent 8 }}
    volumes:
      {{- include "llm-serving.modelVolume" . | nindent 6 }}
      - {name: home, emptyDir: {}}
      - {name: tmp, emptyDir: {}}
      {{- include "llm-serving.download.volume" . | trim | nindent 6 }}
      {{- with include "llm-serving.source.userVolumes" . | fromYamlArray }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end -}}
