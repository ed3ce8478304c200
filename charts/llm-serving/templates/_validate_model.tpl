{{- /* Refusals about the model: where it comes from, and where it is kept; see _validate.tpl. args of all: the root context */ -}}

{{- define "llm-serving.validate.model" -}}
{{- $m := .Values.model -}}
{{- $problems := list -}}
{{- if not (or $m.id .Facts.modelPath) -}}
{{- $problems = append $problems "model.id is empty, and model.path too: nothing to serve. Set model.id, or use a generated values file." -}}
{{- end -}}
{{- if and $m.gated (not .Facts.modelPath) (not .Values.auth.hfToken.existingSecret) -}}
{{- $problems = append $problems (printf "model.gated is true, but auth.hfToken.existingSecret is empty: %s needs a Hugging Face token. Create a Secret with the key %s and name it there."
      $m.id .Values.auth.hfToken.key) -}}
{{- end -}}
{{- if and (hasPrefix "/llm/models/" $m.path) (eq .Values.storage.type "emptyDir") -}}
{{- $problems = append $problems (printf "model.path (%s) lies on an emptyDir, which is empty at every start. Set storage.type to existingClaim or hostPath, or leave model.path away."
      $m.path) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.source" -}}
{{- $m := .Values.model -}}
{{- $s := $m.source -}}
{{- $problems := list -}}
{{- /* The keys that each type needs, and the only ones that it takes. */ -}}
{{- $needs := dict
      "hub" list "pvc" (list "claim") "hostPath" (list "path") "oci" (list "image")
      "s3" (list "uri") "gcs" (list "uri") "azure" (list "uri" "account") -}}
{{- $takes := dict
      "hub" list "pvc" (list "claim" "path") "hostPath" (list "path") "oci" (list "image" "path")
      "s3" (list "uri" "endpoint" "region" "existingSecret") "gcs" (list "uri" "existingSecret")
      "azure" (list "uri" "account" "existingSecret") -}}
{{- range index $needs $s.type -}}
{{- if not (index $s .) -}}
{{- $problems = append $problems (printf "model.source.type is %s, but model.source.%s is empty. Set it." $s.type .) -}}
{{- end -}}
{{- end -}}
{{- range list "path" "claim" "image" "uri" "endpoint" "region" "account" "existingSecret" -}}
{{- if and (index $s .) (not (has . (index $takes $s.type))) -}}
{{- $problems = append $problems (printf "model.source.%s (%s) is set, but model.source.type is %s, which does not use it. Clear it, or choose another type."
      . (index $s .) $s.type) -}}
{{- end -}}
{{- end -}}
{{- if and (ne $s.type "hub") $m.path -}}
{{- $problems = append $problems (printf "model.path (%s) is set, but model.source.type is %s: the model would come from two places. Clear model.path."
      $m.path $s.type) -}}
{{- end -}}
{{- if and (eq $s.type "hostPath") $s.path (not (hasPrefix "/" $s.path)) -}}
{{- $problems = append $problems (printf "model.source.path (%s) is not a whole path of the node. Let it begin with /." $s.path) -}}
{{- end -}}
{{- if and (eq $s.type "oci") (semverCompare "<1.31.0-0" .Capabilities.KubeVersion.Version) -}}
{{- $problems = append $problems (printf "model.source.type is oci, but the cluster is Kubernetes %s, and image volumes came with 1.31. Choose another type, or upgrade."
      .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.objectStore" -}}
{{- $s := .Values.model.source -}}
{{- $problems := list -}}
{{- if .Facts.streamed -}}
{{- $scheme := index (dict "s3" "s3://" "gcs" "gs://" "azure" "az://") $s.type -}}
{{- $format := index .Values.engine.args "load-format" | default "runai_streamer" | toString -}}
{{- if and $s.uri (not (hasPrefix $scheme $s.uri)) -}}
{{- $problems = append $problems (printf "model.source.uri (%s) does not begin with %s, as model.source.type %s demands. Correct one of them."
      $s.uri $scheme $s.type) -}}
{{- end -}}
{{- if ne .Values.engine.type "vllm" -}}
{{- $problems = append $problems (printf "model.source.type is %s, but engine.type %s cannot stream from an object store. Set engine.type=vllm, or copy the model to a claim (model.source.type=pvc)."
      $s.type .Values.engine.type) -}}
{{- end -}}
{{- if not (hasPrefix "runai_streamer" $format) -}}
{{- $problems = append $problems (printf "engine.args.load-format is %s, but model.source.type %s needs runai_streamer or runai_streamer_sharded. Leave it away."
      $format $s.type) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.download" -}}
{{- $d := .Values.model.download -}}
{{- $s := .Values.storage -}}
{{- $problems := list -}}
{{- if and (ne $d.mode "none") .Facts.modelPath -}}
{{- $problems = append $problems (printf "model.download.mode is %s, but the model comes from %s, not from the hub. Set model.download.mode=none."
      $d.mode .Facts.modelPath) -}}
{{- end -}}
{{- if and (eq $d.mode "hook") (ne $s.type "existingClaim") -}}
{{- $problems = append $problems (printf "model.download.mode is hook, which runs before the release's own objects are there, but storage.type is %s. Set storage.type=existingClaim, or model.download.mode to job or init."
      $s.type) -}}
{{- end -}}
{{- $shared := or (eq $s.type "existingClaim") (and (eq $s.type "pvc") (eq $s.accessMode "ReadWriteMany")) -}}
{{- if and (eq $d.mode "job") (not $shared) -}}
{{- $problems = append $problems (printf "model.download.mode is job, whose pod and the engine's mount the storage at the same time, but storage.type is %s with accessMode %s. Set storage.accessMode=ReadWriteMany with storage.type=pvc, or model.download.mode=init."
      $s.type $s.accessMode) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- define "llm-serving.validate.storage" -}}
{{- $s := .Values.storage -}}
{{- $problems := list -}}
{{- $p := .Values.parallelism -}}
{{- $shared := or (gt .Facts.replicas 1) .Facts.severalPods (eq .Values.rollout.mode "surge") -}}
{{- if and (eq $s.type "pvc") (has $s.accessMode (list "ReadWriteOnce" "ReadWriteOncePod")) $shared -}}
{{- $problems = append $problems (printf "storage.accessMode (%s) lets one node mount the claim, but replicas (%d), parallelism.nodes (%d) and rollout.mode (%s) may need it on several. Set storage.accessMode=ReadWriteMany, storage.type=perReplica (controller statefulset or leaderworkerset), or storage.type=emptyDir."
      $s.accessMode (int .Values.replicas) (int $p.nodes) .Facts.rollout) -}}
{{- end -}}
{{- if and (eq $s.type "perReplica") (not (has $p.controller (list "statefulset" "leaderworkerset"))) -}}
{{- $problems = append $problems (printf "storage.type is perReplica, but controller %s makes no claim per pod. Set parallelism.controller to statefulset or leaderworkerset, or another storage.type."
      $p.controller) -}}
{{- end -}}
{{- if and (eq $s.type "existingClaim") (not $s.existingClaim) -}}
{{- $problems = append $problems "storage.type is existingClaim, but storage.existingClaim is empty. Name the claim." -}}
{{- end -}}
{{- if and (ne $s.type "existingClaim") $s.existingClaim -}}
{{- $problems = append $problems (printf "storage.existingClaim (%s) is set, but storage.type is %s. Set storage.type=existingClaim."
      $s.existingClaim $s.type) -}}
{{- end -}}
{{- if and (eq $s.type "hostPath") (not $s.hostPath) -}}
{{- $problems = append $problems "storage.type is hostPath, but storage.hostPath is empty. Give the folder of the node." -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /*
Keys that nothing reads as the others stand: they were changed for nothing. Each row has whether they are read, the keys,
and what they wait for.
*/ -}}
{{- define "llm-serving.validate.unused" -}}
{{- $v := .Values -}}
{{- $x := $v.expose -}}
{{- $s := $v.storage.type -}}
{{- $defaults := (.Files.Get "files/values.json" | fromJson).defaults -}}
{{- $lora := list "engine.lora.maxLoras" "engine.lora.maxRank" "engine.lora.maxCpuLoras" -}}
{{- $claim := list "storage.storageClass" "storage.labels" "storage.annotations" "storage.selector" -}}
{{- $job := list "model.download.labels" "model.download.annotations" "model.download.tolerations" -}}
{{- $rows := list
      (list (or $v.engine.lora.adapters $v.engine.lora.dynamic) $lora "engine.lora.adapters is empty and engine.lora.dynamic false")
      (list (has $s (list "pvc" "perReplica")) $claim (printf "storage.type is %s, for which the chart makes no claim" $s))
      (list (eq $s "pvc") (list "storage.volumeName") (printf "storage.type is %s, and only pvc makes one claim" $s))
      (list (eq $s "hostPath") (list "storage.hostPath") (printf "storage.type is %s" $s))
      (list (or $x.ingress.enabled $x.gateway.enabled $x.route.enabled)
            (list "expose.host" "expose.health" "expose.paths" "expose.pathPrefix" "expose.timeoutSeconds")
            "none of expose.ingress, expose.gateway and expose.route is enabled")
      (list $x.ingress.enabled (list "expose.ingress.className" "expose.ingress.annotations") "expose.ingress.enabled is false")
      (list $x.gateway.enabled (list "expose.gateway.parents" "expose.gateway.annotations" "expose.gateway.filters") "expose.gateway.enabled is false")
      (list $x.route.enabled (list "expose.route.annotations") "expose.route.enabled is false")
      (list $x.inferencePool.enabled (list "expose.inferencePool.picker") "expose.inferencePool.enabled is false")
      (list .Facts.autoscaled (list "scaling.behavior") "neither scaling.hpa nor scaling.keda is enabled")
      (list $v.scaling.hpa.enabled (list "scaling.hpa.extraMetrics") "scaling.hpa.enabled is false")
      (list $v.scaling.keda.enabled (list "scaling.keda.fallback" "scaling.keda.extraTriggers" "scaling.keda.unsafeSsl") "scaling.keda.enabled is false")
      (list $v.scaling.keda.authentication (list "scaling.keda.authenticationKind" "scaling.keda.authModes") "scaling.keda.authentication is empty")
      (list .Facts.tracing (list "monitoring.tracing.serviceName" "monitoring.tracing.detailed") "monitoring.tracing.endpoint is empty")
      (list .Facts.https (list "monitoring.serviceMonitor.tlsConfig" "monitoring.podMonitor.tlsConfig") "metrics are served in plain text")
      (list (or .Facts.downloadJob .Facts.downloadHook) $job (printf "model.download.mode is %s, which makes no Job" $v.model.download.mode)) -}}
{{- $problems := list -}}
{{- range $row := $rows -}}
{{- $problems = concat $problems (include "llm-serving.unusedKeys" (dict "values" $v "defaults" $defaults "row" $row) | fromJsonArray) -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* args: dict values, defaults, row (whether they are read, keys, what they wait for) */ -}}
{{- define "llm-serving.unusedKeys" -}}
{{- $problems := list -}}
{{- range $key := ternary list (index .row 1) (not (empty (first .row))) -}}
{{- $given := $.values -}}
{{- $default := $.defaults -}}
{{- range splitList "." $key }}{{ $given = get $given . }}{{ $default = get $default . }}{{ end -}}
{{- if and $given (ne (toJson $given) (toJson $default)) -}}
{{- $problems = append $problems (printf "%s (%s) is set, but %s. Clear it." $key (kindIs "string" $given | ternary $given (toJson $given)) (last $.row)) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}
