{{- /* Refusals about the layout of pods and the engine in them; see _validate.tpl. args of all: the root context */ -}}

{{- define "llm-serving.validate.parallelism" -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- $needed := mul $p.tensor $p.pipeline $p.data -}}
{{- $given := mul $p.nodes $p.gpusPerNode -}}
{{- if ne $needed $given -}}
{{- $problems = append $problems (printf "parallelism.tensor (%d) x parallelism.pipeline (%d)%s needs %d GPUs, but nodes (%d) x gpusPerNode (%d) gives %d. Make both products equal." (int $p.tensor) (int $p.pipeline) (ternary (printf " x parallelism.data (%d)" (int $p.data)) "" (gt (int $p.data) 1)) (int $needed) (int $p.nodes) (int $p.gpusPerNode) (int $given)) -}}
{{- end -}}
{{- if and (gt (int $p.nodes) 1) (eq $p.controller "deployment") -}}
{{- $problems = append $problems (printf "parallelism.nodes (%d) is above 1, but controller deployment runs one engine on one node. Set parallelism.controller to statefulset (no operator needed), leaderworkerset or raycluster, or parallelism.nodes=1." (int $p.nodes)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.controller" -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- if and (eq $p.controller "raycluster") (ne $p.executor "ray") -}}
{{- $problems = append $problems (printf "parallelism.controller is raycluster, but parallelism.executor is %s. Set parallelism.executor=ray, or parallelism.controller=statefulset." $p.executor) -}}
{{- end -}}
{{- if and (eq $p.executor "ray") (le (int $p.nodes) 1) -}}
{{- $problems = append $problems "parallelism.executor is ray, but parallelism.nodes is 1: one node needs no Ray. Set parallelism.executor=mp." -}}
{{- end -}}
{{- if and (eq $p.executor "ray") (not .Values.engine.hasRay) -}}
{{- $problems = append $problems (printf "parallelism.executor is ray, but engine.hasRay is false: stock images have no Ray since vLLM 0.18.0 (this is %s). Set parallelism.executor=mp, or name an image that holds Ray and set engine.hasRay=true." .Values.engine.version) -}}
{{- end -}}
{{- $apis := dict "leaderworkerset" (list "leaderworkerset.x-k8s.io/v1" "LeaderWorkerSet operator 0.9 or newer") "raycluster" (list "ray.io/v1" "KubeRay operator 1.6 or newer") -}}
{{- with index $apis $p.controller -}}
{{- if not (or $.Values.skipApiCheck ($.Capabilities.APIVersions.Has (first .))) -}}
{{- $problems = append $problems (printf "parallelism.controller is %s, but the cluster does not serve %s. Install the %s, set parallelism.controller=statefulset (with executor mp), or skipApiCheck=true to render without a cluster." $p.controller (first .) (last .)) -}}
{{- end -}}
{{- end -}}
{{- if and (ne $p.controller "deployment") (ne $p.controller "leaderworkerset") (eq .Values.rollout.mode "surge") -}}
{{- $problems = append $problems (printf "rollout.mode is surge, but controller %s replaces its pods in place. Set rollout.mode=recreate, or use deployment or leaderworkerset." $p.controller) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.network" -}}
{{- $n := .Values.network -}}
{{- $r := $n.rdma -}}
{{- $problems := list -}}
{{- $set := or $r.resourceName $r.hugepages $r.hca (ge (int $r.gidIndex) 0) -}}
{{- if and $set (not $r.enabled) -}}
{{- $problems = append $problems "network.rdma has settings, but network.rdma.enabled is false. Set it to true, or clear resourceName, hugepages, hca and gidIndex." -}}
{{- end -}}
{{- if and $r.enabled (not $r.resourceName) -}}
{{- $problems = append $problems "network.rdma.enabled is true, but network.rdma.resourceName is empty. Name the device plugin's resource, such as rdma/hca_shared_devices_a or vpc.amazonaws.com/efa." -}}
{{- end -}}
{{- $efa := eq $r.resourceName "vpc.amazonaws.com/efa" -}}
{{- if and $r.enabled $efa (not $r.hugepages) -}}
{{- $problems = append $problems "network.rdma.resourceName is vpc.amazonaws.com/efa, but network.rdma.hugepages is empty: EFA needs huge pages of 2 MiB. Set it, such as 5120Mi." -}}
{{- end -}}
{{- if and $r.enabled $r.resourceName (not $efa) (not $r.hca) -}}
{{- $problems = append $problems "network.rdma.enabled is true, but network.rdma.hca is empty: NCCL would fall back to TCP without a word. Set it, such as mlx5." -}}
{{- end -}}
{{- if and $r.enabled (le (int .Values.parallelism.nodes) 1) -}}
{{- $problems = append $problems "network.rdma.enabled is true, but parallelism.nodes is 1: nothing crosses the network. Set network.rdma.enabled=false." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.runtime" -}}
{{- $e := .Values.engine -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- $sharded := has $e.type (list "tgi" "tgis") -}}
{{- if and $sharded (or (gt (int $p.nodes) 1) (gt (int $p.pipeline) 1)) -}}
{{- $problems = append $problems (printf "engine.type %s shards inside one node, but parallelism.nodes is %d and parallelism.pipeline %d. Set both to 1, or engine.type=vllm." $e.type (int $p.nodes) (int $p.pipeline)) -}}
{{- end -}}
{{- if and (eq $e.type "tgi") (not (or .Values.security.allowRoot $e.rootless)) -}}
{{- $problems = append $problems (printf "engine.type is tgi, whose images 3.1.1 to 3.3.7 keep Python below /root and start as root only (this is %s). Set security.allowRoot=true (the namespace must admit Pod Security baseline, OpenShift needs the SCC anyuid), or name a rebuilt image and set engine.rootless=true." $e.version) -}}
{{- end -}}
{{- if and .Values.security.allowRoot (or (ne $e.type "tgi") $e.rootless) -}}
{{- $problems = append $problems (printf "security.allowRoot is true, but engine.type %s needs no root%s. Set security.allowRoot=false." $e.type (ternary " with engine.rootless" "" $e.rootless)) -}}
{{- end -}}
{{- if and $sharded .Values.model.servedName -}}
{{- $problems = append $problems (printf "model.servedName (%s) is set, but %s answers under its model's id. Clear it." .Values.model.servedName $e.type) -}}
{{- end -}}
{{- if and (eq $e.type "tgis") .Values.auth.apiKey.existingSecret -}}
{{- $problems = append $problems "auth.apiKey.existingSecret is set, but tgis knows no API key. Clear it, and guard the Service by other means." -}}
{{- end -}}
{{- if and (not .Values.gpu.resourceName) (ne $e.type "vllm") -}}
{{- $problems = append $problems (printf "gpu.resourceName is empty (no GPU), but engine.type %s runs on GPUs only. Set gpu.resourceName, or engine.type=vllm." $e.type) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
