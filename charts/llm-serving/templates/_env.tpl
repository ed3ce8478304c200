{{- /* Environment of the containers that run the engine's image, by name, so that no name stands twice. */ -}}

{{- /*
The list of variables. Only who asks the hub has its token. args: dict root, downloading (a container before the engine),
waiting (one that asks nobody)
*/ -}}
{{- define "llm-serving.env" -}}
{{- $v := .root.Values -}}
{{- $f := .root.Facts -}}
{{- $engine := include (printf "llm-serving.%s.env" $f.engine) .root -}}
{{- $source := include "llm-serving.source.env" .root -}}
{{- $parts := list (include "llm-serving.home.env" .root) $engine $source (include "llm-serving.devices.env" .root) -}}
{{- $env := join "\n" $parts | fromYaml -}}
{{- if .downloading }}{{ $_ := set $env "HF_HUB_OFFLINE" "0" }}{{ end -}}
{{- if $v.storage.keyedCompileCache }}{{ $env = mergeOverwrite $env (include "llm-serving.compile.env" .root | fromYaml) }}{{ end -}}
{{- $env = mergeOverwrite $env $v.engine.env -}}
{{- range $extra := $v.engine.extraEnv }}{{ $_ := unset $env $extra.name }}{{ end -}}
{{- range $name := keys $env | sortAlpha }}
- name: {{ $name | quote }}
  value: {{ index $env $name | quote }}
{{- end }}
{{- if ternary (not .waiting) $f.asksHub .downloading }}
{{- include "llm-serving.secretEnv" (dict "name" "HF_TOKEN" "secret" $v.auth.hfToken) }}
{{- end }}
{{- if not .downloading }}
{{- include "llm-serving.secretEnv" (dict "name" $f.apiKeyVariable "secret" $v.auth.apiKey) }}
{{- end }}
{{- include "llm-serving.source.secretEnv" .root }}
{{- with $v.engine.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* One variable from a Secret, where one is named. args: dict name, secret */ -}}
{{- define "llm-serving.secretEnv" -}}
{{- if .secret.existingSecret }}
- name: {{ .name | quote }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret.existingSecret | quote }}
      key: {{ .secret.key | quote }}
{{- end }}
{{- end -}}

{{- define "llm-serving.home.env" -}}
HOME: /llm/home
USER: vllm
LOGNAME: vllm
XDG_CACHE_HOME: /llm/home/.cache
XDG_CONFIG_HOME: /llm/home/.config
{{- end -}}

{{- /*
What the vendor's software cannot do by default in a pod without root, and the network between pods. RDMA is one block:
resource, huge pages, capability and these. args: the root context
*/ -}}
{{- define "llm-serving.devices.env" -}}
{{- if eq .Values.gpu.vendor "amd" }}
MIOPEN_USER_DB_PATH: /llm/home/.miopen
MIOPEN_CUSTOM_CACHE_DIR: /llm/home/.miopen
{{- else if eq .Values.gpu.vendor "gaudi" }}
HABANA_LOGS: /llm/home/habana_logs
OMPI_MCA_btl_vader_single_copy_mechanism: none
PT_HPU_ENABLE_LAZY_COLLECTIVES: "true"
{{- end }}
{{- with .Values.network.ncclInterface }}
NCCL_SOCKET_IFNAME: {{ . | quote }}
{{- end }}
{{- with .Values.network.glooInterface }}
GLOO_SOCKET_IFNAME: {{ . | quote }}
{{- end }}
{{- with .Values.network.rdma }}
{{- if and .enabled .hca }}
NCCL_IB_HCA: {{ .hca | quote }}
{{- end }}
{{- if and .enabled (ge (int .gidIndex) 0) }}
NCCL_IB_GID_INDEX: {{ .gidIndex | toJson | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- /*
Folders of compiled kernels. Keyed, nothing that another engine, model or GPU compiled is ever looked at.
args: the root context
*/ -}}
{{- define "llm-serving.compile.env" -}}
{{- $e := .Values.engine -}}
{{- $version := $e.image.digest | replace ":" "-" | trunc 19 | default $e.image.tag | default $e.version -}}
{{- $folder := "/llm/models/compiled" -}}
{{- range list $e.type $version .Facts.model (.Values.gpu.product | default "any-gpu") -}}
{{- $folder = printf "%s/%s" $folder (regexReplaceAll "[^A-Za-z0-9._-]+" . "--" | trimAll "-.") -}}
{{- end -}}
TRITON_CACHE_DIR: {{ $folder }}/triton
TORCHINDUCTOR_CACHE_DIR: {{ $folder }}/inductor
{{- if eq $e.type "vllm" }}
VLLM_CACHE_ROOT: {{ $folder }}/vllm
FLASHINFER_WORKSPACE_BASE: {{ $folder }}/flashinfer
{{- end }}
{{- end -}}
