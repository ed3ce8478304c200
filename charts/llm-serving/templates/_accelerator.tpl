{{- /* What differs between accelerators: NVIDIA and AMD GPUs, Intel Gaudi. args of all: the root context */ -}}

{{- /* Variables of the vendor's software, as far as its defaults do not fit a pod without root. */ -}}
{{- define "llm-serving.accelerator.env" -}}
{{- if eq .Values.gpu.vendor "amd" -}}
MIOPEN_USER_DB_PATH: /llm/home/.miopen
MIOPEN_CUSTOM_CACHE_DIR: /llm/home/.miopen
{{- else if eq .Values.gpu.vendor "gaudi" -}}
HABANA_LOGS: /llm/home/habana_logs
OMPI_MCA_btl_vader_single_copy_mechanism: none
PT_HPU_ENABLE_LAZY_COLLECTIVES: "true"
{{- end -}}
{{- end -}}

{{- /* Groups that own the devices on the node: device plugins leave their owners as they are. */ -}}
{{- define "llm-serving.accelerator.groups" -}}
{{- with .Values.gpu.supplementalGroups }}
supplementalGroups:
  {{- range . }}
  - {{ . | int64 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* Variables that name devices: a pod has those that the device plugin gave it. */ -}}
{{- define "llm-serving.accelerator.reservedEnv" -}}
HIP_VISIBLE_DEVICES: gpu (the device plugin says which devices a pod has)
ROCR_VISIBLE_DEVICES: gpu (the device plugin says which devices a pod has)
HABANA_VISIBLE_DEVICES: gpu (the device plugin says which devices a pod has)
NVIDIA_VISIBLE_DEVICES: gpu (the device plugin says which devices a pod has)
{{- end -}}

{{- define "llm-serving.validate.accelerator" -}}
{{- $g := .Values.gpu -}}
{{- $e := .Values.engine -}}
{{- $problems := list -}}
{{- $resource := index (dict "nvidia" "" "amd" "amd.com/" "gaudi" "habana.ai/") $g.vendor -}}
{{- if and $g.resourceName (not (hasPrefix $resource $g.resourceName)) -}}
{{- $problems = append $problems (printf "gpu.vendor is %s, but gpu.resourceName is %s. Set gpu.resourceName to one that begins with %s, or gpu.vendor=nvidia." $g.vendor $g.resourceName $resource) -}}
{{- end -}}
{{- $images := dict "amd" "vllm/vllm-openai-rocm" "gaudi" "that of a Gaudi image, such as gaudi-docker/1.24.1/ubuntu24.04/habanalabs/vllm-0.26.0-ptupstream-2.11.0 of vault.habana.ai" -}}
{{- if and (ne $g.vendor "nvidia") (eq $e.type "vllm") (eq $e.image.repository "vllm/vllm-openai") -}}
{{- $problems = append $problems (printf "gpu.vendor is %s, but engine.image.repository (%s) holds code for NVIDIA GPUs. Set it to %s." $g.vendor $e.image.repository (index $images $g.vendor)) -}}
{{- end -}}
{{- if and (ne $g.vendor "nvidia") (eq $e.type "tgis") -}}
{{- $problems = append $problems (printf "gpu.vendor is %s, but engine.type tgis runs on NVIDIA GPUs only. Set engine.type=vllm, or gpu.vendor=nvidia." $g.vendor) -}}
{{- end -}}
{{- if and (ne $g.vendor "nvidia") .Values.monitoring.dashboard.dcgm -}}
{{- $problems = append $problems (printf "monitoring.dashboard.dcgm is true, but gpu.vendor is %s: dcgm-exporter knows NVIDIA GPUs only. Set it to false." $g.vendor) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.gaudi" -}}
{{- $g := .Values.gpu -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- if and (eq $g.vendor "gaudi") (or (gt (int $p.nodes) 1) (gt (int $p.pipeline) 1)) -}}
{{- $problems = append $problems (printf "gpu.vendor is gaudi, but parallelism.nodes is %d and parallelism.pipeline %d: engines for Gaudi serve inside one node, without pipeline stages. Set both to 1." (int $p.nodes) (int $p.pipeline)) -}}
{{- end -}}
{{- if and (eq $g.vendor "gaudi") $p.expert -}}
{{- $problems = append $problems "gpu.vendor is gaudi, but parallelism.expert is true, which vllm-gaudi does not list among its features. Set parallelism.expert=false." -}}
{{- end -}}
{{- if and $g.hugepages .Values.network.rdma.hugepages -}}
{{- $problems = append $problems (printf "gpu.hugepages (%s) and network.rdma.hugepages (%s) ask for the same resource. Give the sum to one of them and clear the other." $g.hugepages .Values.network.rdma.hugepages) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
