{{- /*
Jobs of Helm's hooks that look at the live release: one before an upgrade or a rollback, which refuses what would break
it, and one after, which waits until it serves. Templates look nothing up; these ask the API server, with a Role that may
read the named objects and nothing else. args of all, unless told otherwise: the root context
*/ -}}

{{- /* The workloads as a JSON list of {kind, name, resource, group, path}. */ -}}
{{- define "llm-serving.workloads" -}}
{{- $kinds := dict
      "deployment" (list "Deployment" "deployments" "apps" "v1")
      "statefulset" (list "StatefulSet" "statefulsets" "apps" "v1")
      "leaderworkerset" (list "LeaderWorkerSet" "leaderworkersets" "leaderworkerset.x-k8s.io" "v1")
      "raycluster" (list "RayCluster" "rayclusters" "ray.io" "v1") -}}
{{- $own := index $kinds .Facts.controller -}}
{{- $names := list .Facts.fullname -}}
{{- if eq .Facts.controller "leaderworkerset" }}{{ $names = list .Facts.leaderWorkerSet }}{{ end -}}
{{- if .Facts.groups }}{{ $names = list }}{{ end -}}
{{- range .Facts.groups }}{{ $names = append $names (printf "%s-%s" $.Facts.groupName .) }}{{ end -}}
{{- $found := list -}}
{{- range $names -}}
{{- $path := printf "/apis/%s/%s/namespaces/%s/%s/%s" (index $own 2) (index $own 3) $.Facts.namespace (index $own 1) . -}}
{{- $found = append $found (dict "kind" (index $own 0) "name" . "resource" (index $own 1) "group" (index $own 2) "path" $path) -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{- /* The same with what each is to become, and the release's claim; empty where nothing can break. */ -}}
{{- define "llm-serving.guarded" -}}
{{- $found := list -}}
{{- $templates := include "llm-serving.claimsOfPods" . | fromYaml -}}
{{- $claims := get $templates "volumeClaimTemplates" | default list -}}
{{- $template := has .Facts.controller (list "statefulset" "leaderworkerset") -}}
{{- range include "llm-serving.workloads" . | fromJsonArray -}}
{{- $more := ternary (dict "claims" $claims) dict $template -}}
{{- if $.Facts.autoscaled }}{{ $more = merge (dict "autoscaled" true) $more }}{{ end -}}
{{- if $more }}{{ $found = append $found (merge $more .) }}{{ end -}}
{{- end -}}
{{- if eq .Values.storage.type "pvc" -}}
{{- $path := printf "/api/v1/namespaces/%s/persistentvolumeclaims/%s" .Facts.namespace .Facts.claim -}}
{{- $found = append $found (dict "kind" "PersistentVolumeClaim" "name" .Facts.claim "resource" "persistentvolumeclaims"
      "group" "" "path" $path "claim" (include "llm-serving.claimSpec" . | fromYaml)) -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{- /*
Account, Role, binding, script and Job of one hook. The Job of a hook that failed stays an hour, for its log.
args: dict root, name (guard or wait), events, objects (JSON list), seconds
*/ -}}
{{- define "llm-serving.hook" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $name := printf "%s-%s" $root.Facts.fullname .name -}}
{{- $events := .events -}}
{{- $component := .name -}}
{{- $objects := .objects | fromJsonArray -}}
{{- $expected := list -}}
{{- range $objects }}{{ $expected = append $expected (omit . "resource" "group") }}{{ end -}}
{{- $annotations := dict "helm.sh/hook" $events "helm.sh/hook-weight" "-9" "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" -}}
{{- $metadata := dict "root" $root "name" $name "component" $component "own" $annotations }}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "llm-serving.metadata" (merge (dict "kind" "ServiceAccount") $metadata) | nindent 2 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "llm-serving.metadata" (merge (dict "kind" "Role") $metadata) | nindent 2 }}
rules:
  {{- range $objects }}
  - apiGroups: [{{ .group | quote }}]
    resources: [{{ .resource }}]
    resourceNames: [{{ .name | quote }}]
    verbs: [get]
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  {{- include "llm-serving.metadata" (merge (dict "kind" "RoleBinding") $metadata) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name | quote }}
subjects:
  - kind: ServiceAccount
    name: {{ $name | quote }}
    namespace: {{ $root.Facts.namespace | quote }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "llm-serving.metadata" (merge (dict "kind" "ConfigMap") $metadata) | nindent 2 }}
data:
  {{- ($root.Files.Glob "files/release.py").AsConfig | nindent 2 }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- $job := merge (dict "helm.sh/hook-weight" "-8" "helm.sh/hook-output-log-policy" "hook-failed") $annotations }}
  {{- include "llm-serving.metadata" (merge (dict "kind" "Job" "own" $job) $metadata) | nindent 2 }}
spec:
  backoffLimit: 0
  activeDeadlineSeconds: {{ .seconds | int64 }}
  ttlSecondsAfterFinished: 3600
  template:
    metadata:
      labels:
        {{- merge (dict "app.kubernetes.io/component" $component) $root.Facts.selectorLabels | toYaml | nindent 8 }}
    spec:
      restartPolicy: Never
      serviceAccountName: {{ $name | quote }}
      automountServiceAccountToken: true  # it asks the API server
      enableServiceLinks: false
      securityContext:
        {{- include "llm-serving.podSecurityContext" $root | nindent 8 }}
      {{- with $root.Facts.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- include "llm-serving.reach" $root | nindent 6 }}
      {{- with concat $v.gpu.tolerations $v.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ $component }}
          image: {{ include "llm-serving.image" (dict "root" $root "image" $v.test.image "tag" "3.12-slim") | quote }}
          imagePullPolicy: {{ $v.test.image.pullPolicy }}
          command: ["python3", "/release/release.py", {{ $component | quote }}]
          terminationMessagePolicy: FallbackToLogsOnError
          env:
            - name: EXPECTED
              value: {{ $expected | toJson | quote }}
            - name: DEADLINE_SECONDS
              value: {{ sub .seconds 60 | quote }}
          resources:
            requests: {cpu: 10m, memory: 32Mi}
            limits: {cpu: 500m, memory: 64Mi}  # a quota on limits.cpu must not keep it out
          securityContext:
            {{- include "llm-serving.containerSecurityContext" (dict "readOnly" true) | nindent 12 }}
          volumeMounts:
            - {name: release, mountPath: /release, readOnly: true}
      volumes:
        - name: release
          configMap:
            name: {{ $name | quote }}
{{- end -}}

{{- /*
Commands that end when every engine serves. Helm's own --wait knows Deployments and StatefulSets; a LeaderWorkerSet or a
RayCluster it takes for ready at once.
*/ -}}
{{- define "llm-serving.notes.wait" -}}
{{- $f := .Facts -}}
{{- $tail := printf "--namespace %s --timeout %vs" $f.namespace $f.deadlineSeconds -}}
{{- $field := "kubectl wait %s %s --for=jsonpath='{.status.%s}'=%v" -}}
{{- $lines := list -}}
{{- range include "llm-serving.workloads" . | fromJsonArray -}}
{{- $name := printf "%s/%s" (lower .kind) .name -}}
{{- $forms := dict
      "LeaderWorkerSet" (list (printf $field $name $tail "updatedReplicas" $f.replicas) (printf $field $name $tail "readyReplicas" $f.replicas))
      "RayCluster" (list (printf "kubectl wait %s %s --for=condition=HeadPodReady" $name $tail)
        (printf $field $name $tail "readyWorkerReplicas" (sub $f.nodes 1))) -}}
{{- $lines = concat $lines (get $forms .kind | default (list (printf "kubectl rollout status %s %s" $name $tail))) -}}
{{- end -}}
{{- range $lines }}  {{ . }}
{{ end -}}
{{- if has $f.controller (list "leaderworkerset" "raycluster") -}}
{{- ternary "(Helm has waited for that: hooks.wait.enabled.)" "helm --wait and --rollback-on-failure take it for ready at once; hooks.wait.enabled=true makes them wait." .Values.hooks.wait.enabled }}
{{ end -}}
{{- if .Values.hooks.wait.enabled }}Install and upgrade with --timeout {{ add $f.deadlineSeconds 120 }}s: Helm waits for its hooks.
{{ end -}}
{{- end -}}
