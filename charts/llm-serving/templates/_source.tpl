{{- /* Where the engine finds its model. args of all: the root context */ -}}

{{- /* What stands in the place of the hub's id: a folder in the container, or an address; empty for the hub. */ -}}
{{- define "llm-serving.modelPath" -}}
{{- $source := .Values.model.source -}}
{{- if has $source.type (list "pvc" "oci") -}}
{{- printf "/llm/source/%s" (trimAll "/" $source.path) | trimSuffix "/" -}}
{{- else if eq $source.type "hostPath" -}}
/llm/source
{{- else -}}
{{- eq $source.type "hub" | ternary .Values.model.path $source.uri -}}
{{- end -}}
{{- end -}}

{{- define "llm-serving.model" -}}
{{- include "llm-serving.modelPath" . | default .Values.model.id -}}
{{- end -}}

{{- /* "true" where weights are streamed from an object store. */ -}}
{{- define "llm-serving.streamed" -}}
{{- if has .Values.model.source.type (list "s3" "gcs" "azure") }}true{{ end -}}
{{- end -}}

{{- /* The engine needs no hub: its model lies elsewhere, or was downloaded before. */ -}}
{{- define "llm-serving.offline" -}}
{{- if or (include "llm-serving.modelPath" .) (ne .Values.model.download.mode "none") }}1{{ else }}0{{ end -}}
{{- end -}}

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
    reference: {{ $source.image | quote }}
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
{{- $names := dict "s3" (list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN") "azure" (list "AZURE_CLIENT_ID" "AZURE_TENANT_ID" "AZURE_CLIENT_SECRET") -}}
{{- if .Values.model.source.existingSecret -}}
{{- range index $names .Values.model.source.type }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $.Values.model.source.existingSecret | quote }}
      key: {{ . }}
      optional: {{ eq . "AWS_SESSION_TOKEN" }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Folder of compiled kernels. Keyed, nothing that another engine, model or GPU compiled is ever looked at. */ -}}
{{- define "llm-serving.compileCache" -}}
{{- $version := .Values.engine.image.digest | replace ":" "-" | trunc 19 | default .Values.engine.image.tag | default .Values.engine.version -}}
{{- $key := list .Values.engine.type $version (include "llm-serving.model" .) (.Values.gpu.product | default "any-gpu") -}}
{{- $folder := "/llm/models/compiled" -}}
{{- range $key }}{{ $folder = printf "%s/%s" $folder (regexReplaceAll "[^A-Za-z0-9._-]+" . "--" | trimAll "-.") }}{{ end -}}
{{- $folder -}}
{{- end -}}

{{- define "llm-serving.compileEnv" -}}
{{- if .Values.storage.keyedCompileCache -}}
{{- $folder := include "llm-serving.compileCache" . -}}
TRITON_CACHE_DIR: {{ $folder }}/triton
TORCHINDUCTOR_CACHE_DIR: {{ $folder }}/inductor
{{- if eq .Values.engine.type "vllm" }}
VLLM_CACHE_ROOT: {{ $folder }}/vllm
FLASHINFER_WORKSPACE_BASE: {{ $folder }}/flashinfer
{{- end }}
{{- end -}}
{{- end -}}

{{- /* Flags of vLLM for streamed weights, browsers and idle streams. */ -}}
{{- define "llm-serving.vllm.operations" -}}
{{- $args := list -}}
{{- if and (include "llm-serving.streamed" .) (not (hasKey .Values.engine.args "load-format")) -}}
{{- $args = concat $args (list "--load-format" "runai_streamer") -}}
{{- end -}}
{{- with .Values.expose.cors -}}
{{- $args = concat $args (list "--allowed-origins" (. | toJson)) -}}
{{- end -}}
{{- if gt (int .Values.expose.keepAliveSeconds) 0 -}}
{{- $args = concat $args (list "--sse-keep-alive-interval" (.Values.expose.keepAliveSeconds | toJson)) -}}
{{- end -}}
{{- $args | toYaml -}}
{{- end -}}
