{{- /* Refusals of keys that were renamed or dropped: files/removed.json, made from schema/removed.yaml. */ -}}
{{- define "llm-serving.validate.removed" -}}
{{- $problems := list -}}
{{- range .Files.Get "files/removed.json" | fromJsonArray -}}
{{- if include "llm-serving.isSet" (dict "values" $.Values "key" .key) -}}
{{- $way := .way | default (printf "Use %s." .use) -}}
{{- $problems = append $problems (printf "%s is set, which was %s in %s. %s" .key (ternary "renamed" "removed" (hasKey . "use")) .since $way) -}}
{{- end -}}
{{- end -}}
{{- $problems | toJson -}}
{{- end -}}

{{- /* "true" when a dotted key is in the values, whatever its value. args: dict values, key */ -}}
{{- define "llm-serving.isSet" -}}
{{- $node := .values -}}
{{- $found := true -}}
{{- range splitList "." .key -}}
{{- $found = and $found (kindIs "map" $node) -}}
{{- if $found -}}
{{- $found = hasKey $node . -}}
{{- $node = get $node . -}}
{{- end -}}
{{- end -}}
{{- if $found }}true{{ end -}}
{{- end -}}
