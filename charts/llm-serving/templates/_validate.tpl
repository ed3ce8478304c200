{{- /*
Every refusal of the chart, collected: one fail that names all problems. Each helper gives a JSON list of messages of
the form "key (value found) rule. Way out."
*/ -}}
{{- define "llm-serving.validate" -}}
{{- $problems := list -}}
{{- range list "removed" "parallelism" "data" "expert" "accelerator" "gaudi" "controller" "network" "runtime" "model" "memory" "storage" "engine" "names" "source" "objectStore" "download" "tls" "expose" "routes" "adapt" "rollout" "scaling" "operators" "monitoring" "tokens" "additions" "requests" "versions" "extraArgs" "useEngine" "lora" "speculative" "use" -}}
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

{{- define "llm-serving.validate.model" -}}
{{- $m := .Values.model -}}
{{- $problems := list -}}
{{- if not (or $m.id (include "llm-serving.modelPath" .)) -}}
{{- $problems = append $problems "model.id is empty, and model.path too: nothing to serve. Set model.id, or use a generated values file." -}}
{{- end -}}
{{- if and $m.gated (not (include "llm-serving.modelPath" .)) (not .Values.auth.hfToken.existingSecret) -}}
{{- $problems = append $problems (printf "model.gated is true, but auth.hfToken.existingSecret is empty: %s needs a Hugging Face token. Create a Secret with the key %s and name it there." $m.id .Values.auth.hfToken.key) -}}
{{- end -}}
{{- if and (hasPrefix "/llm/models/" $m.path) (eq .Values.storage.type "emptyDir") -}}
{{- $problems = append $problems (printf "model.path (%s) lies on an emptyDir, which is empty at every start. Set storage.type to existingClaim or hostPath, or leave model.path away." $m.path) -}}
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
{{- $problems = append $problems (printf "memory.host.limit (%s) is not above memory.sharedMemory (%s), which counts against it. Raise memory.host.limit." $m.host.limit $m.sharedMemory) -}}
{{- end -}}
{{- if gt $request $limit -}}
{{- $problems = append $problems (printf "memory.host.request (%s) is above memory.host.limit (%s). Lower the request or raise the limit." $m.host.request $m.host.limit) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* A quantity in Mi, Gi or Ti as MiB. args: the quantity */ -}}
{{- define "llm-serving.mebibytes" -}}
{{- $factor := ternary 1048576 (ternary 1024 1 (hasSuffix "Gi" .)) (hasSuffix "Ti" .) -}}
{{- mulf (regexFind "^[0-9.]+" . | float64) $factor | int64 -}}
{{- end -}}

{{- define "llm-serving.validate.storage" -}}
{{- $s := .Values.storage -}}
{{- $problems := list -}}
{{- $p := .Values.parallelism -}}
{{- $shared := or (gt (int .Values.replicas) 1) (gt (int $p.nodes) 1) (eq .Values.rollout.mode "surge") -}}
{{- if and (eq $s.type "pvc") (has $s.accessMode (list "ReadWriteOnce" "ReadWriteOncePod")) $shared -}}
{{- $problems = append $problems (printf "storage.accessMode (%s) lets one node mount the claim, but replicas (%d), parallelism.nodes (%d) and rollout.mode (%s) may need it on several. Set storage.accessMode=ReadWriteMany, storage.type=perReplica (controller statefulset or leaderworkerset), or storage.type=emptyDir." $s.accessMode (int .Values.replicas) (int $p.nodes) .Values.rollout.mode) -}}
{{- end -}}
{{- if and (eq $s.type "perReplica") (not (has $p.controller (list "statefulset" "leaderworkerset"))) -}}
{{- $problems = append $problems (printf "storage.type is perReplica, but controller %s makes no claim per pod. Set parallelism.controller to statefulset or leaderworkerset, or another storage.type." $p.controller) -}}
{{- end -}}
{{- if and (eq $s.type "existingClaim") (not $s.existingClaim) -}}
{{- $problems = append $problems "storage.type is existingClaim, but storage.existingClaim is empty. Name the claim." -}}
{{- end -}}
{{- if and (ne $s.type "existingClaim") $s.existingClaim -}}
{{- $problems = append $problems (printf "storage.existingClaim (%s) is set, but storage.type is %s. Set storage.type=existingClaim." $s.existingClaim $s.type) -}}
{{- end -}}
{{- if and (eq $s.type "hostPath") (not $s.hostPath) -}}
{{- $problems = append $problems "storage.type is hostPath, but storage.hostPath is empty. Give the folder of the node." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* Variables that have a key of their own, or break the engine. */ -}}
{{- define "llm-serving.reservedEnv" -}}
HF_TOKEN: auth.hfToken.existingSecret
HUGGING_FACE_HUB_TOKEN: auth.hfToken.existingSecret
VLLM_API_KEY: auth.apiKey.existingSecret
API_KEY: auth.apiKey.existingSecret
NCCL_SOCKET_IFNAME: network.ncclInterface
GLOO_SOCKET_IFNAME: network.glooInterface
NCCL_IB_HCA: network.rdma.hca
NCCL_IB_GID_INDEX: network.rdma.gidIndex
VLLM_HOST_IP: parallelism (the chart takes the pod's own address)
TRANSFORMERS_CACHE: storage (one cache variable only)
HUGGINGFACE_HUB_CACHE: storage (one cache variable only)
VLLM_PORT: service.port (the variable is an internal port of the engine)
{{- end -}}

{{- define "llm-serving.validate.engine" -}}
{{- $problems := list -}}
{{- $flags := include (printf "llm-serving.%s.reservedFlags" .Values.engine.type) . | fromYaml -}}
{{- range $name := keys .Values.engine.args | sortAlpha -}}
{{- with index $flags ($name | trimPrefix "no-") -}}
{{- $problems = append $problems (printf "engine.args.%s is set by the chart. Use %s." $name .) -}}
{{- end -}}
{{- end -}}
{{- $env := merge (include "llm-serving.reservedEnv" . | fromYaml) (include "llm-serving.accelerator.reservedEnv" . | fromYaml) -}}
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
{{- /* Images for Gaudi have no other tag: their version is in the repository's name. */ -}}
{{- if and (eq .Values.engine.image.tag "latest") (ne .Values.gpu.vendor "gaudi") -}}
{{- $problems = append $problems "engine.image.tag is latest, which changes under a running release. Name a version, or a digest." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.names" -}}
{{- $problems := list -}}
{{- $name := include "llm-serving.fullname" . -}}
{{- if not (regexMatch "^[a-z]" $name) -}}
{{- $problems = append $problems (printf "the Service would be named %s, which does not begin with a letter. Choose another release name or fullnameOverride." $name) -}}
{{- end -}}
{{- if eq $name "vllm" -}}
{{- $problems = append $problems "the Service would be named vllm, from which other pods get VLLM_PORT, and vLLM does not start with that. Choose another release name or fullnameOverride." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
