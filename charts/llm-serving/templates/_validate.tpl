{{- /*
Every refusal of the chart, collected: one fail that names all problems. Each helper gives a JSON list of messages of
the form "key (value found) rule. Way out." Here: names, tokens, and what pods are given and what users add to them.
args of all, unless told otherwise: the root context
*/ -}}

{{- define "llm-serving.validate" -}}
{{- $problems := list -}}
{{- range list "removed" "parallelism" "data" "expert" "accelerator" "gaudi" "controller" "network" "runtime"
      "model" "memory" "storage" "engine" "names" "source" "objectStore" "download" "tls" "expose" "routes" "adapt"
      "rollout" "scaling" "operators" "monitoring" "tokens" "additions" "requests" "versions" "extraArgs" "useEngine"
      "lora" "speculative" "use" "foreign" "unused" "service" "ports" "claims" "tracing" -}}
{{- $problems = concat $problems (include (printf "llm-serving.validate.%s" .) $ | fromJsonArray) -}}
{{- end -}}
{{- if $problems -}}
{{- $lines := list (printf "llm-serving: %d problem%s with the values:" (len $problems) (ternary "" "s" (eq (len $problems) 1))) -}}
{{- range $index, $problem := $problems -}}
{{- $lines = append $lines (printf "  %d. %s" (add $index 1) $problem) -}}
{{- end -}}
{{- fail (printf "\n%s" (join "\n" $lines)) -}}
{{- end -}}
{{- end -}}

{{- /* Keys that were renamed or dropped: files/removed.json, made from schema/removed.yaml. */ -}}
{{- define "llm-serving.validate.removed" -}}
{{- $problems := list -}}
{{- range .Files.Get "files/removed.json" | fromJsonArray -}}
{{- $problems = concat $problems (include "llm-serving.removedKey" (dict "values" $.Values "entry" .) | fromJsonArray) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* Names that other charts give to a key of this one: files/idioms.json, made from schema/idioms.yaml. */ -}}
{{- define "llm-serving.validate.foreign" -}}
{{- $problems := list -}}
{{- range .Files.Get "files/idioms.json" | fromJsonArray -}}
{{- $problems = concat $problems (include "llm-serving.removedKey" (dict "values" $.Values "entry" .) | fromJsonArray) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* One of them, refused when it is in the values, whatever its value. args: dict values, entry {key, since (but for other charts' names), use or way} */ -}}
{{- define "llm-serving.removedKey" -}}
{{- $entry := .entry -}}
{{- $problems := list -}}
{{- $node := .values -}}
{{- $found := true -}}
{{- range splitList "." $entry.key -}}
{{- $found = and $found (kindIs "map" $node) -}}
{{- if $found }}{{ $found = hasKey $node . }}{{ $node = get $node . }}{{ end -}}
{{- end -}}
{{- if $found -}}
{{- $way := $entry.way | default (printf "Use %s." $entry.use) -}}
{{- $verb := ternary "renamed" "removed" (hasKey $entry "use") -}}
{{- $what := hasKey $entry "since" | ternary (printf "was %s in %s" $verb ($entry.since | default "")) "is no key of this chart" -}}
{{- $problems = append $problems (printf "%s is set, which %s. %s" $entry.key $what $way) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.names" -}}
{{- $problems := list -}}
{{- $name := .Facts.fullname -}}
{{- if not (regexMatch "^[a-z]" $name) -}}
{{- $problems = append $problems (printf "the Service would be named %s, which does not begin with a letter. Choose another release name or fullnameOverride."
      $name) -}}
{{- end -}}
{{- if eq $name "vllm" -}}
{{- $problems = append $problems "the Service would be named vllm, from which other pods get VLLM_PORT, and vLLM does not start with that. Choose another release name or fullnameOverride." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /*
Manifests are read by many: no token in them, wherever it was written. The regular expressions are schema/secrets.yaml's,
which `llm-serving validate` asks too.
*/ -}}
{{- define "llm-serving.validate.tokens" -}}
{{- $problems := list -}}
{{- $secrets := .Files.Get "files/secrets.json" | fromJson -}}
{{- $e := .Values.engine -}}
{{- if regexMatch "hf_[A-Za-z0-9]{30,}" (toJson .Values) -}}
{{- $problems = append $problems "a value holds what looks like a Hugging Face token (hf_...), and would show it to everyone who may read the release. Put it into a Secret, name that in auth.hfToken.existingSecret, and revoke the token." -}}
{{- else if regexMatch $secrets.shapes (toJson .Values) -}}
{{- $problems = append $problems "a value holds what looks like a key or token, and would show it to everyone who may read the release. Put it into a Secret, name that, and revoke the key." -}}
{{- end -}}
{{- if regexMatch $secrets.address (toJson .Values) -}}
{{- $problems = append $problems "a value holds an address with user and password (://user:...@), and would show them to everyone who may read the release. Put the address into a Secret, and take it from there in engine.extraEnv (valueFrom)." -}}
{{- end -}}
{{- $lines := dict "engine.extraArgs" $e.extraArgs "engine.command" $e.command "engine.downloadCommand" $e.downloadCommand
      "model.download.command" .Values.model.download.command -}}
{{- range $key := keys $lines | sortAlpha -}}
{{- range $word := index $lines $key -}}
{{- $problems = concat $problems (include "llm-serving.secretWord" (dict "key" $key "word" $word "secrets" $secrets) | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- range $name := keys $e.args | sortAlpha -}}
{{- $flag := printf "--%s" (lower $name | replace "_" "-") -}}
{{- if and (regexMatch $secrets.arguments $flag) (not (hasKey $.Facts.reservedFlags $name)) -}}
{{- $problems = append $problems (printf "engine.args gives --%s, which everyone who may read pods would see. Use auth.apiKey.existingSecret or auth.hfToken.existingSecret." $name) -}}
{{- end -}}
{{- end -}}
{{- if or (regexMatch $secrets.options (toJson $e.args)) (regexMatch $secrets.options (toJson $e.speculative.options)) -}}
{{- $problems = append $problems "engine.args gives a key or token, which everyone who may read pods would see. Use auth.apiKey.existingSecret or auth.hfToken.existingSecret." -}}
{{- end -}}
{{- $plain := list -}}
{{- range $name, $value := $e.env }}{{ $plain = append $plain (dict "name" $name "value" $value) }}{{ end -}}
{{- range concat $plain $e.extraEnv -}}
{{- $value := .value | default "" | toString -}}
{{- if and (regexMatch $secrets.variables (upper .name)) (not (regexMatch $secrets.harmless $value)) (not (hasKey $.Facts.reservedEnv .name)) -}}
{{- $problems = append $problems (printf "engine.env or engine.extraEnv gives %s as text, which everyone who may read pods would see. Take it from a Secret in engine.extraEnv (valueFrom), or name one in model.source.existingSecret."
      .name) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* One word of a command line that holds a key. args: dict key (where it stands), word, secrets (the regular expressions) */ -}}
{{- define "llm-serving.secretWord" -}}
{{- $problems := list -}}
{{- $plain := lower .word | replace "_" "-" -}}
{{- if regexMatch .secrets.arguments $plain -}}
{{- $problems = append $problems (printf "%s gives %s, which everyone who may read pods would see. Use auth.apiKey.existingSecret or auth.hfToken.existingSecret."
      .key (regexFind "--?[a-z-]+" (regexFind .secrets.arguments $plain))) -}}
{{- else if or (regexMatch .secrets.assignments .word) (regexMatch .secrets.options .word) -}}
{{- $problems = append $problems (printf "%s gives a key or token, which everyone who may read pods would see. Use auth.apiKey.existingSecret or auth.hfToken.existingSecret." .key) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.memory" -}}
{{- $m := .Values.memory -}}
{{- $problems := list -}}
{{- $limit := include "llm-serving.mebibytes" $m.host.limit | int64 -}}
{{- $request := include "llm-serving.mebibytes" $m.host.request | int64 -}}
{{- $shared := include "llm-serving.mebibytes" $m.sharedMemory | int64 -}}
{{- if le $limit $shared -}}
{{- $problems = append $problems (printf "memory.host.limit (%s) is not above memory.sharedMemory (%s), which counts against it. Raise memory.host.limit."
      $m.host.limit $m.sharedMemory) -}}
{{- end -}}
{{- if gt $request $limit -}}
{{- $problems = append $problems (printf "memory.host.request (%s) is above memory.host.limit (%s). Lower the request or raise the limit."
      $m.host.request $m.host.limit) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* A quantity as MiB, rounded down. args: the quantity */ -}}
{{- define "llm-serving.mebibytes" -}}
{{- $bytes := dict "" 1 "M" 1e6 "G" 1e9 "T" 1e12 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- divf (mulf (regexFind "^[0-9.]+" . | float64) (index $bytes (regexFind "[A-Za-z]*$" .))) 1048576 | floor | int64 -}}
{{- end -}}

{{- define "llm-serving.validate.requests" -}}
{{- $v := .Values -}}
{{- $problems := list -}}
{{- $request := include "llm-serving.millicpus" $v.cpu.request | int64 -}}
{{- $limit := include "llm-serving.millicpus" ($v.cpu.limit | default "0") | int64 -}}
{{- if and $v.cpu.limit (gt $request $limit) -}}
{{- $problems = append $problems (printf "cpu.request (%s) is above cpu.limit (%s). Lower the request or raise the limit." $v.cpu.request $v.cpu.limit) -}}
{{- end -}}
{{- if and (eq $v.engine.type "tgis") (eq (int $v.service.port) (int $v.service.grpcPort)) -}}
{{- $problems = append $problems (printf "service.port and service.grpcPort are both %d. Choose another number for one of them." (int $v.service.port)) -}}
{{- end -}}
{{- if and $v.network.rdma.enabled (eq $v.network.rdma.resourceName $v.gpu.resourceName) -}}
{{- $problems = append $problems (printf "network.rdma.resourceName and gpu.resourceName are both %s. Name the RDMA device plugin's own resource."
      $v.gpu.resourceName) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* CPUs as thousandths. args: the quantity */ -}}
{{- define "llm-serving.millicpus" -}}
{{- $number := regexFind "^[0-9.]+" . | float64 -}}
{{- hasSuffix "m" . | ternary $number (mulf $number 1000) | int64 -}}
{{- end -}}

{{- define "llm-serving.validate.adapt" -}}
{{- $problems := list -}}
{{- $names := list "engine" "download" -}}
{{- range concat .Values.initContainers .Values.sidecars -}}
{{- if or (has .name $names) (regexMatch "^(fetch|wait)-(model|extra-[0-9]+)$" .name) -}}
{{- $problems = append $problems (printf "initContainers or sidecars name a container %s, which is the chart's own name or stands twice. Choose another name."
      .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- if and .Values.sidecars (semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version) -}}
{{- $problems = append $problems (printf "sidecars are set, but the cluster is Kubernetes %s, and native sidecars are on from 1.29. Upgrade, or clear them."
      .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $e := .Values.storage.ephemeral -}}
{{- $limit := include "llm-serving.mebibytes" ($e.limit | default "0") | int64 -}}
{{- $request := include "llm-serving.mebibytes" ($e.request | default "0") | int64 -}}
{{- $size := include "llm-serving.mebibytes" .Values.storage.size | int64 -}}
{{- if and $e.limit $e.request (gt $request $limit) -}}
{{- $problems = append $problems (printf "storage.ephemeral.request (%s) is above storage.ephemeral.limit (%s). Lower the request or raise the limit."
      $e.request $e.limit) -}}
{{- end -}}
{{- if and $e.limit (eq .Values.storage.type "emptyDir") (gt $size $limit) -}}
{{- $problems = append $problems (printf "storage.ephemeral.limit (%s) is below storage.size (%s): the pod would be evicted before its emptyDir is full. Raise the limit."
      $e.limit .Values.storage.size) -}}
{{- end -}}
{{- if not .Values.enabled -}}
{{- $problems = append $problems "enabled is false, which only a parent chart's condition acts on. Name it there (condition: ALIAS.enabled), or uninstall the release." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.tracing" -}}
{{- $t := .Values.monitoring.tracing -}}
{{- $problems := list -}}
{{- $vllm := eq .Facts.engine "vllm" -}}
{{- if and .Facts.tracing (not $vllm) (ne $t.protocol "grpc") -}}
{{- $problems = append $problems (printf "monitoring.tracing.protocol is %s, but engine.type %s sends traces by gRPC alone. Set it to grpc." $t.protocol .Facts.engine) -}}
{{- end -}}
{{- if and .Facts.tracing (not $vllm) $t.detailed -}}
{{- $problems = append $problems (printf "monitoring.tracing.detailed (%s) is set, but engine.type is %s, which does not know it. Clear it." (join ", " $t.detailed) .Facts.engine) -}}
{{- end -}}
{{- if and .Facts.tracing .Values.networkPolicy.enabled (not $t.to) -}}
{{- $problems = append $problems "monitoring.tracing.endpoint is set and networkPolicy.enabled is true, but monitoring.tracing.to is empty: no trace would get out. Name the collector's namespace or addresses." -}}
{{- end -}}
{{- range $kind := list "serviceMonitor" "podMonitor" -}}
{{- $m := index $.Values.monitoring $kind -}}
{{- if and $m.enabled $m.namespace (ne $m.namespace $.Facts.namespace) $.Facts.https (not $m.tlsConfig) -}}
{{- $problems = append $problems (printf "monitoring.%s.namespace is %s and the engine speaks TLS: the Prometheus operator reads the authority from that namespace, where tls.ca or tls.existingSecret is not. Clear the namespace, or say in monitoring.%s.tlsConfig what is there."
      $kind $m.namespace $kind) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
