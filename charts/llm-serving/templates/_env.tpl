{{- /*
Environment by name, so that no name stands twice: every cache below the two writable folders, whatever the user id.
VLLM_PORT is never set (it is an internal port of the engine). args: the root context
*/ -}}
{{- define "llm-serving.envMap" -}}
{{- $home := "/llm/home" -}}
HOME: {{ $home }}
USER: vllm
LOGNAME: vllm
HF_HOME: /llm/models/huggingface
HF_HUB_OFFLINE: {{ ternary "1" "0" (ne .Values.model.path "") | quote }}
XDG_CACHE_HOME: {{ $home }}/.cache
XDG_CONFIG_HOME: {{ $home }}/.config
VLLM_CACHE_ROOT: /llm/models/vllm
VLLM_CONFIG_ROOT: {{ $home }}/.config/vllm
VLLM_NO_USAGE_STATS: "1"
TRITON_CACHE_DIR: {{ $home }}/.triton
TORCHINDUCTOR_CACHE_DIR: {{ $home }}/.inductor
NUMBA_CACHE_DIR: {{ $home }}/.numba
OUTLINES_CACHE_DIR: {{ $home }}/.outlines
FLASHINFER_WORKSPACE_BASE: {{ $home }}
{{- end -}}

{{- /* The env list of the engine's container. args: the root context */ -}}
{{- define "llm-serving.env" -}}
{{- $env := mergeOverwrite (include "llm-serving.envMap" . | fromYaml) .Values.engine.env -}}
{{- range $extra := .Values.engine.extraEnv }}{{ $_ := unset $env $extra.name }}{{ end -}}
{{- range $name := keys $env | sortAlpha }}
- name: {{ $name }}
  value: {{ index $env $name | quote }}
{{- end }}
{{- include "llm-serving.secretEnv" (dict "name" "HF_TOKEN" "secret" .Values.auth.hfToken) }}
{{- include "llm-serving.secretEnv" (dict "name" "VLLM_API_KEY" "secret" .Values.auth.apiKey) }}
{{- with .Values.engine.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* One variable from a Secret, where one is named. args: dict name, secret */ -}}
{{- define "llm-serving.secretEnv" -}}
{{- if .secret.existingSecret }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret.existingSecret | quote }}
      key: {{ .secret.key | quote }}
{{- end }}
{{- end -}}
