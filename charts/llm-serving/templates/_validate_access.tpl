{{- /* Refusals about TLS, routes, monitoring and other operators' APIs; see _validate.tpl. args of all: the root context */ -}}

{{- define "llm-serving.validate.tls" -}}
{{- $t := .Values.tls -}}
{{- $problems := list -}}
{{- if and $t.existingSecret (eq .Values.engine.type "tgi") -}}
{{- $problems = append $problems (printf "tls.existingSecret (%s) is set, but tgi speaks no TLS. Clear it, and let an Ingress, Gateway or Route end TLS."
      $t.existingSecret) -}}
{{- end -}}
{{- if and $t.ca.existingConfigMap (not $t.existingSecret) -}}
{{- $problems = append $problems (printf "tls.ca.existingConfigMap (%s) is set, but tls.existingSecret is empty: there is no certificate to judge. Set tls.existingSecret, or clear it."
      $t.ca.existingConfigMap) -}}
{{- end -}}
{{- if and .Values.expose.gateway.enabled $t.existingSecret (not $t.ca.existingConfigMap) -}}
{{- $problems = append $problems (printf "expose.gateway.enabled is true and the engine speaks TLS (%s), but tls.ca.existingConfigMap is empty: a gateway takes the authority from a ConfigMap with the key ca.crt. Name one."
      $t.existingSecret) -}}
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
{{- if and (gt (int $x.keepAliveSeconds) 0) (not (index .Facts.knows "sse-keep-alive-interval")) -}}
{{- $problems = append $problems (printf "expose.keepAliveSeconds is %d, but engine.type %s %s has no --sse-keep-alive-interval (vllm has it from 0.30.0). Set it to 0."
      (int $x.keepAliveSeconds) $engine.type $engine.version) -}}
{{- end -}}
{{- if and $x.paths (eq $engine.type "tgis") -}}
{{- $problems = append $problems (printf "expose.paths (%s) is set, but tgis speaks gRPC, which has a service in place of paths. Clear it." (join ", " $x.paths)) -}}
{{- end -}}
{{- if and $x.pathPrefix (or $x.ingress.enabled (eq $engine.type "tgis")) -}}
{{- $problems = append $problems (printf "expose.pathPrefix (%s) is set, but %s. Clear it, or use expose.gateway or expose.route."
      $x.pathPrefix (ternary "tgis speaks gRPC, which has no paths" "an Ingress cannot take a path away in a way that all controllers share" (eq $engine.type "tgis"))) -}}
{{- end -}}
{{- if and $x.ingress.tlsSecret (not $x.ingress.enabled) -}}
{{- $problems = append $problems (printf "expose.ingress.tlsSecret (%s) is set, but expose.ingress.enabled is false. Clear it." $x.ingress.tlsSecret) -}}
{{- end -}}
{{- if and $x.ingress.tlsSecret $x.ingress.enabled (not $x.host) -}}
{{- $problems = append $problems (printf "expose.ingress.tlsSecret (%s) is set, but expose.host is empty. Name the host of the certificate."
      $x.ingress.tlsSecret) -}}
{{- end -}}
{{- if and $x.route.enabled (eq $x.route.termination "reencrypt") (not .Facts.tls) -}}
{{- $problems = append $problems "expose.route.termination is reencrypt, but tls.existingSecret is empty: the engine speaks plain text. Set expose.route.termination=edge, or tls.existingSecret." -}}
{{- end -}}
{{- if and $x.route.enabled (eq $x.route.termination "edge") .Facts.tls -}}
{{- $problems = append $problems (printf "expose.route.termination is edge, but the engine speaks TLS (tls.existingSecret %s). Set expose.route.termination=reencrypt."
      .Values.tls.existingSecret) -}}
{{- end -}}
{{- if and $x.route.enabled (eq $engine.type "tgis") (not .Facts.tls) -}}
{{- $problems = append $problems "expose.route.enabled is true, but tgis speaks gRPC without TLS, and a router speaks HTTP/2 to TLS backends. Set tls.existingSecret and expose.route.termination=reencrypt." -}}
{{- end -}}
{{- if and $x.route.destinationCA (ne $x.route.termination "reencrypt") -}}
{{- $problems = append $problems (printf "expose.route.destinationCA is set, but expose.route.termination is %s. Set it to reencrypt, or clear the authority."
      $x.route.termination) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.service" -}}
{{- $s := .Values.service -}}
{{- $problems := list -}}
{{- $balancer := list "loadBalancerClass" "loadBalancerSourceRanges" -}}
{{- $outside := list "nodePort" "grpcNodePort" "externalTrafficPolicy" -}}
{{- range concat $balancer $outside -}}
{{- $types := ternary (list "LoadBalancer") (list "NodePort" "LoadBalancer") (has . $balancer) -}}
{{- if and (index $s .) (not (has $s.type $types)) -}}
{{- $problems = append $problems (printf "service.%s (%s) is set, but service.type is %s. Set service.type=%s, or clear it."
      . (index $s . | toJson | trimAll "\"") $s.type (join " or " $types)) -}}
{{- end -}}
{{- end -}}
{{- if and (gt (len $s.ipFamilies) 1) (not (hasSuffix "DualStack" $s.ipFamilyPolicy)) -}}
{{- $problems = append $problems (printf "service.ipFamilies has two families (%s), but service.ipFamilyPolicy is %s. Set it to PreferDualStack or RequireDualStack."
      (join ", " $s.ipFamilies) ($s.ipFamilyPolicy | default "empty")) -}}
{{- end -}}
{{- if and $s.grpcNodePort (not .Facts.grpc) -}}
{{- $problems = append $problems (printf "service.grpcNodePort is %d, but engine.type %s has no gRPC port. Set it to 0." (int $s.grpcNodePort) .Facts.engine) -}}
{{- end -}}
{{- if and .Facts.grpc (or (eq .Values.network.ipFamily "IPv6") (eq (join "," $s.ipFamilies) "IPv6")) -}}
{{- $problems = append $problems "network.ipFamily or service.ipFamilies asks for IPv6, but tgis listens on IPv4 alone. Use another engine.type, or IPv4." -}}
{{- end -}}
{{- if and (eq .Values.dnsPolicy "None") (not (get .Values.dnsConfig "nameservers")) -}}
{{- $problems = append $problems "dnsPolicy is None, but dnsConfig.nameservers is empty: the pods would find no name. Name a server." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* Ports that users add: names and numbers once each, and every target there. */ -}}
{{- define "llm-serving.validate.ports" -}}
{{- $problems := list -}}
{{- $names := list "group" "data-parallel" -}}
{{- $numbers := list "29401/TCP" (printf "%s/TCP" (include "llm-serving.dataPort" .)) -}}
{{- range concat .Facts.ports .Values.engine.extraPorts -}}
{{- $number := printf "%d/%s" (int .containerPort) (.protocol | default "TCP") -}}
{{- if or (has .name $names) (has $number $numbers) -}}
{{- $problems = append $problems (printf "engine.extraPorts name a port %s (%s), whose name or number is the chart's own or stands twice. Choose another." .name $number) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $numbers = append $numbers $number -}}
{{- end -}}
{{- $own := list (printf "%d/TCP" (int .Values.service.port)) -}}
{{- if .Facts.grpc }}{{ $own = append $own (printf "%d/TCP" (int .Values.service.grpcPort)) }}{{ end -}}
{{- $called := list "http" "grpc" -}}
{{- range .Values.service.extraPorts -}}
{{- $number := printf "%d/%s" (int .port) (.protocol | default "TCP") -}}
{{- if or (has .name $called) (has $number $own) -}}
{{- $problems = append $problems (printf "service.extraPorts name a port %s (%s), whose name or number is the chart's own or stands twice. Choose another." .name $number) -}}
{{- end -}}
{{- $called = append $called .name -}}
{{- $own = append $own $number -}}
{{- if kindIs "string" .targetPort | and (not (has .targetPort $names)) (not $.Values.sidecars) -}}
{{- $problems = append $problems (printf "service.extraPorts lead %s to the port %s, which no container has. Add it to engine.extraPorts." .name .targetPort) -}}
{{- end -}}
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
{{- $problems = append $problems (printf "expose.inferencePool.enabled is true, but endpoint pickers read vLLM's metrics, not those of %s. Set it to false."
      .Values.engine.type) -}}
{{- end -}}
{{- if and $x.inferencePool.enabled .Facts.tls -}}
{{- $problems = append $problems (printf "expose.inferencePool.enabled is true, but a pool speaks plain HTTP to its pods, and the engine speaks TLS (%s). Clear tls.existingSecret, or leave the pool away."
      .Values.tls.existingSecret) -}}
{{- end -}}
{{- $pool := "the Gateway API Inference Extension 1.0 or newer" -}}
{{- $apis := list
      (list $x.gateway.enabled "expose.gateway.enabled" "gateway.networking.k8s.io/v1" "the Gateway API")
      (list $x.route.enabled "expose.route.enabled" "route.openshift.io/v1" "OpenShift")
      (list $x.inferencePool.enabled "expose.inferencePool.enabled" "inference.networking.k8s.io/v1" $pool) -}}
{{- range $apis -}}
{{- if and (first .) (not (or $.Values.skipApiCheck ($.Capabilities.APIVersions.Has (index . 2)))) -}}
{{- $problems = append $problems (printf "%s is true, but the cluster does not serve %s (%s). Install it, or set skipApiCheck=true to render without a cluster."
      (index . 1) (index . 2) (last .)) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.operators" -}}
{{- $problems := list -}}
{{- /* Objects of other APIs, by the key that asks for them: API groups and versions (one suffices), who serves them. */ -}}
{{- $m := .Values.monitoring -}}
{{- $prometheus := dict "apis" (list "monitoring.coreos.com/v1") "by" "the Prometheus operator" -}}
{{- $apis := dict
      "scaling.keda.enabled" (dict "wanted" .Values.scaling.keda.enabled "apis" (list "keda.sh/v1alpha1") "by" "KEDA 2")
      "kueue.queue" (dict "wanted" .Values.kueue.queue "apis" (list "kueue.x-k8s.io/v1beta2" "kueue.x-k8s.io/v1beta1") "by" "Kueue")
      "monitoring.serviceMonitor.enabled" (merge (dict "wanted" $m.serviceMonitor.enabled) $prometheus)
      "monitoring.podMonitor.enabled" (merge (dict "wanted" $m.podMonitor.enabled) $prometheus)
      "monitoring.prometheusRule.enabled" (merge (dict "wanted" $m.prometheusRule.enabled) $prometheus) -}}
{{- range $key, $needed := $apis -}}
{{- $served := $.Values.skipApiCheck -}}
{{- range $needed.apis }}{{ $served = or $served ($.Capabilities.APIVersions.Has .) }}{{ end -}}
{{- if and $needed.wanted (not $served) -}}
{{- $problems = append $problems (printf "%s is set, but the cluster does not serve %s. Install %s, clear the key, or set skipApiCheck=true to render without a cluster."
      $key (first $needed.apis) $needed.by) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.kueue.priorityClass (not .Values.kueue.queue) -}}
{{- $problems = append $problems (printf "kueue.priorityClass (%s) is set, but kueue.queue is empty: nothing waits in a queue. Set kueue.queue."
      .Values.kueue.priorityClass) -}}
{{- end -}}
{{- if and .Values.gpu.dra.selectors (not .Values.gpu.dra.deviceClassName) -}}
{{- $problems = append $problems "gpu.dra.selectors is set, but gpu.dra.deviceClassName is empty. Name the DeviceClass, such as gpu.nvidia.com." -}}
{{- end -}}
{{- if and .Values.gpu.dra.deviceClassName (not .Values.gpu.resourceName) -}}
{{- $problems = append $problems (printf "gpu.dra.deviceClassName (%s) is set, but gpu.resourceName is empty, which stands for an engine on CPUs. Clear one of both changes."
      .Values.gpu.dra.deviceClassName) -}}
{{- end -}}
{{- $old := or (semverCompare "<1.34.0-0" .Capabilities.KubeVersion.Version) (not (.Capabilities.APIVersions.Has "resource.k8s.io/v1")) -}}
{{- if and .Values.gpu.dra.deviceClassName (not .Values.skipApiCheck) $old -}}
{{- $problems = append $problems (printf "gpu.dra.deviceClassName (%s) is set, but the cluster (Kubernetes %s) does not serve resource.k8s.io/v1, which begins with 1.34. Use gpu.resourceName, or set skipApiCheck=true to render without a cluster."
      .Values.gpu.dra.deviceClassName .Capabilities.KubeVersion.Version) -}}
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
{{- $g := .Values.auth.group -}}
{{- if and $g.create $g.existingSecret -}}
{{- $problems = append $problems (printf "auth.group.create is true, but auth.group.existingSecret (%s) is set: the Secret would come from two places. Clear one of both."
      $g.existingSecret) -}}
{{- end -}}
{{- if and (or $g.create $g.existingSecret) (not .Facts.severalPods) -}}
{{- $problems = append $problems (printf "auth.group is set, but parallelism.nodes is %d: there is no group whose members prove anything. Clear auth.group.existingSecret and auth.group.create."
      .Facts.nodes) -}}
{{- end -}}
{{- if and $m.serviceMonitor.enabled $m.podMonitor.enabled -}}
{{- $problems = append $problems "monitoring.serviceMonitor.enabled and monitoring.podMonitor.enabled are both true: every engine would be scraped twice and counted twice. Keep one." -}}
{{- end -}}
{{- if and $r.enabled $r.timeToFirstTokenSeconds (not .Facts.metrics.firstToken) -}}
{{- $problems = append $problems (printf "monitoring.prometheusRule.timeToFirstTokenSeconds is set, but %s does not tell the time to the first token. Set it to 0."
      .Values.engine.type) -}}
{{- end -}}
{{- if and $m.dashboard.dcgm (not $m.dashboard.enabled) -}}
{{- $problems = append $problems "monitoring.dashboard.dcgm is true, but monitoring.dashboard.enabled is false. Set both, or neither." -}}
{{- end -}}
{{- $n := .Values.networkPolicy -}}
{{- $others := false -}}
{{- range $n.clients }}{{ $others = or $others (hasKey . "namespaceSelector") (hasKey . "ipBlock") }}{{ end -}}
{{- $routed := or .Values.expose.gateway.enabled (and .Values.expose.ingress.enabled (ne .Values.platform "openshift")) -}}
{{- if and $n.enabled $routed (not $n.routers) (not $others) -}}
{{- $problems = append $problems (printf "networkPolicy.enabled and expose.%s.enabled are true, but networkPolicy.routers is empty: the controller's pods are mostly in another namespace and would be shut out. Name them (such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: traefik}}}])."
      (ternary "gateway" "ingress" .Values.expose.gateway.enabled)) -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.hub.to) .Facts.downloads -}}
{{- $problems = append $problems "networkPolicy.enabled is true and model.path is empty, so the model is downloaded, but networkPolicy.hub.to is empty. Name the hub's addresses or your proxy, or set model.path." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
