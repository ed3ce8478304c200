{{- /* Refusals about pods: how many, of which kind, on which devices; see _validate.tpl. args of all: the root context */ -}}

{{- define "llm-serving.validate.parallelism" -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- $needed := mul $p.tensor $p.pipeline $p.data -}}
{{- $given := mul $p.nodes $p.gpusPerNode -}}
{{- if ne $needed $given -}}
{{- $problems = append $problems (printf "parallelism.tensor (%d) x parallelism.pipeline (%d)%s needs %d GPUs, but nodes (%d) x gpusPerNode (%d) gives %d. Make both products equal."
      (int $p.tensor) (int $p.pipeline) (ternary (printf " x parallelism.data (%d)" (int $p.data)) "" (gt (int $p.data) 1))
      (int $needed) (int $p.nodes) (int $p.gpusPerNode) (int $given)) -}}
{{- end -}}
{{- if and .Facts.severalPods (eq $p.controller "deployment") -}}
{{- $problems = append $problems (printf "parallelism.nodes (%d) is above 1, but controller deployment runs one engine on one node. Set parallelism.controller to statefulset (no operator needed), leaderworkerset or raycluster, or parallelism.nodes=1."
      (int $p.nodes)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.data" -}}
{{- $p := .Values.parallelism -}}
{{- $e := .Values.engine -}}
{{- $problems := list -}}
{{- if and (gt (int $p.data) 1) (ne $e.type "vllm") -}}
{{- $problems = append $problems (printf "parallelism.data is %d, but engine.type %s knows no data parallel. Set parallelism.data=1 and replicas=%d, or engine.type=vllm."
      (int $p.data) $e.type (int $p.data)) -}}
{{- end -}}
{{- if and (gt (int $p.data) 1) (eq $e.type "vllm") (not (index .Facts.knows "data-parallel-start-rank")) -}}
{{- $problems = append $problems (printf "parallelism.data is %d, but vllm %s cannot be started that way (0.9.2 and newer can). Set parallelism.data=1 and replicas=%d, or a newer engine.version."
      (int $p.data) $e.version (int $p.data)) -}}
{{- end -}}
{{- if and (gt (int $p.data) 1) (eq $p.executor "ray") -}}
{{- $problems = append $problems (printf "parallelism.data is %d, but with parallelism.executor ray the engines of several pods wait for each other for ever (vLLM issue 44878). Set parallelism.executor=mp and parallelism.controller to statefulset or leaderworkerset."
      (int $p.data)) -}}
{{- end -}}
{{- if and .Facts.dataOverPods (ne (mod (int $p.data) (int $p.nodes)) 0) -}}
{{- $problems = append $problems (printf "parallelism.data (%d) does not divide by parallelism.nodes (%d): every pod holds whole engines. Set parallelism.data to a multiple of parallelism.nodes, or parallelism.data=1."
      (int $p.data) (int $p.nodes)) -}}
{{- end -}}
{{- if and (gt (int $p.apiServers) 1) (le (int $p.data) 1) -}}
{{- $problems = append $problems (printf "parallelism.apiServers is %d, but parallelism.data is 1: one engine needs one API server. Set parallelism.apiServers=1."
      (int $p.apiServers)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.expert" -}}
{{- $p := .Values.parallelism -}}
{{- $e := .Values.engine -}}
{{- $problems := list -}}
{{- if and $p.expert (ne $e.type "vllm") -}}
{{- $problems = append $problems (printf "parallelism.expert is true, but engine.type %s knows no expert parallel. Set parallelism.expert=false, or engine.type=vllm."
      $e.type) -}}
{{- end -}}
{{- if and $p.expert (le (int $p.tensor) 1) (le (int $p.data) 1) -}}
{{- $problems = append $problems "parallelism.expert is true, but parallelism.tensor and parallelism.data are 1: there is no rank to divide experts over. Set parallelism.expert=false, or raise one of them." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.accelerator" -}}
{{- $g := .Values.gpu -}}
{{- $e := .Values.engine -}}
{{- $problems := list -}}
{{- $resource := index (dict "nvidia" "" "amd" "amd.com/" "gaudi" "habana.ai/") $g.vendor -}}
{{- if and $g.resourceName (not (hasPrefix $resource $g.resourceName)) -}}
{{- $problems = append $problems (printf "gpu.vendor is %s, but gpu.resourceName is %s. Set gpu.resourceName to one that begins with %s, or gpu.vendor=nvidia."
      $g.vendor $g.resourceName $resource) -}}
{{- end -}}
{{- $images := dict
      "amd" "vllm/vllm-openai-rocm"
      "gaudi" "that of a Gaudi image, such as gaudi-docker/1.24.1/ubuntu24.04/habanalabs/vllm-0.26.0-ptupstream-2.11.0 of vault.habana.ai" -}}
{{- if and (ne $g.vendor "nvidia") (eq $e.type "vllm") (eq $e.image.repository "vllm/vllm-openai") -}}
{{- $problems = append $problems (printf "gpu.vendor is %s, but engine.image.repository (%s) holds code for NVIDIA GPUs. Set it to %s."
      $g.vendor $e.image.repository (index $images $g.vendor)) -}}
{{- end -}}
{{- if and (ne $g.vendor "nvidia") (eq $e.type "tgis") -}}
{{- $problems = append $problems (printf "gpu.vendor is %s, but engine.type tgis runs on NVIDIA GPUs only. Set engine.type=vllm, or gpu.vendor=nvidia."
      $g.vendor) -}}
{{- end -}}
{{- if and (ne $g.vendor "nvidia") .Values.monitoring.dashboard.dcgm -}}
{{- $problems = append $problems (printf "monitoring.dashboard.dcgm is true, but gpu.vendor is %s: dcgm-exporter knows NVIDIA GPUs only. Set it to false."
      $g.vendor) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.gaudi" -}}
{{- $g := .Values.gpu -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- if and (eq $g.vendor "gaudi") (or .Facts.severalPods (gt (int $p.pipeline) 1)) -}}
{{- $problems = append $problems (printf "gpu.vendor is gaudi, but parallelism.nodes is %d and parallelism.pipeline %d: engines for Gaudi serve inside one node, without pipeline stages. Set both to 1."
      (int $p.nodes) (int $p.pipeline)) -}}
{{- end -}}
{{- if and (eq $g.vendor "gaudi") $p.expert -}}
{{- $problems = append $problems "gpu.vendor is gaudi, but parallelism.expert is true, which vllm-gaudi does not list among its features. Set parallelism.expert=false." -}}
{{- end -}}
{{- if and $g.hugepages .Values.network.rdma.hugepages -}}
{{- $problems = append $problems (printf "gpu.hugepages (%s) and network.rdma.hugepages (%s) ask for the same resource. Give the sum to one of them and clear the other."
      $g.hugepages .Values.network.rdma.hugepages) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.controller" -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- if and (eq $p.controller "raycluster") (ne $p.executor "ray") -}}
{{- $problems = append $problems (printf "parallelism.controller is raycluster, but parallelism.executor is %s. Set parallelism.executor=ray, or parallelism.controller=statefulset."
      $p.executor) -}}
{{- end -}}
{{- if and (eq $p.executor "ray") (not .Facts.severalPods) -}}
{{- $problems = append $problems "parallelism.executor is ray, but parallelism.nodes is 1: one node needs no Ray. Set parallelism.executor=mp." -}}
{{- end -}}
{{- if and (eq $p.executor "ray") (not .Values.engine.hasRay) -}}
{{- $problems = append $problems (printf "parallelism.executor is ray, but engine.hasRay is false: stock images have no Ray since vLLM 0.18.0 (this is %s). Set parallelism.executor=mp, or name an image that holds Ray and set engine.hasRay=true."
      .Values.engine.version) -}}
{{- end -}}
{{- $apis := dict
      "leaderworkerset" (list "leaderworkerset.x-k8s.io/v1" "LeaderWorkerSet operator 0.9 or newer")
      "raycluster" (list "ray.io/v1" "KubeRay operator 1.6 or newer") -}}
{{- with index $apis $p.controller -}}
{{- if not (or $.Values.skipApiCheck ($.Capabilities.APIVersions.Has (first .))) -}}
{{- $problems = append $problems (printf "parallelism.controller is %s, but the cluster does not serve %s. Install the %s, set parallelism.controller=statefulset (with executor mp), or skipApiCheck=true to render without a cluster."
      $p.controller (first .) (last .)) -}}
{{- end -}}
{{- end -}}
{{- if and (ne $p.controller "deployment") (ne $p.controller "leaderworkerset") (eq .Values.rollout.mode "surge") -}}
{{- $problems = append $problems (printf "rollout.mode is surge, but controller %s replaces its pods in place. Set rollout.mode=recreate, or use deployment or leaderworkerset."
      $p.controller) -}}
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
{{- if and $r.enabled (not .Facts.severalPods) -}}
{{- $problems = append $problems "network.rdma.enabled is true, but parallelism.nodes is 1: nothing crosses the network. Set network.rdma.enabled=false." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* One workload per engine: Helm changes them all at once, so the order is the workload's only where there is one. */ -}}
{{- define "llm-serving.validate.rollout" -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- if and (eq .Values.rollout.mode "replaceOneByOne") (has $p.controller (list "statefulset" "raycluster")) (gt .Facts.replicas 1) -}}
{{- $problems = append $problems (printf "rollout.mode is replaceOneByOne, but controller %s has an object of its own for each of the %d engines, which an upgrade changes all at once. Set rollout.mode=recreate, or parallelism.controller=leaderworkerset."
      $p.controller (int .Values.replicas)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.scaling" -}}
{{- $s := .Values.scaling -}}
{{- $p := .Values.parallelism -}}
{{- $auto := .Facts.autoscaled -}}
{{- $problems := list -}}
{{- if and $s.hpa.enabled $s.keda.enabled -}}
{{- $problems = append $problems "scaling.hpa.enabled and scaling.keda.enabled are both true: two autoscalers would fight over one workload. Keep one." -}}
{{- end -}}
{{- if and $auto (has $p.controller (list "statefulset" "raycluster")) -}}
{{- $problems = append $problems (printf "scaling is enabled, but parallelism.controller is %s: the replicas of such an object are the members of one engine, and every engine is an object of its own. Set parallelism.controller=leaderworkerset, whose replicas are whole engines, or set replicas."
      $p.controller) -}}
{{- end -}}
{{- if and $auto (gt .Facts.replicas 1) (gt .Facts.replicas (int64 $s.maxReplicas)) -}}
{{- $problems = append $problems (printf "replicas is %d, but scaling.maxReplicas is %d: the autoscaler would end %d of them at once. Raise scaling.maxReplicas, or lower replicas first."
      .Facts.replicas (int $s.maxReplicas) (sub .Facts.replicas (int64 $s.maxReplicas))) -}}
{{- end -}}
{{- if and $auto (gt (int $s.minReplicas) (int $s.maxReplicas)) -}}
{{- $problems = append $problems (printf "scaling.minReplicas (%d) is above scaling.maxReplicas (%d). Raise maxReplicas."
      (int $s.minReplicas) (int $s.maxReplicas)) -}}
{{- end -}}
{{- /* With several replicas, several nodes or a surge the claim itself is refused. */ -}}
{{- $told := or (gt .Facts.replicas 1) .Facts.severalPods (eq .Values.rollout.mode "surge") -}}
{{- $alone := and (eq .Values.storage.type "pvc") (ne .Values.storage.accessMode "ReadWriteMany") -}}
{{- if and $auto (gt (int $s.maxReplicas) 1) $alone (not $told) -}}
{{- $problems = append $problems (printf "scaling.maxReplicas is %d, but storage.accessMode (%s) lets one node mount the claim. Set storage.accessMode=ReadWriteMany, or storage.type=emptyDir."
      (int $s.maxReplicas) .Values.storage.accessMode) -}}
{{- end -}}
{{- if and $auto $s.kvCacheUsage (ne .Values.engine.type "vllm") -}}
{{- $problems = append $problems (printf "scaling.kvCacheUsage is set, but %s tells nothing of its KV cache. Set it to 0." .Values.engine.type) -}}
{{- end -}}
{{- $alone := list -}}
{{- range $s.keda.authModes }}{{ if has . (list "bearer" "basic" "oauth") }}{{ $alone = append $alone . }}{{ end }}{{ end -}}
{{- if and $s.keda.enabled $s.keda.authentication (gt (len $alone) 1) -}}
{{- $problems = append $problems (printf "scaling.keda.authModes has %s, of which KEDA takes one. Keep one." (join " and " $alone)) -}}
{{- end -}}
{{- if and $s.keda.enabled (not $s.keda.serverAddress) -}}
{{- $problems = append $problems "scaling.keda.enabled is true, but scaling.keda.serverAddress is empty. Give the URL of Prometheus, such as http://prometheus-operated.monitoring:9090." -}}
{{- end -}}
{{- $start := .Facts.deadlineSeconds -}}
{{- if and $s.keda.enabled $s.keda.cooldownSeconds (lt (int64 $s.keda.cooldownSeconds) $start) -}}
{{- $problems = append $problems (printf "scaling.keda.cooldownSeconds (%d) is shorter than a start may take (%d s): engines would go before they have served. Set it to %d or more, or to 0."
      (int $s.keda.cooldownSeconds) $start $start) -}}
{{- end -}}
{{- if and $s.keda.scaleToZero.enabled (not $s.keda.enabled) -}}
{{- $problems = append $problems "scaling.keda.scaleToZero.enabled is true, but scaling.keda.enabled is false: only KEDA scales to zero. Set scaling.keda.enabled=true." -}}
{{- end -}}
{{- if and $s.keda.scaleToZero.enabled (not $s.keda.scaleToZero.query) -}}
{{- $problems = append $problems "scaling.keda.scaleToZero.enabled is true, but scaling.keda.scaleToZero.query is empty: without engines no queue is seen, and none would ever start. Give a query of the gateway's requests." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* Fields that an older API server would drop without a word. */ -}}
{{- define "llm-serving.validate.versions" -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- $apart := and (eq $p.controller "leaderworkerset") .Facts.severalPods (not $p.shareNodes) -}}
{{- if and $apart (not .Values.skipApiCheck) (semverCompare "<1.31.0-0" .Capabilities.KubeVersion.Version) -}}
{{- $problems = append $problems (printf "parallelism.controller is leaderworkerset and parallelism.shareNodes is false, but the cluster is Kubernetes %s, and what keeps a group's members apart (matchLabelKeys) came with 1.31. Upgrade, set parallelism.shareNodes=true, or parallelism.controller=statefulset."
      .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
