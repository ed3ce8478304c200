{{- /* NetworkPolicies, which add up: one for each role of the release's pods, with what it needs and nothing else. */ -}}

{{- /*
The policy of the engine's pods: who may come in, and what may go out. Ports of a group are nobody's but the group's.
args: the root context
*/ -}}
{{- define "llm-serving.networkPolicy" -}}
{{- $n := .Values.networkPolicy }}
{{- $test := dict "matchLabels" (merge (dict "app.kubernetes.io/component" "test") .Facts.selectorLabels) }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "llm-serving.metadata" (dict "kind" "NetworkPolicy" "root" . "name" (printf "%s-api" .Facts.fullname) "component" "network") | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- toYaml .Facts.selectorLabels | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- with concat $n.clients (include "llm-serving.routers" . | fromYamlArray) (ternary (list (dict "podSelector" $test)) list .Values.test.enabled) }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        {{- range $.Facts.apiPorts }}
        - {port: {{ . }}, protocol: TCP}
        {{- end }}
        {{- range $.Values.engine.extraPorts }}
        - {port: {{ .name }}, protocol: {{ .protocol | default "TCP" }}}
        {{- end }}
    {{- end }}
    {{- with $n.metrics }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - {port: http, protocol: TCP}
    {{- end }}
    {{- with $n.nodes }}
    - from:
        {{- range . }}
        - ipBlock: {cidr: {{ . | quote }}}
        {{- end }}
      ports:
        - {port: {{ $.Facts.healthPort }}, protocol: TCP}
    {{- end }}
  {{- with include "llm-serving.egress" (dict "root" . "fetches" .Facts.fetches "engine" true) | fromYamlArray }}
  egress:
    {{- toYaml . | nindent 4 }}
  {{- else }}
  egress: []
  {{- end }}
{{- end -}}

{{- /* Who forwards requests from outside: as the user says, and OpenShift's own routers, by the labels that its documentation names. */ -}}
{{- define "llm-serving.routers" -}}
{{- $found := .Values.networkPolicy.routers -}}
{{- if or .Values.expose.route.enabled (and .Values.expose.ingress.enabled (eq .Values.platform "openshift")) -}}
{{- $label := dict "matchLabels" (dict "policy-group.network.openshift.io/ingress" "") -}}
{{- $found = append $found (dict "namespaceSelector" $label) -}}
{{- end -}}
{{- $found | toYaml -}}
{{- end -}}

{{- /*
What goes out, as a list of rules; nothing where nothing is needed. args: dict root, fetches (the hub or an object store is
reached), engine (and whatever the engine's own flags and variables name)
*/ -}}
{{- define "llm-serving.egress" -}}
{{- $n := .root.Values.networkPolicy -}}
{{- $f := .root.Facts -}}
{{- $rules := list -}}
{{- if .fetches -}}
{{- $ports := list -}}
{{- range $n.hub.ports }}{{ $ports = append $ports (dict "port" (int64 .) "protocol" "TCP") }}{{ end -}}
{{- with $n.hub.to }}{{ $rules = append $rules (dict "to" . "ports" $ports) }}{{ end -}}
{{- $rules = concat $rules (include "llm-serving.egress.identity" .root | fromYamlArray) -}}
{{- end -}}
{{- range include "llm-serving.egress.addresses" . | fromYamlArray -}}
{{- $rules = concat $rules (include "llm-serving.egress.address" (dict "address" . "to" $n.hub.to) | fromYamlArray) -}}
{{- end -}}
{{- if .engine }}{{ $rules = concat $rules $n.extraEgress }}{{ end -}}
{{- if and .engine $f.tracing .root.Values.monitoring.tracing.to -}}
{{- $ports := list (dict "port" (int64 $f.tracing.port) "protocol" "TCP") -}}
{{- $rules = append $rules (dict "to" .root.Values.monitoring.tracing.to "ports" $ports) -}}
{{- end -}}
{{- if and $n.dns (or $rules (and .engine $f.severalPods)) -}}
{{- $rules = prepend $rules (dict "to" $n.dns "ports" (include "llm-serving.dnsPorts" . | fromJsonArray)) -}}
{{- end -}}
{{- $rules | uniq | toYaml -}}
{{- end -}}

{{- /*
Who gives credentials where no Secret does: the metadata service of a cloud's machines, EKS Pod Identity, GKE's metadata
server (docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works, cloud.google.com/kubernetes-engine/docs/how-to/
workload-identity, 2026-11). args: the root context
*/ -}}
{{- define "llm-serving.egress.identity" -}}
{{- $source := .Values.model.source -}}
{{- $peers := list -}}
{{- if and .Facts.streamed (not $source.existingSecret) -}}
{{- $known := dict "s3" (list "169.254.169.254/32:80" "169.254.170.23/32:80" "fd00:ec2::23/128:80")
      "gcs" (list "169.254.169.254/32:80" "169.254.169.252/32:988") "azure" (list "169.254.169.254/32:80") -}}
{{- range index $known $source.type -}}
{{- $cidr := regexReplaceAll ":[0-9]+$" . "" -}}
{{- $port := regexFind "[0-9]+$" . | int64 -}}
{{- $to := list (dict "ipBlock" (dict "cidr" $cidr)) -}}
{{- $peers = append $peers (dict "to" $to "ports" (list (dict "port" $port "protocol" "TCP"))) -}}
{{- end -}}
{{- end -}}
{{- $peers | toYaml -}}
{{- end -}}

{{- /* Addresses that the values name: of the object store and a mirror, of proxies and collectors. args: as for egress */ -}}
{{- define "llm-serving.egress.addresses" -}}
{{- $v := .root.Values -}}
{{- $found := list -}}
{{- $proxies := list "HTTPS_PROXY" "HTTP_PROXY" "ALL_PROXY" "https_proxy" "http_proxy" "all_proxy" -}}
{{- $names := ternary (concat $proxies (list "HF_ENDPOINT" "AWS_ENDPOINT_URL" "AWS_ENDPOINT_URL_S3")) list .fetches -}}
{{- if .fetches }}{{ $found = append $found $v.model.source.endpoint }}{{ end -}}
{{- if .engine -}}
{{- $names = concat $names (list "OTEL_EXPORTER_OTLP_ENDPOINT" "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") -}}
{{- end -}}
{{- range $names }}{{ $found = append $found (index $v.engine.env . | default "" | toString) }}{{ end -}}
{{- range $v.engine.extraEnv -}}
{{- if has .name $names }}{{ $found = append $found (.value | default "") }}{{ end -}}
{{- end -}}
{{- without $found "" | uniq | toYaml -}}
{{- end -}}

{{- /*
The rule for an address. Policies see pods, not Services: what is in the cluster is opened by its namespace, whose port
only the Service knows; an IP address by itself; any other name as the hub is, with the address's port. A name of two
parts that ends as those of the internet do is opened in both ways. args: dict address,
to (peers of what is outside)
*/ -}}
{{- define "llm-serving.egress.address" -}}
{{- $plain := regexReplaceAll "^[a-zA-Z][a-zA-Z0-9+.-]*://" .address "" -}}
{{- $host := regexReplaceAll "[/?#].*$" $plain "" -}}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" | default (ternary "443" "80" (hasPrefix "https" .address)) | int64 -}}
{{- $host = regexReplaceAll ":[0-9]+$" $host "" | trimAll "[]" -}}
{{- $parts := splitList "." $host -}}
{{- $ports := list (dict "port" $port "protocol" "TCP") -}}
{{- $inside := or (le (len $parts) 2) (eq (index $parts 2 | default "") "svc") -}}
{{- if regexMatch "^[0-9.]+$" $host -}}
{{- list (dict "to" (list (dict "ipBlock" (dict "cidr" (printf "%s/32" $host)))) "ports" $ports) | toYaml -}}
{{- else if contains ":" $host -}}
{{- list (dict "to" (list (dict "ipBlock" (dict "cidr" (printf "%s/128" $host)))) "ports" $ports) | toYaml -}}
{{- else if eq (len $parts) 1 -}}
{{- list (dict "to" (list (dict "podSelector" dict))) | toYaml -}}
{{- else if $inside -}}
{{- $labels := dict "matchLabels" (dict "kubernetes.io/metadata.name" (index $parts 1)) -}}
{{- $rules := list (dict "to" (list (dict "namespaceSelector" $labels))) -}}
{{- /* hf-mirror.com, or a Service in a namespace com: nothing tells, so both are opened */ -}}
{{- $public := regexMatch "^([a-z]{2}|com|org|net|edu|gov|int|mil|info|biz|dev|app|cloud|tech|xyz|site|online)$" (last $parts) -}}
{{- if and $public (eq (len $parts) 2) .to }}{{ $rules = append $rules (dict "to" .to "ports" $ports) }}{{ end -}}
{{- $rules | toYaml -}}
{{- else if .to -}}
{{- list (dict "to" .to "ports" $ports) | toYaml -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{- /*
The policy of a pod that is no engine: nothing comes in. args: dict root, name (suffix), component, hook (its pod is one),
egress (list of rules), key (label by which its pods are found)
*/ -}}
{{- define "llm-serving.rolePolicy" -}}
{{- $name := printf "%s-%s" .root.Facts.fullname .name }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "llm-serving.metadata" (dict "kind" "NetworkPolicy" "root" .root "name" $name "component" "network"
        "own" (ternary (include "llm-serving.hookAnnotations" "-10" | fromYaml) dict .hook)) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- merge (dict "app.kubernetes.io/component" .component) .root.Facts.selectorLabels | toYaml | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress: []
  egress: {{ .egress | toJson }}
{{- end -}}

{{- /* Ports of DNS, OpenShift's own (5353) among them, as a JSON list. */ -}}
{{- define "llm-serving.dnsPorts" -}}
{{- $ports := list -}}
{{- range $port := list 53 5353 -}}
{{- $ports = concat $ports (list (dict "port" $port "protocol" "UDP") (dict "port" $port "protocol" "TCP")) -}}
{{- end -}}
{{- $ports | toJson -}}
{{- end -}}

{{- /* What the pod of `helm test` reaches: names, and the engine's API. args: the root context */ -}}
{{- define "llm-serving.egress.test" -}}
{{- $ports := list -}}
{{- range .Facts.apiPorts }}{{ $ports = append $ports (dict "port" . "protocol" "TCP") }}{{ end -}}
{{- $engine := dict "podSelector" (dict "matchLabels" .Facts.selectorLabels) -}}
{{- $rules := list (dict "to" (list $engine) "ports" $ports) -}}
{{- with .Values.networkPolicy.dns -}}
{{- $rules = prepend $rules (dict "to" . "ports" (include "llm-serving.dnsPorts" $ | fromJsonArray)) -}}
{{- end -}}
{{- $rules | toYaml -}}
{{- end -}}

{{- /*
Members of a group among themselves: NCCL and message queues choose their ports at random.
args: dict root, name (suffix), own (labels of one group)
*/ -}}
{{- define "llm-serving.groupPolicy" -}}
{{- $members := dict "matchLabels" (merge (dict) .root.Facts.selectorLabels .own) }}
{{- $name := printf "%s-%s" .root.Facts.fullname .name }}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "llm-serving.metadata" (dict "kind" "NetworkPolicy" "root" .root "name" $name "component" "network") | nindent 2 }}
spec:
  podSelector:
    {{- toYaml $members | nindent 4 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            {{- toYaml $members | nindent 12 }}
  egress:
    - to:
        - podSelector:
            {{- toYaml $members | nindent 12 }}
{{- end -}}
