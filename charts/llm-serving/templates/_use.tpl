{{- /* What is served beside plain generation (vllm): names, adapters, drafts, templates. args of all: the root context */ -}}

{{- /* Where a repository of the hub stands after its download: a link that no other revision shares. args: dict id, revision */ -}}
{{- define "llm-serving.use.folder" -}}
{{- printf "/llm/models/adapters/%s@%s" (.id | replace "/" "--") (.revision | default "main" | replace "/" "--") -}}
{{- end -}}

{{- /* Where the engine finds an adapter or a draft. args: dict id, revision, path */ -}}
{{- define "llm-serving.use.place" -}}
{{- if .id }}{{ include "llm-serving.use.folder" . }}{{ else }}{{ .path }}{{ end -}}
{{- end -}}

{{- /* Adapters and drafts that are downloaded, as a JSON list of {id, revision, folder}; empty where there are none. */ -}}
{{- define "llm-serving.use.repositories" -}}
{{- $found := list -}}
{{- range append .Values.engine.lora.adapters .Values.engine.speculative -}}
{{- if .id -}}
{{- $found = append $found (dict "id" .id "revision" (.revision | default "") "folder" (include "llm-serving.use.folder" .)) -}}
{{- end -}}
{{- end -}}
{{- if $found }}{{ $found | uniq | toJson }}{{ end -}}
{{- end -}}

{{- /* Containers that fetch them, or wait for them, as a YAML list. args: dict root, action */ -}}
{{- define "llm-serving.use.containers" -}}
{{- range $index, $repository := include "llm-serving.use.repositories" .root | default "[]" | fromJsonArray }}
- {{- include "llm-serving.download.container" (merge (dict "root" $.root "action" $.action "name" (printf "%s-extra-%d" $.action $index)) $repository) | nindent 2 }}
{{- end -}}
{{- end -}}

{{- /* What the pods do about them before their engine: fetch, wait, or nothing (a hook did it). */ -}}
{{- define "llm-serving.use.action" -}}
{{- if include "llm-serving.use.repositories" . -}}
{{- index (dict "none" "fetch" "init" "fetch" "job" "wait" "hook" "") .Values.model.download.mode -}}
{{- end -}}
{{- end -}}

{{- /* Names beside the first, which the API must offer, as a JSON list. */ -}}
{{- define "llm-serving.use.names" -}}
{{- $names := .Values.model.aliases -}}
{{- range .Values.engine.lora.adapters }}{{ $names = append $names .name }}{{ end -}}
{{- $names | toJson -}}
{{- end -}}

{{- define "llm-serving.use.lora" -}}
{{- $lora := .Values.engine.lora -}}
{{- $args := list -}}
{{- if $lora.adapters -}}
{{- $cpu := int $lora.maxCpuLoras | default (int $lora.maxLoras) -}}
{{- $args = list "--enable-lora" "--max-loras" ($lora.maxLoras | toJson) "--max-lora-rank" ($lora.maxRank | toJson) "--max-cpu-loras" ($cpu | toJson) "--lora-modules" -}}
{{- end -}}
{{- range $lora.adapters -}}
{{- $module := dict "name" .name "path" (include "llm-serving.use.place" .) -}}
{{- if .base }}{{ $_ := set $module "base_model_name" .base }}{{ end -}}
{{- $args = append $args ($module | toJson) -}}
{{- end -}}
{{- $args | toYaml -}}
{{- end -}}

{{- define "llm-serving.use.speculative" -}}
{{- $s := .Values.engine.speculative -}}
{{- $args := list -}}
{{- if $s.method -}}
{{- $config := merge (dict "method" $s.method "num_speculative_tokens" $s.tokens) $s.options -}}
{{- with include "llm-serving.use.place" $s }}{{ $_ := set $config "model" . }}{{ end -}}
{{- $args = list "--speculative-config" ($config | toJson) -}}
{{- end -}}
{{- $args | toYaml -}}
{{- end -}}

{{- define "llm-serving.use.templatePath" -}}
{{- ternary "/llm/template/template.jinja" .Values.engine.chatTemplate.file (ne .Values.engine.chatTemplate.text "") -}}
{{- end -}}

{{- /* A changed template is another ConfigMap, and so starts the pods anew. */ -}}
{{- define "llm-serving.use.templateName" -}}
{{- printf "%s-template-%s" (include "llm-serving.fullname" .) (sha256sum .Values.engine.chatTemplate.text | trunc 5) -}}
{{- end -}}

{{- define "llm-serving.use.volume" -}}
{{- if .Values.engine.chatTemplate.text }}
- name: template
  configMap:
    name: {{ include "llm-serving.use.templateName" . }}
{{- end }}
{{- end -}}

{{- define "llm-serving.use.mount" -}}
{{- if .Values.engine.chatTemplate.text }}
- {name: template, mountPath: /llm/template, readOnly: true}
{{- end }}
{{- end -}}

{{- /* Flags of all of it. */ -}}
{{- define "llm-serving.vllm.use" -}}
{{- $args := list -}}
{{- if ne .Values.model.task "generate" -}}
{{- $args = concat $args (list "--runner" "pooling") -}}
{{- end -}}
{{- with include "llm-serving.use.templatePath" . -}}
{{- $args = concat $args (list "--chat-template" .) -}}
{{- end -}}
{{- $args = concat $args (include "llm-serving.use.lora" . | fromYamlArray) (include "llm-serving.use.speculative" . | fromYamlArray) -}}
{{- with .Values.engine.kvOffload.sizeGiB -}}
{{- $args = concat $args (list "--kv-offloading-size" (. | toJson)) -}}
{{- end -}}
{{- $args | toYaml -}}
{{- end -}}

{{- /* What the test asks for besides the model's first name. */ -}}
{{- define "llm-serving.use.testEnv" -}}
{{- if ne .Values.model.task "generate" }}
- name: TASK
  value: {{ .Values.model.task | quote }}
{{- end }}
{{- with include "llm-serving.use.names" . | fromJsonArray }}
- name: NAMES
  value: {{ . | toJson | quote }}
{{- end }}
{{- with .Values.engine.lora.adapters }}
- name: ADAPTERS
  value: {{ len . | quote }}
{{- end }}
{{- end -}}

{{- /* How to call a model that gives vectors or scores. */ -}}
{{- define "llm-serving.pooling.snippets" -}}
{{- $served := include "llm-serving.servedName" . -}}
{{- $texts := list "Hello" "Good morning" -}}
{{- $bodies := dict "embed" (dict "model" $served "input" $texts) "rerank" (dict "model" $served "query" "a greeting" "documents" $texts) "classify" (dict "model" $served "input" $texts) "pooling" (dict "model" $served "input" "Hello") -}}
{{- $paths := dict "embed" "/v1/embeddings" "rerank" "/v1/rerank" "classify" "/classify" "pooling" "/pooling" -}}
{{- $scheme := include "llm-serving.scheme" . -}}
{{- $options := ternary "--insecure " "" (eq $scheme "https") -}}
{{- if .Values.auth.apiKey.existingSecret }}{{ $options = printf "%s-H \"Authorization: Bearer $OPENAI_API_KEY\" " $options }}{{ end }}  kubectl port-forward service/{{ include "llm-serving.fullname" . }} 8000:{{ .Values.service.port }} --namespace {{ include "llm-serving.namespace" . }} &
  curl {{ $options }}{{ $scheme }}://127.0.0.1:8000{{ index $paths .Values.model.task }} -H 'Content-Type: application/json' \
    -d '{{ index $bodies .Values.model.task | toJson }}'
{{- end -}}
