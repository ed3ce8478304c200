{{- /* Refusals about TLS, exposure, additions and rollouts; see _validate.tpl. args of all: the root context */ -}}

{{- define "llm-serving.validate.tls" -}}
{{- $t := .Values.tls -}}
{{- $problems := list -}}
{{- if and $t.existingSecret (eq .Values.engine.type "tgi") -}}
{{- $problems = append $problems (printf "tls.existingSecret (%s) is set, but tgi speaks no TLS. Clear it, and let an Ingress, Gateway or Route end TLS." $t.existingSecret) -}}
{{- end -}}
{{- if and $t.ca.existingConfigMap (not $t.existingSecret) -}}
{{- $problems = append $problems (printf "tls.ca.existingConfigMap (%s) is set, but tls.existingSecret is empty: there is no certificate to judge. Set tls.existingSecret, or clear it." $t.ca.existingConfigMap) -}}
{{- end -}}
{{- if and .Values.expose.gateway.enabled $t.existingSecret (not $t.ca.existingConfigMap) -}}
{{- $problems = append $problems (printf "expose.gateway.enabled is true and the engine speaks TLS (%s), but tls.ca.existingConfigMap is empty: a gateway takes the authority from a ConfigMap with the key ca.crt. Name one." $t.existingSecret) -}}
{{- end -}}
{{- if and .Values.expose.gateway.enabled $t.ca.existingConfigMap (ne $t.ca.key "ca.crt") -}}
{{- $problems = append $problems (printf "tls.ca.key is %s, but a gateway reads the key ca.crt of the ConfigMap. Name a ConfigMap that has it." $t.ca.key) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.expose" -}}
{{- $x := .Values.expose -}}
{{- $engine := .Values.engine -}}
{{- $problems := list -}}
{{- if and $x.cors (eq $engine.type "tgis") -}}
{{- $problems = append $problems (printf "expose.cors (%s) is set, but tgis speaks gRPC, which web pages cannot call. Clear it." (join ", " $x.cors)) -}}
{{- end -}}
{{- if and (gt (int $x.keepAliveSeconds) 0) (not (include "llm-serving.has" (dict "root" . "flag" "sse-keep-alive-interval"))) -}}
{{- $problems = append $problems (printf "expose.keepAliveSeconds is %d, but engine.type %s %s has no --sse-keep-alive-interval (vllm has it from 0.30.0). Set it to 0." (int $x.keepAliveSeconds) $engine.type $engine.version) -}}
{{- end -}}
{{- if and $x.ingress.tlsSecret (not $x.host) -}}
{{- $problems = append $problems (printf "expose.ingress.tlsSecret (%s) is set, but expose.host is empty. Name the host of the certificate." $x.ingress.tlsSecret) -}}
{{- end -}}
{{- if and $x.route.enabled (eq $x.route.termination "reencrypt") (not .Values.tls.existingSecret) -}}
{{- $problems = append $problems "expose.route.termination is reencrypt, but tls.existingSecret is empty: the engine speaks plain text. Set expose.route.termination=edge, or tls.existingSecret." -}}
{{- end -}}
{{- if and $x.route.enabled (eq $x.route.termination "edge") .Values.tls.existingSecret -}}
{{- $problems = append $problems (printf "expose.route.termination is edge, but the engine speaks TLS (tls.existingSecret %s). Set expose.route.termination=reencrypt." .Values.tls.existingSecret) -}}
{{- end -}}
{{- if and $x.route.enabled (eq $engine.type "tgis") (not .Values.tls.existingSecret) -}}
{{- $problems = append $problems "expose.route.enabled is true, but tgis speaks gRPC without TLS, and a router speaks HTTP/2 to TLS backends. Set tls.existingSecret and expose.route.termination=reencrypt." -}}
{{- end -}}
{{- if and $x.route.destinationCA (ne $x.route.termination "reencrypt") -}}
{{- $problems = append $problems (printf "expose.route.destinationCA is set, but expose.route.termination is %s. Set it to reencrypt, or clear the authority." $x.route.termination) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.routes" -}}
{{- $x := .Values.expose -}}
{{- $problems := list -}}
{{- if and $x.gateway.enabled (not $x.gateway.parents) -}}
{{- $problems = append $problems "expose.gateway.enabled is true, but expose.gateway.parents is empty. Name a Gateway." -}}
{{- end -}}
{{- if and $x.gateway.enabled $x.health (eq .Values.engine.type "tgis") -}}
{{- $problems = append $problems "expose.health is true, but the GRPCRoute of tgis carries gRPC only. Set expose.health=false." -}}
{{- end -}}
{{- if and $x.inferencePool.enabled (not $x.inferencePool.picker) -}}
{{- $problems = append $problems "expose.inferencePool.enabled is true, but expose.inferencePool.picker is empty. Name the Service of the endpoint picker." -}}
{{- end -}}
{{- if and $x.inferencePool.enabled (ne .Values.engine.type "vllm") -}}
{{- $problems = append $problems (printf "expose.inferencePool.enabled is true, but endpoint pickers read vLLM's metrics, not those of %s. Set it to false." .Values.engine.type) -}}
{{- end -}}
{{- if and $x.inferencePool.enabled .Values.tls.existingSecret -}}
{{- $problems = append $problems (printf "expose.inferencePool.enabled is true, but a pool speaks plain HTTP to its pods, and the engine speaks TLS (%s). Clear tls.existingSecret, or leave the pool away." .Values.tls.existingSecret) -}}
{{- end -}}
{{- $apis := list (list $x.gateway.enabled "expose.gateway.enabled" "gateway.networking.k8s.io/v1" "the Gateway API") (list $x.route.enabled "expose.route.enabled" "route.openshift.io/v1" "OpenShift") (list $x.inferencePool.enabled "expose.inferencePool.enabled" "inference.networking.k8s.io/v1" "the Gateway API Inference Extension 1.0 or newer") -}}
{{- range $apis -}}
{{- if and (first .) (not (or $.Values.skipApiCheck ($.Capabilities.APIVersions.Has (index . 2)))) -}}
{{- $problems = append $problems (printf "%s is true, but the cluster does not serve %s (%s). Install it, or set skipApiCheck=true to render without a cluster." (index . 1) (index . 2) (last .)) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.adapt" -}}
{{- $problems := list -}}
{{- $names := list "engine" "download" "fetch-model" "wait-model" -}}
{{- range concat .Values.initContainers .Values.sidecars -}}
{{- if has .name $names -}}
{{- $problems = append $problems (printf "initContainers or sidecars name a container %s, which is the chart's own name or stands twice. Choose another name." .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- if and .Values.sidecars (semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version) -}}
{{- $problems = append $problems (printf "sidecars are set, but the cluster is Kubernetes %s, and native sidecars are on from 1.29. Upgrade, or clear them." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $e := .Values.storage.ephemeral -}}
{{- if and $e.limit $e.request (gt (include "llm-serving.mebibytes" $e.request | int64) (include "llm-serving.mebibytes" $e.limit | int64)) -}}
{{- $problems = append $problems (printf "storage.ephemeral.request (%s) is above storage.ephemeral.limit (%s). Lower the request or raise the limit." $e.request $e.limit) -}}
{{- end -}}
{{- if and $e.limit (eq .Values.storage.type "emptyDir") (gt (include "llm-serving.mebibytes" .Values.storage.size | int64) (include "llm-serving.mebibytes" $e.limit | int64)) -}}
{{- $problems = append $problems (printf "storage.ephemeral.limit (%s) is below storage.size (%s): the pod would be evicted before its emptyDir is full. Raise the limit." $e.limit .Values.storage.size) -}}
{{- end -}}
{{- if not .Values.enabled -}}
{{- $problems = append $problems "enabled is false, which only a parent chart's condition acts on. Name it there (condition: ALIAS.enabled), or uninstall the release." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* One workload per engine: Helm changes them all at once, so the order is the workload's only where there is one. */ -}}
{{- define "llm-serving.validate.rollout" -}}
{{- $p := .Values.parallelism -}}
{{- $problems := list -}}
{{- if and (eq .Values.rollout.mode "replaceOneByOne") (has $p.controller (list "statefulset" "raycluster")) (gt (int .Values.replicas) 1) -}}
{{- $problems = append $problems (printf "rollout.mode is replaceOneByOne, but controller %s has an object of its own for each of the %d engines, which an upgrade changes all at once. Set rollout.mode=recreate, or parallelism.controller=leaderworkerset." $p.controller (int .Values.replicas)) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
