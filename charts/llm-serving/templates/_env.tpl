{{- /* Environment by name, so that no name stands twice. args: dict root, downloading (an init container that reaches the hub) */ -}}
{{- define "llm-serving.envMap" -}}
HOME: /llm/home
USER: vllm
LOGNAME: vllm
XDG_CACHE_HOME: /llm/home/.cache
XDG_CONFIG_HOME: /llm/home/.config
{{ include (printf "llm-serving.%s.env" .root.Values.engine.type) .root }}
{{ include "llm-serving.source.env" .root }}
{{ include "llm-serving.tls.env" .root }}
{{ include "llm-serving.accelerator.env" .root }}
{{- with .root.Values.network.ncclInterface }}
NCCL_SOCKET_IFNAME: {{ . | quote }}
{{- end }}
{{- with .root.Values.network.glooInterface }}
GLOO_SOCKET_IFNAME: {{ . | quote }}
{{- end }}
{{- with include "llm-serving.rdmaEnv" .root | trim }}
{{ . }}
{{- end }}
{{- if .downloading }}
HF_HUB_OFFLINE: "0"
{{- end }}
{{- end -}}

{{- /* The env list of a container that runs the engine's image. args: dict root, downloading */ -}}
{{- define "llm-serving.env" -}}
{{- $v := .root.Values -}}
{{- $env := mergeOverwrite (include "llm-serving.envMap" . | fromYaml) (include "llm-serving.compileEnv" .root | fromYaml) $v.engine.env -}}
{{- range $extra := $v.engine.extraEnv }}{{ $_ := unset $env $extra.name }}{{ end -}}
{{- if and (gt (int $v.parallelism.nodes) 1) (not .downloading) }}
{{- include "llm-serving.groupEnv" .root }}
{{- end }}
{{- range $name := keys $env | sortAlpha }}
- name: {{ $name | quote }}
  value: {{ index $env $name | quote }}
{{- end }}
{{- include "llm-serving.secretEnv" (dict "name" "HF_TOKEN" "secret" $v.auth.hfToken) }}
{{- if not .downloading }}
{{- include "llm-serving.secretEnv" (dict "name" (include (printf "llm-serving.%s.apiKeyName" $v.engine.type) .root) "secret" $v.auth.apiKey) }}
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
