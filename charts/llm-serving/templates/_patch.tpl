{{- /*
The user's patch of the pod template (podPatch), by the rules of a strategic merge: mappings merge, null takes a field
away, lists whose items have a name merge item by item, `$patch: delete` in an item takes it away, other lists are
replaced. The pairs that are still to be merged wait in a list, since a template that includes itself is hard to read.
args: dict root, pod (the pod template as text)
*/ -}}
{{- define "llm-serving.patched" -}}
{{- $base := fromYaml .pod -}}
{{- $keys := dict
      "containers" "name" "initContainers" "name" "volumes" "name" "env" "name" "imagePullSecrets" "name"
      "ports" "containerPort" "volumeMounts" "mountPath" "volumeDevices" "devicePath" "resourceClaims" "name"
      "hostAliases" "ip" "topologySpreadConstraints" "topologyKey" -}}
{{- $queue := dict "pairs" (list (dict "base" $base "patch" .root.Values.podPatch)) -}}
{{- range $turn := until 500 -}}
{{- if $queue.pairs -}}
{{- $pair := first $queue.pairs -}}
{{- $_ := set $queue "pairs" (rest $queue.pairs) -}}
{{- include "llm-serving.patchedMap" (dict "base" $pair.base "patch" $pair.patch "keys" $keys "queue" $queue) -}}
{{- end -}}
{{- end -}}
{{- ternary .pod (toYaml $base) (empty .root.Values.podPatch) -}}
{{- end -}}

{{- /* Fields of one mapping; those with fields of their own join the queue. args: dict base, patch, keys (by list), queue */ -}}
{{- define "llm-serving.patchedMap" -}}
{{- range $field, $value := .patch -}}
{{- $old := get $.base $field -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $.base $field -}}
{{- else if and (kindIs "map" $value) (kindIs "map" $old) -}}
{{- $_ := set $.queue "pairs" (append $.queue.pairs (dict "base" $old "patch" $value)) -}}
{{- else if and (kindIs "slice" $value) (kindIs "slice" $old) (hasKey $.keys $field) -}}
{{- include "llm-serving.patchedList" (dict "base" $.base "field" $field "items" $value "key" (index $.keys $field) "queue" $.queue) -}}
{{- else -}}
{{- $_ := set $.base $field $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Items of one list. args: dict base (the mapping that holds it), field, items (of the patch), key, queue */ -}}
{{- define "llm-serving.patchedList" -}}
{{- $names := dict -}}
{{- range get .base .field }}{{ $_ := set $names (get . $.key | toString) . }}{{ end -}}
{{- range $item := .items -}}
{{- $name := get $item $.key | toString -}}
{{- $same := get $names $name | default dict -}}
{{- if eq (get $item "$patch" | toString) "delete" -}}
{{- $_ := set $.base $.field (without (get $.base $.field) $same) -}}
{{- else if $same -}}
{{- $_ := set $.queue "pairs" (append $.queue.pairs (dict "base" $same "patch" $item)) -}}
{{- else -}}
{{- $_ := set $.base $.field (append (get $.base $.field) $item) -}}
{{- end -}}
{{- end -}}
{{- end -}}
