{{- /* Refusals about what users add beside the chart's own; see _validate.tpl. args of all, unless told otherwise: the root context */ -}}

{{- /* What users add stands beside the chart's own: no name, path, port or variable twice. */ -}}
{{- define "llm-serving.validate.additions" -}}
{{- /* The chart's own: those that a user may mount once more, and those that come with a feature. */ -}}
{{- $always := list "models" "home" "tmp" "shm" -}}
{{- $sometimes := list "group" "source" "credentials" "tls" "template" "download" "liveness" -}}
{{- $problems := list -}}
{{- $own := concat $always $sometimes -}}
{{- $names := $own -}}
{{- range .Values.extraVolumes -}}
{{- if has .name $names -}}
{{- $problems = append $problems (printf "extraVolumes name a volume %s, which is the chart's own name or stands twice. Choose another name." .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $paths := list "/tmp" "/dev/shm" -}}
{{- range without $own "tmp" "shm" }}{{ $paths = append $paths (printf "/llm/%s" .) }}{{ end -}}
{{- range .Values.extraVolumeMounts -}}
{{- if or (not (has .name $names)) (has .name $sometimes) -}}
{{- $problems = append $problems (printf "extraVolumeMounts mount a volume %s, which extraVolumes does not name. Add it there." .name) -}}
{{- end -}}
{{- $path := clean .mountPath -}}
{{- if has $path $paths -}}
{{- $problems = append $problems (printf "extraVolumeMounts mount %s at %s, where another volume is mounted. Choose another mountPath." .name .mountPath) -}}
{{- else if has $path (list "/" "/llm" "/dev" "/proc" "/sys") -}}
{{- $problems = append $problems (printf "extraVolumeMounts mount %s at %s, which hides what the chart or the container needs. Choose a folder of its own."
      .name .mountPath) -}}
{{- end -}}
{{- $paths = append $paths $path -}}
{{- end -}}
{{- /* Containers of a pod share their network: a port of the engine is nobody else's, neither by number nor by name. */ -}}
{{- $ports := dict "names" list "numbers" list -}}
{{- range include "llm-serving.containerPorts" . | fromYamlArray -}}
{{- $ports = dict "names" (append $ports.names .name) "numbers" (append $ports.numbers (int64 .containerPort)) -}}
{{- end -}}
{{- range concat .Values.initContainers .Values.sidecars -}}
{{- $problems = concat $problems (include "llm-serving.takenPorts" (dict "container" . "own" $ports) | fromJsonArray) -}}
{{- end -}}
{{- /* Variables that come from Secrets or that the supervisor and the downloader read; others give way to the user's. */ -}}
{{- $given := concat (include "llm-serving.source.secretEnv" . | fromYamlArray) (list (dict "name" "GROUP_SECRET")) -}}
{{- $fixed := list -}}
{{- range $given }}{{ $fixed = append $fixed .name }}{{ end -}}
{{- $users := keys .Values.engine.env | sortAlpha -}}
{{- range .Values.engine.extraEnv }}{{ $users = append $users .name }}{{ end -}}
{{- range uniq $users -}}
{{- if or (has . $fixed) (hasPrefix "GROUP_" .) (hasPrefix "DOWNLOAD_" .) -}}
{{- $problems = append $problems (printf "engine.env or engine.extraEnv sets %s, which the chart sets itself. Choose another name, or clear it." .) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* Ports of a container that are the engine's. args: dict container, own {names, numbers} */ -}}
{{- define "llm-serving.takenPorts" -}}
{{- $problems := list -}}
{{- $o := .own -}}
{{- $name := .container.name -}}
{{- range .container.ports | default list -}}
{{- if or (has (int64 .containerPort) $o.numbers) (has (.name | default "") $o.names) -}}
{{- $problems = append $problems (printf "initContainers or sidecars: %s has the port %s %d, which is the engine's. Choose another name and number."
      $name (.name | default "without a name") (int64 .containerPort)) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.claims" -}}
{{- $problems := list -}}
{{- $names := list "gpus" -}}
{{- range .Values.extraResourceClaims -}}
{{- if has .name $names -}}
{{- $problems = append $problems (printf "extraResourceClaims name a claim %s, which is the chart's own name or stands twice. Choose another name." .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- if eq (empty .resourceClaimName) (empty .resourceClaimTemplateName) -}}
{{- $problems = append $problems (printf "extraResourceClaims.%s needs either resourceClaimName or resourceClaimTemplateName. Give one." .name) -}}
{{- end -}}
{{- end -}}
{{- $old := or (semverCompare "<1.34.0-0" .Capabilities.KubeVersion.Version) (not (.Capabilities.APIVersions.Has "resource.k8s.io/v1")) -}}
{{- if and .Values.extraResourceClaims (not .Values.skipApiCheck) $old -}}
{{- $problems = append $problems (printf "extraResourceClaims is set, but the cluster (Kubernetes %s) does not serve resource.k8s.io/v1, which begins with 1.34. Clear it, or set skipApiCheck=true to render without a cluster."
      .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $rdma := .Values.network.rdma.enabled | ternary .Values.network.rdma.resourceName "" -}}
{{- range $name := keys .Values.extraResources | sortAlpha -}}
{{- if has $name (list $.Values.gpu.resourceName $rdma) -}}
{{- $problems = append $problems (printf "extraResources.%s is asked for by gpu.resourceName or network.rdma already. Clear it there, and set parallelism.gpusPerNode or network.rdma.count." $name) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
