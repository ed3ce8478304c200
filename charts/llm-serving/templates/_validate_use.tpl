{{- /* Refusals about adapters, drafts, templates, tasks; see _validate.tpl. args of all: the root context */ -}}

{{- /* Keys that only vLLM knows: what is set, and the other engine's own way. */ -}}
{{- define "llm-serving.validate.useEngine" -}}
{{- $e := .Values.engine -}}
{{- $problems := list -}}
{{- $set := dict "engine.lora.adapters" (len $e.lora.adapters) "engine.speculative.method" $e.speculative.method "engine.chatTemplate" (or $e.chatTemplate.file (ne $e.chatTemplate.text "")) "engine.kvOffload.sizeGiB" $e.kvOffload.sizeGiB "model.aliases" (len .Values.model.aliases) "model.task" (ternary "" .Values.model.task (eq .Values.model.task "generate")) -}}
{{- $ways := dict "engine.lora.adapters" "use engine.args.lora-adapters of TGI, or " "engine.speculative.method" "use engine.args.speculate of TGI, or " -}}
{{- range $key := keys $set | sortAlpha -}}
{{- if and (index $set $key) (ne $e.type "vllm") -}}
{{- $way := ternary (index $ways $key | default "") "" (eq $e.type "tgi") -}}
{{- $problems = append $problems (printf "%s is set, but engine.type is %s, which does not know it. Clear it, %sset engine.type=vllm." $key $e.type ($way | default "or ")) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.lora" -}}
{{- $l := .Values.engine.lora -}}
{{- $problems := list -}}
{{- range $index, $adapter := $l.adapters -}}
{{- if eq (empty $adapter.id) (empty $adapter.path) -}}
{{- $problems = append $problems (printf "engine.lora.adapters[%d] (%s) needs either id or path, and has %s. Give a hub id, or a folder in the container." $index $adapter.name (ternary "neither" "both" (empty $adapter.id))) -}}
{{- end -}}
{{- end -}}
{{- $names := prepend (include "llm-serving.use.names" . | fromJsonArray) (include "llm-serving.servedName" .) -}}
{{- if ne (len $names) (len (uniq $names)) -}}
{{- $problems = append $problems (printf "model.servedName, model.aliases and engine.lora.adapters tell a name twice (%s). Each is one name of the API." (join ", " $names)) -}}
{{- end -}}
{{- if and $l.adapters (gt (int $l.maxCpuLoras) 0) (lt (int $l.maxCpuLoras) (int $l.maxLoras)) -}}
{{- $problems = append $problems (printf "engine.lora.maxCpuLoras (%d) is below engine.lora.maxLoras (%d): adapters pass through host memory. Raise it, or set it to 0." (int $l.maxCpuLoras) (int $l.maxLoras)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.speculative" -}}
{{- $s := .Values.engine.speculative -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- $needs := has $s.method (list "eagle" "eagle3" "draft_model") -}}
{{- if and $needs (eq (empty $s.id) (empty $s.path)) -}}
{{- $problems = append $problems (printf "engine.speculative.method is %s, which needs either engine.speculative.id or engine.speculative.path, and has %s. Name the model that drafts." $s.method (ternary "neither" "both" (empty $s.id))) -}}
{{- end -}}
{{- if and (not $needs) (or $s.id $s.path) -}}
{{- $problems = append $problems (printf "engine.speculative names a model (%s), but engine.speculative.method (%s) has none. Clear it, or choose eagle, eagle3 or draft_model." ($s.id | default $s.path) ($s.method | default "empty")) -}}
{{- end -}}
{{- if and $s.method (gt (int $p.pipeline) 1) -}}
{{- $problems = append $problems (printf "engine.speculative.method is %s, but parallelism.pipeline is %d: vLLM refuses drafts over several stages for most models. Set parallelism.pipeline=1, or clear the method." $s.method (int $p.pipeline)) -}}
{{- end -}}
{{- range $name := list "method" "model" "num_speculative_tokens" -}}
{{- if hasKey $s.options $name -}}
{{- $problems = append $problems (printf "engine.speculative.options.%s is set by the chart. Use engine.speculative." $name) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.use" -}}
{{- $e := .Values.engine -}}
{{- $problems := list -}}
{{- if and $e.chatTemplate.file $e.chatTemplate.text -}}
{{- $problems = append $problems (printf "engine.chatTemplate.file (%s) and engine.chatTemplate.text are both set. Keep one." $e.chatTemplate.file) -}}
{{- end -}}
{{- $shared := include "llm-serving.mebibytes" .Values.memory.sharedMemory | int64 -}}
{{- if and $e.kvOffload.sizeGiB (le $shared (mulf $e.kvOffload.sizeGiB 1024 | int64)) -}}
{{- $problems = append $problems (printf "engine.kvOffload.sizeGiB (%s) does not fit memory.sharedMemory (%s), where the cache's copy lies. Raise memory.sharedMemory, memory.host.request and memory.host.limit by it." ($e.kvOffload.sizeGiB | toJson) .Values.memory.sharedMemory) -}}
{{- end -}}
{{- $wanted := dict "runner" (ternary "model.task" "" (ne .Values.model.task "generate")) "kv-offloading-size" (ternary "engine.kvOffload.sizeGiB" "" (ne ($e.kvOffload.sizeGiB | toJson) "0")) -}}
{{- range $flag := keys $wanted | sortAlpha -}}
{{- if and (index $wanted $flag) (eq $e.type "vllm") (not (include "llm-serving.has" (dict "root" $ "flag" $flag))) -}}
{{- $problems = append $problems (printf "%s is set, but vLLM %s has no --%s. Set a newer engine.version, or clear the key." (index $wanted $flag) $e.version $flag) -}}
{{- end -}}
{{- end -}}
{{- $auto := index $e.args "enable-auto-tool-choice" | default false -}}
{{- $parser := index $e.args "tool-call-parser" | default "" -}}
{{- if and $auto (not $parser) -}}
{{- $problems = append $problems "engine.args.enable-auto-tool-choice is true, but engine.args.tool-call-parser is not set, and vLLM does not start so. Name the model's parser." -}}
{{- end -}}
{{- if and (ne .Values.model.task "generate") (or $e.speculative.method $auto) -}}
{{- $problems = append $problems (printf "model.task is %s, which writes no text, but drafts or tools are set. Clear engine.speculative.method and engine.args.enable-auto-tool-choice, or set model.task=generate." .Values.model.task) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
