{{- /* args: dict root, image, tag (used where the image names none) */ -}}
{{- define "llm-serving.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $name := .image.repository -}}
{{- if $registry }}{{ $name = printf "%s/%s" $registry .image.repository }}{{ end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .tag) -}}
{{- end -}}
{{- end -}}

{{- /* vLLM's tags begin with v, those of the others do not. args: the root context */ -}}
{{- define "llm-serving.engineImage" -}}
{{- $tag := printf "%s%s" (ternary "v" "" (eq .Values.engine.type "vllm")) .Values.engine.version -}}
{{- include "llm-serving.image" (dict "root" . "image" .Values.engine.image "tag" $tag) -}}
{{- end -}}
