{{- /* Refusals about scaling, other operators' APIs, monitoring; see _validate.tpl. args of all: the root context */ -}}

{{- define "llm-serving.validate.scaling" -}}
{{- $s := .Values.scaling -}}
{{- $p := .Values.parallelism -}}
{{- $auto := include "llm-serving.autoscaled" . -}}
{{- $problems := list -}}
{{- if and $s.hpa.enabled $s.keda.enabled -}}
{{- $problems = append $problems "scaling.hpa.enabled and scaling.keda.enabled are both true: two autoscalers would fight over one workload. Keep one." -}}
{{- end -}}
{{- if and $auto (has $p.controller (list "statefulset" "raycluster")) -}}
{{- $problems = append $problems (printf "scaling is enabled, but parallelism.controller is %s: the replicas of such an object are the members of one engine, and every engine is an object of its own. Set parallelism.controller=leaderworkerset, whose replicas are whole engines, or set replicas." $p.controller) -}}
{{- end -}}
{{- if and $auto (gt (int $s.minReplicas) (int $s.maxReplicas)) -}}
{{- $problems = append $problems (printf "scaling.minReplicas (%d) is above scaling.maxReplicas (%d). Raise maxReplicas." (int $s.minReplicas) (int $s.maxReplicas)) -}}
{{- end -}}
{{- if and $auto (gt (int $s.maxReplicas) 1) (le (int .Values.replicas) 1) (le (int $p.nodes) 1) (ne .Values.rollout.mode "surge") (eq .Values.storage.type "pvc") (ne .Values.storage.accessMode "ReadWriteMany") -}}
{{- $problems = append $problems (printf "scaling.maxReplicas is %d, but storage.accessMode (%s) lets one node mount the claim. Set storage.accessMode=ReadWriteMany, or storage.type=emptyDir." (int $s.maxReplicas) .Values.storage.accessMode) -}}
{{- end -}}
{{- if and $auto $s.kvCacheUsage (ne .Values.engine.type "vllm") -}}
{{- $problems = append $problems (printf "scaling.kvCacheUsage is set, but %s tells nothing of its KV cache. Set it to 0." .Values.engine.type) -}}
{{- end -}}
{{- if and $s.keda.enabled (not $s.keda.serverAddress) -}}
{{- $problems = append $problems "scaling.keda.enabled is true, but scaling.keda.serverAddress is empty. Give the URL of Prometheus, such as http://prometheus-operated.monitoring:9090." -}}
{{- end -}}
{{- $start := include "llm-serving.deadlineSeconds" . -}}
{{- if and $s.keda.enabled $s.keda.cooldownSeconds (lt (int $s.keda.cooldownSeconds) (int $start)) -}}
{{- $problems = append $problems (printf "scaling.keda.cooldownSeconds (%d) is shorter than a start may take (%s s): engines would go before they have served. Set it to %s or more, or to 0." (int $s.keda.cooldownSeconds) $start $start) -}}
{{- end -}}
{{- if and $s.keda.scaleToZero.enabled (not $s.keda.enabled) -}}
{{- $problems = append $problems "scaling.keda.scaleToZero.enabled is true, but scaling.keda.enabled is false: only KEDA scales to zero. Set scaling.keda.enabled=true." -}}
{{- end -}}
{{- if and $s.keda.scaleToZero.enabled (not $s.keda.scaleToZero.query) -}}
{{- $problems = append $problems "scaling.keda.scaleToZero.enabled is true, but scaling.keda.scaleToZero.query is empty: without engines no queue is seen, and none would ever start. Give a query of the gateway's requests." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* Objects of other APIs, by the key that asks for them: API groups and versions (one suffices), who serves them. */ -}}
{{- define "llm-serving.apisNeeded" -}}
{{- $m := .Values.monitoring -}}
scaling.keda.enabled: {wanted: {{ .Values.scaling.keda.enabled }}, apis: [keda.sh/v1alpha1], by: KEDA 2}
kueue.queue: {wanted: {{ ne .Values.kueue.queue "" }}, apis: [kueue.x-k8s.io/v1beta2, kueue.x-k8s.io/v1beta1], by: Kueue}
monitoring.serviceMonitor.enabled: {wanted: {{ $m.serviceMonitor.enabled }}, apis: [monitoring.coreos.com/v1], by: the Prometheus operator}
monitoring.podMonitor.enabled: {wanted: {{ $m.podMonitor.enabled }}, apis: [monitoring.coreos.com/v1], by: the Prometheus operator}
monitoring.prometheusRule.enabled: {wanted: {{ $m.prometheusRule.enabled }}, apis: [monitoring.coreos.com/v1], by: the Prometheus operator}
{{- end -}}

{{- define "llm-serving.validate.operators" -}}
{{- $problems := list -}}
{{- range $key, $needed := include "llm-serving.apisNeeded" . | fromYaml -}}
{{- $served := $.Values.skipApiCheck -}}
{{- range $needed.apis }}{{ $served = or $served ($.Capabilities.APIVersions.Has .) }}{{ end -}}
{{- if and $needed.wanted (not $served) -}}
{{- $problems = append $problems (printf "%s is set, but the cluster does not serve %s. Install %s, clear the key, or set skipApiCheck=true to render without a cluster." $key (first $needed.apis) $needed.by) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.kueue.priorityClass (not .Values.kueue.queue) -}}
{{- $problems = append $problems (printf "kueue.priorityClass (%s) is set, but kueue.queue is empty: nothing waits in a queue. Set kueue.queue." .Values.kueue.priorityClass) -}}
{{- end -}}
{{- if and .Values.gpu.dra.selectors (not .Values.gpu.dra.deviceClassName) -}}
{{- $problems = append $problems "gpu.dra.selectors is set, but gpu.dra.deviceClassName is empty. Name the DeviceClass, such as gpu.nvidia.com." -}}
{{- end -}}
{{- if and .Values.gpu.dra.deviceClassName (not .Values.gpu.resourceName) -}}
{{- $problems = append $problems (printf "gpu.dra.deviceClassName (%s) is set, but gpu.resourceName is empty, which stands for an engine on CPUs. Clear one of both changes." .Values.gpu.dra.deviceClassName) -}}
{{- end -}}
{{- if and .Values.gpu.dra.deviceClassName (not .Values.skipApiCheck) (or (semverCompare "<1.34.0-0" .Capabilities.KubeVersion.Version) (not (.Capabilities.APIVersions.Has "resource.k8s.io/v1"))) -}}
{{- $problems = append $problems (printf "gpu.dra.deviceClassName (%s) is set, but the cluster (Kubernetes %s) does not serve resource.k8s.io/v1, which begins with 1.34. Use gpu.resourceName, or set skipApiCheck=true to render without a cluster." .Values.gpu.dra.deviceClassName .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.blockDrain (not .Values.podDisruptionBudget.enabled) -}}
{{- $problems = append $problems "podDisruptionBudget.blockDrain is true, but podDisruptionBudget.enabled is false. Set both, or neither." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.monitoring" -}}
{{- $m := .Values.monitoring -}}
{{- $r := $m.prometheusRule -}}
{{- $problems := list -}}
{{- if and $m.serviceMonitor.enabled $m.podMonitor.enabled -}}
{{- $problems = append $problems "monitoring.serviceMonitor.enabled and monitoring.podMonitor.enabled are both true: every engine would be scraped twice and counted twice. Keep one." -}}
{{- end -}}
{{- if and $r.enabled $r.timeToFirstTokenSeconds (not (include "llm-serving.metric" (dict "root" . "role" "firstToken"))) -}}
{{- $problems = append $problems (printf "monitoring.prometheusRule.timeToFirstTokenSeconds is set, but %s does not tell the time to the first token. Set it to 0." .Values.engine.type) -}}
{{- end -}}
{{- if and $m.dashboard.dcgm (not $m.dashboard.enabled) -}}
{{- $problems = append $problems "monitoring.dashboard.dcgm is true, but monitoring.dashboard.enabled is false. Set both, or neither." -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.hub.to) (include "llm-serving.downloads" .) -}}
{{- $problems = append $problems "networkPolicy.enabled is true and model.path is empty, so the model is downloaded, but networkPolicy.hub.to is empty. Name the hub's addresses or your proxy, or set model.path." -}}
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
{{- $problems = append $problems (printf "engine.extraArgs gives %s, which everyone who may read pods would see. Use auth.apiKey.existingSecret or auth.hfToken.existingSecret." (regexFind "^--[a-z-]+" .)) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
