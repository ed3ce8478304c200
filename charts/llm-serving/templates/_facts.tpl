{{- /*
What the release is: whatever more than one template asks for, computed once and kept under the key Facts of the root
context. Every template begins with this, so that partials find it there. A rendering hands all templates of a chart one
root context, those of another alias another; whoever hands over a context of their own gets the facts of that one.

Field            Type     Meaning

fullname         string   name of the Service, of the Deployment and of most other objects
namespace        string   namespace of the release
groupName        string   beginning of the names of a group's objects, with room for ordinals and hashes
groupService     string   name of the members' headless Service, and of the ConfigMap with their supervisor
groupSecret      string   Secret that members prove to know; empty for none
makesGroupSecret bool     a hook makes that Secret
groupSecretJob   string   name of the hook's objects
leaderWorkerSet  string   name of the LeaderWorkerSet, and of the Service that its operator makes
account          string   service account of the pods
downloadName     string   name of the ConfigMap with the download script, and of the hook that downloads
livenessName     string   name of the ConfigMap with the liveness probe
claim            string   name of the claim of storage.type pvc
claimTemplate    string   name of the ResourceClaimTemplate
image            string   the engine's image
labels           map      labels of every object, all but the component
selectorLabels   map      labels by which the engines' pods are selected: nothing that ever changes
apiLabels        map      labels of the pods that answer: of a group only its leader
pullSecrets      list     pull secrets of all pods
scripts          map      annotation with a digest of the scripts that the pods mount: others start the pods anew

engine           string   type of the engine
command          list     the engine's command, where values give none
python           list     command of a Python with huggingface_hub in the engine's image
apiKeyVariable   string   variable in which the engine takes its API key; empty where it knows none
ports            list     ports of the engine's container
reservedFlags    map      flags that the chart sets itself: name, and the key to use
reservedEnv      map      variables that the chart sets itself: name, and the key to use
knows            map      by name, whether the engine knows a flag that the chart sets only where the version has it
metrics          map      names of the metrics of the engine's version by what they tell
judgesStall      bool     the liveness probe looks at the engine's steps, not at /health alone
seriesLabels     map      labels that every time series of the release has
series           string   the same as a PromQL selector

controller       string   kind of workload
nodes            int      pods of one engine, or of all its data parallel engines
severalPods      bool     several pods serve together, each under the supervisor
dataOverPods     bool     data parallel engines of one release run in several pods
replicas         int      groups, or pods where an engine is one pod
groups           list     numbers, as text, of the groups that have a workload each
autoscaled       bool     an autoscaler owns the number of replicas
setReplicas      bool     the workload says its number of replicas
rollout          string   how a new pod takes over: recreate, replaceOneByOne or surge
listen           string   address that the engine listens on

modelPath        string   folder or address of the model; empty where it comes from the hub
model            string   what the engine is told to serve: the path, or the hub's id
servedName       string   first name of the model in the API
names            list     further names in the API: aliases and adapters
streamed         bool     weights are streamed from an object store
offline          bool     the engine itself needs no hub
downloads        bool     some pod reaches the hub or an object store
asksHub          bool     the engine itself reaches the hub
fetches          bool     a pod of the engine reaches the hub or an object store, in whatever container
repositories     list     adapters and drafts that are downloaded: {id, revision, folder}
podDownloads     list     what pods do before their engine about the model and the repositories: those fields, and
                          {name, action}, which is fetch or wait; empty where a hook or nobody downloads
downloadJob      bool     a Job of the release downloads
downloadHook     bool     a hook downloads before install and upgrade

tls              bool     the engine's container holds a certificate
https            bool     the port http speaks TLS
scheme           string   https or http
grpc             bool     the API is gRPC
apiPort          string   port of the Service that clients call, by name
apiPorts         list     ports that clients may reach, by name
healthPort       string   port of the container that answers probes, by name
hostname         string   name of the Service that a certificate must hold
testHost         string   name by which the test calls the Service
exposed          list     what is let through to clients outside: {path, prefixed, type, port, name}
unguarded        list     paths among them for which the engine asks no key
tracing          map      address, host and port of the collector of traces; empty without one

groupWaitSeconds int      time that members of a group wait for each other
startupSeconds   int      time from the container's start until it must serve
deadlineSeconds  int      time from the install until it must serve
cooldownSeconds  int      time without load before an autoscaler ends an engine
graceSeconds     int      time to stop: leaving the Service, running answers, and 10 s for the engine to end
*/ -}}
{{- define "llm-serving.facts" -}}
{{- if not (hasKey . "Facts") -}}
{{- $_ := set . "Facts" dict -}}
{{- $_ := set . "Values" (mergeOverwrite (.Files.Get "files/values.json" | fromJson).empty .Values) -}}
{{- include "llm-serving.facts.names" . -}}
{{- include "llm-serving.facts.engine" . -}}
{{- include "llm-serving.facts.layout" . -}}
{{- include "llm-serving.facts.trust" . -}}
{{- include "llm-serving.facts.model" . -}}
{{- include "llm-serving.facts.api" . -}}
{{- include "llm-serving.facts.seconds" . -}}
{{- end -}}
{{- end -}}

{{- define "llm-serving.facts.names" -}}
{{- $f := .Facts -}}
{{- $v := .Values -}}
{{- $secrets := list -}}
{{- range concat $v.global.imagePullSecrets $v.imagePullSecrets }}{{ $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) }}{{ end -}}
{{- $_ := set $f "pullSecrets" (uniq $secrets) -}}
{{- $_ := set $f "fullname" (include "llm-serving.fullname" .) -}}
{{- $_ := set $f "namespace" .Release.Namespace -}}
{{- /* Controllers put name, group, ordinal and a hash of 10 into a label of 63. */ -}}
{{- $short := printf "%s-%s" (trunc 35 $f.fullname | trimAll "-") (sha256sum $f.fullname | trunc 6) -}}
{{- $_ := set $f "groupName" (ternary $short $f.fullname (gt (len $f.fullname) 42)) -}}
{{- $_ := set $f "groupService" (printf "%s-group" $f.fullname) -}}
{{- /* The operator makes a headless Service of this name: it must be none that the chart makes with any controller. */ -}}
{{- $_ := set $f "leaderWorkerSet" (printf "%s-lws" $f.groupName) -}}
{{- $_ := set $f "account" ($v.serviceAccount.name | default (ternary $f.fullname "default" $v.serviceAccount.create)) -}}
{{- $_ := set $f "downloadName" (printf "%s-download" $f.fullname) -}}
{{- $_ := set $f "livenessName" (printf "%s-liveness" $f.fullname) -}}
{{- $_ := set $f "claim" (printf "%s-models" $f.fullname) -}}
{{- $_ := set $f "claimTemplate" (printf "%s-gpus" $f.fullname) -}}
{{- /* vLLM's tags begin with v, those of the others do not. */ -}}
{{- $tag := printf "%s%s" (ternary "v" "" (eq $v.engine.type "vllm")) $v.engine.version -}}
{{- $_ := set $f "image" (include "llm-serving.image" (dict "root" . "image" $v.engine.image "tag" $tag)) -}}
{{- $own := dict "app.kubernetes.io/name" (include "llm-serving.name" .) "app.kubernetes.io/instance" .Release.Name -}}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 -}}
{{- $made := dict "helm.sh/chart" $chart "app.kubernetes.io/version" ($v.engine.version | replace "+" "_") "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $f "labels" (merge $made $own) -}}
{{- $_ := set $f "selectorLabels" (merge (dict "app.kubernetes.io/component" "engine") $own) -}}
{{- $leaders := dict
      "statefulset" "apps.kubernetes.io/pod-index"
      "leaderworkerset" "leaderworkerset.sigs.k8s.io/worker-index"
      "raycluster" "llm-serving/rank" -}}
{{- $_ := set $f "apiLabels" (merge (dict) $f.selectorLabels) -}}
{{- with index $leaders $v.parallelism.controller }}{{ $_ := set $f.apiLabels . "0" }}{{ end -}}
{{- end -}}

{{- define "llm-serving.facts.engine" -}}
{{- $f := .Facts -}}
{{- $e := .Values.engine -}}
{{- $data := .Files.Get "files/engines.json" | fromJson -}}
{{- $own := index $data.engines $e.type -}}
{{- $_ := set $f "engine" $e.type -}}
{{- $_ := set $f "command" $own.command -}}
{{- $_ := set $f "python" $own.python -}}
{{- $_ := set $f "apiKeyVariable" $own.apiKeyVariable -}}
{{- $_ := set $f "ports" $own.ports -}}
{{- $_ := set $f "reservedFlags" $own.reservedFlags -}}
{{- $_ := set $f "reservedEnv" $data.reservedEnv -}}
{{- $version := regexFind "^[0-9]+[.][0-9]+([.][0-9]+)?" $e.version -}}
{{- $_ := set $f "knows" dict -}}
{{- range $flag, $since := $data.since -}}
{{- $_ := set $f.knows $flag (and (eq $e.type "vllm") (ne $version "") (semverCompare (printf ">=%s-0" $since) $version)) -}}
{{- end -}}
{{- /* The last name whose version is not newer than the engine's counts. */ -}}
{{- $_ := set $f "metrics" dict -}}
{{- range $role, $names := $own.metrics -}}
{{- range $names -}}
{{- $_ := set $f.metrics $role (semverCompare (printf ">=%s" .from) ($version | default "0.0.0") | ternary .name (get $f.metrics $role)) -}}
{{- end -}}
{{- end -}}
{{- $own := dict "namespace" $f.namespace "app_kubernetes_io_instance" .Release.Name -}}
{{- /* On CPUs one step may take minutes, and requests wait for as long as an engine sleeps. */ -}}
{{- $gpus := or (ne .Values.gpu.resourceName "") (ne .Values.gpu.dra.deviceClassName "") -}}
{{- $ours := and (eq $e.type "vllm") (empty $e.command) (not (hasKey $e.args "enable-sleep-mode")) -}}
{{- $_ := set $f "judgesStall" (and $gpus $ours (gt (int .Values.liveness.stalledSeconds) 0)) -}}
{{- $_ := set $f "seriesLabels" (.Values.monitoring.seriesLabels | default $own) -}}
{{- $parts := list -}}
{{- range $label, $value := $f.seriesLabels }}{{ $parts = append $parts (printf "%s=%q" $label $value) }}{{ end -}}
{{- $_ := set $f "series" (printf "{%s}" (join "," $parts)) -}}
{{- end -}}

{{- define "llm-serving.facts.layout" -}}
{{- $f := .Facts -}}
{{- $p := .Values.parallelism -}}
{{- $_ := set $f "controller" $p.controller -}}
{{- $_ := set $f "nodes" ($p.nodes | int64) -}}
{{- $_ := set $f "severalPods" (gt $f.nodes 1) -}}
{{- $_ := set $f "dataOverPods" (and $f.severalPods (gt (int $p.data) 1)) -}}
{{- $_ := set $f "replicas" (.Values.replicas | int64) -}}
{{- $groups := list -}}
{{- if has $p.controller (list "statefulset" "raycluster") -}}
{{- range until (int .Values.replicas) }}{{ $groups = append $groups (toString .) }}{{ end -}}
{{- end -}}
{{- $_ := set $f "groups" $groups -}}
{{- $_ := set $f "autoscaled" (or .Values.scaling.hpa.enabled .Values.scaling.keda.enabled) -}}
{{- /* Left away, the API server puts 1 in its place, which ends all engines but one where autoscaling begins. */ -}}
{{- $_ := set $f "setReplicas" (or (not $f.autoscaled) (gt $f.replicas 1)) -}}
{{- $several := or (gt $f.replicas 1) (and $f.autoscaled (gt (int .Values.scaling.maxReplicas) 1)) -}}
{{- $auto := and $several (has $p.controller (list "deployment" "leaderworkerset")) | ternary "replaceOneByOne" "recreate" -}}
{{- $_ := set $f "rollout" (eq .Values.rollout.mode "auto" | ternary $auto .Values.rollout.mode) -}}
{{- end -}}

{{- define "llm-serving.facts.trust" -}}
{{- $f := .Facts -}}
{{- $g := .Values.auth.group -}}
{{- $_ := set $f "makesGroupSecret" (and $f.severalPods $g.create (not $g.existingSecret)) -}}
{{- $_ := set $f "groupSecretJob" (printf "%s-secret" $f.fullname) -}}
{{- $_ := set $f "groupSecret" ($g.existingSecret | default (ternary $f.groupService "" $f.makesGroupSecret)) -}}
{{- end -}}

{{- define "llm-serving.facts.model" -}}
{{- $f := .Facts -}}
{{- $m := .Values.model -}}
{{- $source := $m.source -}}
{{- $mounted := has $source.type (list "pvc" "oci") | ternary (printf "/llm/source/%s" (trimAll "/" $source.path) | trimSuffix "/") "/llm/source" -}}
{{- $paths := dict "hub" $m.path "pvc" $mounted "oci" $mounted "hostPath" $mounted -}}
{{- $_ := set $f "modelPath" (hasKey $paths $source.type | ternary (index $paths $source.type) $source.uri) -}}
{{- $_ := set $f "model" ($f.modelPath | default $m.id) -}}
{{- /* TGI answers under the name that it was started with. */ -}}
{{- $_ := set $f "servedName" (ternary $f.model ($m.servedName | default $m.id | default (base $f.modelPath)) (eq .Values.engine.type "tgi")) -}}
{{- $names := $m.aliases -}}
{{- range .Values.engine.lora.adapters }}{{ $names = append $names .name }}{{ end -}}
{{- $_ := set $f "names" $names -}}
{{- $found := list -}}
{{- range append .Values.engine.lora.adapters .Values.engine.speculative -}}
{{- if .id }}{{ $found = append $found (dict "id" .id "revision" (.revision | default "") "folder" (include "llm-serving.place" .)) }}{{ end -}}
{{- end -}}
{{- $_ := set $f "repositories" ($found | uniq) -}}
{{- $mode := $m.download.mode -}}
{{- $actions := dict "none" "" "init" "fetch" "job" "wait" "hook" "" -}}
{{- $first := list -}}
{{- with index $actions $mode -}}
{{- $first = list (dict "name" (printf "%s-model" .) "action" . "id" $m.id "revision" $m.revision "folder" "") -}}
{{- end -}}
{{- $_ := set $f "podDownloads" $first -}}
{{- $extra := ternary "fetch" (index $actions $mode) (eq $mode "none") -}}
{{- range $index, $repository := ternary $f.repositories list (ne $extra "") -}}
{{- $own := dict "name" (printf "%s-extra-%d" $extra $index) "action" $extra -}}
{{- $_ := set $f "podDownloads" (append $f.podDownloads (merge $own $repository)) -}}
{{- end -}}
{{- $_ := set $f "downloadJob" (eq $mode "job") -}}
{{- $_ := set $f "downloadHook" (eq $mode "hook") -}}
{{- $_ := set $f "streamed" (has $source.type (list "s3" "gcs" "azure")) -}}
{{- $_ := set $f "offline" (or (ne $f.modelPath "") (ne $mode "none")) -}}
{{- $_ := set $f "asksHub" (and (not $f.offline) (ne .Values.engine.type "tgis")) -}}
{{- $fetches := or $f.asksHub $f.streamed (and (eq .Values.engine.type "tgis") (eq $f.modelPath "")) -}}
{{- range $f.podDownloads }}{{ $fetches = or $fetches (eq .action "fetch") }}{{ end -}}
{{- $_ := set $f "fetches" $fetches -}}
{{- $_ := set $f "downloads" (or (eq $f.modelPath "") $f.streamed (gt (len $f.repositories) 0)) -}}
{{- $names := concat (ternary (list "group*") list $f.severalPods) (empty $f.podDownloads | ternary list (list "download")) -}}
{{- $scripts := .Files.Glob (printf "files/{%s}.py" (join "," $names)) -}}
{{- $_ := set $f "scripts" (ternary dict (dict "llm-serving/scripts" (sha256sum $scripts.AsConfig | trunc 16)) (empty $scripts)) -}}
{{- end -}}

{{- define "llm-serving.facts.api" -}}
{{- $f := .Facts -}}
{{- /* TGIS keeps health and metrics in plain text. */ -}}
{{- $_ := set $f "tls" (ne .Values.tls.existingSecret "") -}}
{{- $_ := set $f "https" (and $f.tls (eq $f.engine "vllm")) -}}
{{- $_ := set $f "scheme" (ternary "https" "http" $f.https) -}}
{{- $_ := set $f "grpc" (eq $f.engine "tgis") -}}
{{- $_ := set $f "apiPort" (ternary "grpc" "http" $f.grpc) -}}
{{- $_ := set $f "apiPorts" (list "http" $f.apiPort | uniq) -}}
{{- $_ := set $f "healthPort" (ternary "group" "http" $f.severalPods) -}}
{{- $_ := set $f "hostname" (printf "%s.%s.svc" $f.fullname $f.namespace) -}}
{{- $_ := set $f "testHost" (ternary $f.hostname $f.fullname $f.tls) -}}
{{- $six := or (has "IPv6" .Values.service.ipFamilies) (hasSuffix "DualStack" .Values.service.ipFamilyPolicy) -}}
{{- $family := .Values.network.ipFamily -}}
{{- $_ := set $f "listen" (or (eq $family "IPv6") (and $six (eq $family "auto")) | ternary "::" "0.0.0.0") -}}
{{- $_ := set $f "exposed" (include "llm-serving.exposed" . | fromJsonArray) -}}
{{- $_ := set $f "unguarded" (include "llm-serving.unguarded" . | fromJsonArray) -}}
{{- $_ := set $f "tracing" (include "llm-serving.tracing" . | fromJson) -}}
{{- end -}}

{{- /* Members start when their image is there: they wait for each other as long as a pull may take, at least a minute. */ -}}
{{- define "llm-serving.facts.seconds" -}}
{{- $f := .Facts -}}
{{- $s := .Values.startup -}}
{{- $download := empty $f.podDownloads | ternary 0 $s.budgetSeconds -}}
{{- $_ := set $f "groupWaitSeconds" (add (max 60 (int $s.imagePullSeconds)) $download) -}}
{{- $_ := set $f "startupSeconds" (add $s.budgetSeconds (ternary $f.groupWaitSeconds 0 $f.severalPods)) -}}
{{- $_ := set $f "deadlineSeconds" (add $f.startupSeconds $s.imagePullSeconds $download) -}}
{{- $_ := set $f "cooldownSeconds" (.Values.scaling.keda.cooldownSeconds | default $f.deadlineSeconds | int64) -}}
{{- $_ := set $f "graceSeconds" (add .Values.drain.preStopSeconds .Values.drain.shutdownTimeoutSeconds 10) -}}
{{- end -}}
