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
      "lora" "speculative" "use" -}}
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

{{- /* One of them, refused when it is in the values, whatever its value. args: dict values, entry {key, since, use or way} */ -}}
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
{{- $problems = append $problems (printf "%s is set, which was %s in %s. %s" $entry.key $verb $entry.since $way) -}}
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

{{- /* Manifests are read by many: no token in them, wherever it was written. The form is that of the hub's user access tokens. */ -}}
{{- define "llm-serving.validate.tokens" -}}
{{- $problems := list -}}
{{- if regexMatch "hf_[A-Za-z0-9]{30,}" (toJson .Values) -}}
{{- $problems = append $problems "a value holds what looks like a Hugging Face token (hf_...), and would show it to everyone who may read the release. Put it into a Secret, name that in auth.hfToken.existingSecret, and revoke the token." -}}
{{- end -}}
{{- range .Values.engine.extraArgs -}}
{{- if regexMatch "^--(api-key|hf-token)(=|$)" . -}}
{{- $problems = append $problems (printf "engine.extraArgs gives %s, which everyone who may read pods would see. Use auth.apiKey.existingSecret or auth.hfToken.existingSecret."
      (regexFind "^--[a-z-]+" .)) -}}
{{- end -}}
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

{{- /* A quantity in Mi, Gi or Ti as MiB. args: the quantity */ -}}
{{- define "llm-serving.mebibytes" -}}
{{- $factor := ternary 1048576 (ternary 1024 1 (hasSuffix "Gi" .)) (hasSuffix "Ti" .) -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) $factor | int64 -}}
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
{{- $names := list "engine" "download" "fetch-model" "wait-model" -}}
{{- range concat .Values.initContainers .Values.sidecars -}}
{{- if has .name $names -}}
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

{{- define "llm-serving.validate.additions" -}}
{{- /* The chart's own: those that a user may mount once more, and those that come with a feature. */ -}}
{{- $always := list "models" "home" "tmp" "shm" -}}
{{- $sometimes := list "group" "source" "credentials" "tls" "download" "liveness" -}}
{{- $problems := list -}}
{{- $names := concat $always $sometimes -}}
{{- range .Values.extraVolumes -}}
{{- if has .name $names -}}
{{- $problems = append $problems (printf "extraVolumes name a volume %s, which is the chart's own name or stands twice. Choose another name." .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $paths := list "/llm/models" "/llm/home" "/tmp" "/dev/shm" "/llm/group" "/llm/liveness" "/llm/source" "/llm/credentials" "/llm/tls" "/llm/download" -}}
{{- range .Values.extraVolumeMounts -}}
{{- if or (not (has .name $names)) (has .name $sometimes) -}}
{{- $problems = append $problems (printf "extraVolumeMounts mount a volume %s, which extraVolumes does not name. Add it there." .name) -}}
{{- end -}}
{{- if has (trimSuffix "/" .mountPath) $paths -}}
{{- $problems = append $problems (printf "extraVolumeMounts mount %s at %s, where another volume is mounted. Choose another mountPath." .name .mountPath) -}}
{{- end -}}
{{- $paths = append $paths (trimSuffix "/" .mountPath) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
