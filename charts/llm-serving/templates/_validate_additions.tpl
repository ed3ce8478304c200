{{- /* Refusals about what users add and what the API server would refuse; see _validate.tpl. args: the root context */ -}}

{{- /* Volumes of the chart's own: those that a user may mount once more, and those that come with a feature. */ -}}
{{- define "llm-serving.ownVolumes" -}}
always: [models, home, tmp, shm]
sometimes: [group, source, credentials, tls, download]
mounts: [/llm/models, /llm/home, /tmp, /dev/shm, /llm/group, /llm/source, /llm/credentials, /llm/tls, /llm/download]
{{- end -}}

{{- define "llm-serving.validate.additions" -}}
{{- $own := include "llm-serving.ownVolumes" . | fromYaml -}}
{{- $problems := list -}}
{{- $names := concat $own.always $own.sometimes -}}
{{- range .Values.extraVolumes -}}
{{- if has .name $names -}}
{{- $problems = append $problems (printf "extraVolumes name a volume %s, which is the chart's own name or stands twice. Choose another name." .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $paths := $own.mounts -}}
{{- range .Values.extraVolumeMounts -}}
{{- if or (not (has .name $names)) (has .name $own.sometimes) -}}
{{- $problems = append $problems (printf "extraVolumeMounts mount a volume %s, which extraVolumes does not name. Add it there." .name) -}}
{{- end -}}
{{- if has (trimSuffix "/" .mountPath) $paths -}}
{{- $problems = append $problems (printf "extraVolumeMounts mount %s at %s, where another volume is mounted. Choose another mountPath." .name .mountPath) -}}
{{- end -}}
{{- $paths = append $paths (trimSuffix "/" .mountPath) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* CPUs as thousandths. args: the quantity */ -}}
{{- define "llm-serving.millicpus" -}}
{{- $number := regexFind "^[0-9.]+" . | float64 -}}
{{- hasSuffix "m" . | ternary $number (mulf $number 1000) | int64 -}}
{{- end -}}

{{- define "llm-serving.validate.requests" -}}
{{- $v := .Values -}}
{{- $problems := list -}}
{{- if and $v.cpu.limit (gt (include "llm-serving.millicpus" $v.cpu.request | int64) (include "llm-serving.millicpus" ($v.cpu.limit | default "0") | int64)) -}}
{{- $problems = append $problems (printf "cpu.request (%s) is above cpu.limit (%s). Lower the request or raise the limit." $v.cpu.request $v.cpu.limit) -}}
{{- end -}}
{{- if and (eq $v.engine.type "tgis") (eq (int $v.service.port) (int $v.service.grpcPort)) -}}
{{- $problems = append $problems (printf "service.port and service.grpcPort are both %d. Choose another number for one of them." (int $v.service.port)) -}}
{{- end -}}
{{- if and $v.network.rdma.enabled (eq $v.network.rdma.resourceName $v.gpu.resourceName) -}}
{{- $problems = append $problems (printf "network.rdma.resourceName and gpu.resourceName are both %s. Name the RDMA device plugin's own resource." $v.gpu.resourceName) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* Fields that an older API server would drop without a word. */ -}}
{{- define "llm-serving.validate.versions" -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- if and (eq $p.controller "leaderworkerset") (gt (int $p.nodes) 1) (not $p.shareNodes) (not .Values.skipApiCheck) (semverCompare "<1.31.0-0" .Capabilities.KubeVersion.Version) -}}
{{- $problems = append $problems (printf "parallelism.controller is leaderworkerset and parallelism.shareNodes is false, but the cluster is Kubernetes %s, and what keeps a group's members apart (matchLabelKeys) came with 1.31. Upgrade, set parallelism.shareNodes=true, or parallelism.controller=statefulset." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* A flag that the chart sets has its key, however it is written; tokens have a refusal of their own. */ -}}
{{- define "llm-serving.validate.extraArgs" -}}
{{- $flags := include (printf "llm-serving.%s.reservedFlags" .Values.engine.type) . | fromYaml -}}
{{- $problems := list -}}
{{- range $word := .Values.engine.extraArgs -}}
{{- $flag := regexFind "^--[A-Za-z0-9_-]+" $word | replace "_" "-" | trimPrefix "--" | trimPrefix "no-" -}}
{{- with index (omit $flags "api-key" "hf-token") $flag -}}
{{- $problems = append $problems (printf "engine.extraArgs gives --%s, which is set by the chart. Use %s." $flag .) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
