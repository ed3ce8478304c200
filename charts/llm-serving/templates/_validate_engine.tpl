{{- /* Refusals about the engine and what it serves; see _validate.tpl. args of all: the root context */ -}}

{{- define "llm-serving.validate.runtime" -}}
{{- $e := .Values.engine -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- $sharded := has $e.type (list "tgi" "tgis") -}}
{{- if and $sharded (or .Facts.severalPods (gt (int $p.pipeline) 1)) -}}
{{- $problems = append $problems (printf "engine.type %s shards inside one node, but parallelism.nodes is %d and parallelism.pipeline %d. Set both to 1, or engine.type=vllm."
      $e.type (int $p.nodes) (int $p.pipeline)) -}}
{{- end -}}
{{- if and (eq $e.type "tgi") (not (or .Values.security.allowRoot $e.rootless)) -}}
{{- $problems = append $problems (printf "engine.type is tgi, whose images 3.1.1 to 3.3.7 keep Python below /root and start as root only (this is %s). Set security.allowRoot=true (the namespace must admit Pod Security baseline, OpenShift needs the SCC anyuid), or name a rebuilt image and set engine.rootless=true."
      $e.version) -}}
{{- end -}}
{{- if and .Values.security.allowRoot (or (ne $e.type "tgi") $e.rootless) -}}
{{- $problems = append $problems (printf "security.allowRoot is true, but engine.type %s needs no root%s. Set security.allowRoot=false."
      $e.type (ternary " with engine.rootless" "" $e.rootless)) -}}
{{- end -}}
{{- if and $sharded .Values.model.servedName -}}
{{- $problems = append $problems (printf "model.servedName (%s) is set, but %s answers under its model's id. Clear it." .Values.model.servedName $e.type) -}}
{{- end -}}
{{- if and (eq $e.type "tgis") .Values.auth.apiKey.existingSecret -}}
{{- $problems = append $problems "auth.apiKey.existingSecret is set, but tgis knows no API key. Clear it, and guard the Service by other means." -}}
{{- end -}}
{{- if and (not .Values.gpu.resourceName) (ne $e.type "vllm") -}}
{{- $problems = append $problems (printf "gpu.resourceName is empty (no GPU), but engine.type %s runs on GPUs only. Set gpu.resourceName, or engine.type=vllm."
      $e.type) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.engine" -}}
{{- $problems := list -}}
{{- $flags := .Facts.reservedFlags -}}
{{- range $name := keys .Values.engine.args | sortAlpha -}}
{{- with index $flags ($name | trimPrefix "no-") -}}
{{- $problems = append $problems (printf "engine.args.%s is set by the chart. Use %s." $name .) -}}
{{- end -}}
{{- end -}}
{{- $env := .Facts.reservedEnv -}}
{{- $extra := list -}}
{{- range .Values.engine.extraEnv }}{{ $extra = append $extra .name }}{{ end -}}
{{- range $name := concat (keys .Values.engine.env | sortAlpha) $extra -}}
{{- with index $env $name -}}
{{- $problems = append $problems (printf "engine.env or engine.extraEnv sets %s. Use %s." $name .) -}}
{{- end -}}
{{- end -}}
{{- if ne (len $extra) (len (uniq $extra)) -}}
{{- $problems = append $problems (printf "engine.extraEnv names a variable twice (%s). Keep one." (join ", " $extra)) -}}
{{- end -}}
{{- $image := .Values.engine.image -}}
{{- if and (contains "+" .Values.engine.version) (not $image.tag) (not $image.digest) -}}
{{- $problems = append $problems (printf "engine.version is %s, and no image has a tag with a +. Set engine.image.tag or engine.image.digest." .Values.engine.version) -}}
{{- end -}}
{{- /* Images for Gaudi have no other tag: their version is in the repository's name. */ -}}
{{- if and (eq .Values.engine.image.tag "latest") (ne .Values.gpu.vendor "gaudi") -}}
{{- $problems = append $problems "engine.image.tag is latest, which changes under a running release. Name a version, or a digest." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* A flag that the chart sets has its key, however it is written; tokens have a refusal of their own. */ -}}
{{- define "llm-serving.validate.extraArgs" -}}
{{- $flags := .Facts.reservedFlags -}}
{{- $problems := list -}}
{{- range $word := .Values.engine.extraArgs -}}
{{- $flag := regexFind "^--[A-Za-z0-9_-]+" $word | replace "_" "-" | trimPrefix "--" | trimPrefix "no-" -}}
{{- with index (omit $flags "api-key" "hf-token") $flag -}}
{{- $problems = append $problems (printf "engine.extraArgs gives --%s, which is set by the chart. Use %s." $flag .) -}}
{{- end -}}
{{- $plain := regexFind "^--[A-Za-z0-9_-]+" $word | replace "_" "-" | trimPrefix "--" -}}
{{- if hasKey $.Values.engine.args $plain -}}
{{- $problems = append $problems (printf "engine.extraArgs gives --%s, which engine.args gives too. Keep one." $plain) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* Keys that only vLLM knows: what is set, and the other engine's own way. */ -}}
{{- define "llm-serving.validate.useEngine" -}}
{{- $e := .Values.engine -}}
{{- $problems := list -}}
{{- $set := dict
      "engine.lora.adapters" $e.lora.adapters
      "engine.lora.dynamic" $e.lora.dynamic
      "engine.speculative.method" $e.speculative.method
      "engine.chatTemplate" (or $e.chatTemplate.file $e.chatTemplate.text)
      "engine.kvOffload.sizeGiB" $e.kvOffload.sizeGiB
      "model.aliases" .Values.model.aliases
      "model.task" (ne .Values.model.task "generate") -}}
{{- $ways := dict "engine.lora.adapters" "use engine.args.lora-adapters of TGI, or " "engine.speculative.method" "use engine.args.speculate of TGI, or " -}}
{{- range $key := keys $set | sortAlpha -}}
{{- if and (index $set $key) (ne $e.type "vllm") -}}
{{- $way := ternary (index $ways $key | default "") "" (eq $e.type "tgi") -}}
{{- $problems = append $problems (printf "%s is set, but engine.type is %s, which does not know it. Clear it, %sset engine.type=vllm."
      $key $e.type ($way | default "or ")) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.lora" -}}
{{- $l := .Values.engine.lora -}}
{{- $problems := list -}}
{{- range $index, $adapter := $l.adapters -}}
{{- if eq (empty $adapter.id) (empty $adapter.path) -}}
{{- $problems = append $problems (printf "engine.lora.adapters[%d] (%s) needs either id or path, and has %s. Give a hub id, or a folder in the container."
      $index $adapter.name (ternary "neither" "both" (empty $adapter.id))) -}}
{{- end -}}
{{- end -}}
{{- $names := prepend .Facts.names .Facts.servedName -}}
{{- if ne (len $names) (len (uniq $names)) -}}
{{- $problems = append $problems (printf "model.servedName, model.aliases and engine.lora.adapters tell a name twice (%s). Each is one name of the API."
      (join ", " $names)) -}}
{{- end -}}
{{- if and (or $l.adapters $l.dynamic) (gt (int $l.maxCpuLoras) 0) (lt (int $l.maxCpuLoras) (int $l.maxLoras)) -}}
{{- $problems = append $problems (printf "engine.lora.maxCpuLoras (%d) is below engine.lora.maxLoras (%d): adapters pass through host memory. Raise it, or set it to 0."
      (int $l.maxCpuLoras) (int $l.maxLoras)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.speculative" -}}
{{- $s := .Values.engine.speculative -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- $needs := has $s.method (list "eagle" "eagle3" "draft_model") -}}
{{- if and $needs (eq (empty $s.id) (empty $s.path)) -}}
{{- $problems = append $problems (printf "engine.speculative.method is %s, which needs either engine.speculative.id or engine.speculative.path, and has %s. Name the model that drafts."
      $s.method (ternary "neither" "both" (empty $s.id))) -}}
{{- end -}}
{{- if and (not $needs) (or $s.id $s.path) -}}
{{- $problems = append $problems (printf "engine.speculative names a model (%s), but engine.speculative.method (%s) has none. Clear it, or choose eagle, eagle3 or draft_model."
      ($s.id | default $s.path) ($s.method | default "empty")) -}}
{{- end -}}
{{- if and $s.method (gt (int $p.pipeline) 1) -}}
{{- $problems = append $problems (printf "engine.speculative.method is %s, but parallelism.pipeline is %d: vLLM refuses drafts over several stages for most models. Set parallelism.pipeline=1, or clear the method."
      $s.method (int $p.pipeline)) -}}
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
{{- $problems = append $problems (printf "engine.kvOffload.sizeGiB (%s) does not fit memory.sharedMemory (%s), where the cache's copy lies. Raise memory.sharedMemory, memory.host.request and memory.host.limit by it."
      ($e.kvOffload.sizeGiB | toJson) .Values.memory.sharedMemory) -}}
{{- end -}}
{{- $wanted := dict
      "runner" (ternary "model.task" "" (ne .Values.model.task "generate"))
      "kv-offloading-size" (ternary "engine.kvOffload.sizeGiB" "" (ne ($e.kvOffload.sizeGiB | toJson) "0")) -}}
{{- range $flag := keys $wanted | sortAlpha -}}
{{- if and (index $wanted $flag) (eq $e.type "vllm") (not (index $.Facts.knows $flag)) -}}
{{- $problems = append $problems (printf "%s is set, but vLLM %s has no --%s. Set a newer engine.version, or clear the key."
      (index $wanted $flag) $e.version $flag) -}}
{{- end -}}
{{- end -}}
{{- $auto := index $e.args "enable-auto-tool-choice" | default false -}}
{{- $parser := index $e.args "tool-call-parser" | default "" -}}
{{- if and $auto (not $parser) -}}
{{- $problems = append $problems "engine.args.enable-auto-tool-choice is true, but engine.args.tool-call-parser is not set, and vLLM does not start so. Name the model's parser." -}}
{{- end -}}
{{- if and (ne .Values.model.task "generate") (or $e.speculative.method $auto) -}}
{{- $problems = append $problems (printf "model.task is %s, which writes no text, but drafts or tools are set. Clear engine.speculative.method and engine.args.enable-auto-tool-choice, or set model.task=generate."
      .Values.model.task) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
