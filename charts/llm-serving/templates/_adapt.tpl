{{- /* What users add to the pods. */ -}}

{{- /* Containers get the restrictions of Pod Security where they say nothing of their own. args: dict root, containers */ -}}
{{- define "llm-serving.adapt.containers" -}}
{{- $found := list -}}
{{- $security := include "llm-serving.containerSecurityContext" (dict "root" .root "readOnly" true) | fromYaml -}}
{{- range .containers -}}
{{- $found = append $found (merge (deepCopy .) (dict "securityContext" $security)) -}}
{{- end -}}
{{- $found | toYaml -}}
{{- end -}}

{{- /* Native sidecars: init containers that go on. args: the root context */ -}}
{{- define "llm-serving.adapt.sidecars" -}}
{{- $found := list -}}
{{- range .Values.sidecars -}}
{{- $found = append $found (merge (dict "restartPolicy" "Always") .) -}}
{{- end -}}
{{- with $found -}}
{{- include "llm-serving.adapt.containers" (dict "root" $ "containers" .) -}}
{{- end -}}
{{- end -}}

{{- /* args: the root context */ -}}
{{- define "llm-serving.lifecycle" -}}
preStop:
{{- with .Values.lifecycle.preStop }}
  {{- toYaml . | nindent 2 }}
{{- else }}
  exec:
    command: ["sleep", {{ .Values.drain.preStopSeconds | toJson | quote }}]
{{- end }}
{{- with .Values.lifecycle.postStart }}
postStart:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The one sum of stopping: leaving the Service, running answers, and 10 s for the engine to end. args: the root context */ -}}
{{- define "llm-serving.graceSeconds" -}}
{{- add .Values.drain.preStopSeconds .Values.drain.shutdownTimeoutSeconds 10 -}}
{{- end -}}

{{- /* Annotations of a pod. args: the root context */ -}}
{{- define "llm-serving.podAnnotations" -}}
{{- $own := dict -}}
{{- with .Values.auth.rotation }}{{ $own = dict "llm-serving/rotation" . }}{{ end -}}
{{- with merge $own .Values.podAnnotations }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- /* Init containers of a pod where it has any, with their key. args: the root context */ -}}
{{- define "llm-serving.adapt.init" -}}
{{- with include "llm-serving.initContainers" . | trim }}
initContainers:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}
