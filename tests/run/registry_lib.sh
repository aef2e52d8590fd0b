# shellcheck shell=bash disable=SC2034 # what is set here is used by those who source it
# Sourced after lib.sh by tests that want a real registry: Debian's docker-registry on 127.0.0.1.
#
#	registry_start NAME [LINE...]	starts one, with these lines more in its configuration; what NAME held
#				before it still has. $REGISTRY is its host:port, $REGISTRY_LOG its log
#	registry_stop		stops all of them; a test with a clean_up_more of its own calls it there
#	registry_asked WHAT	how many GETs came so far for /v2/NAME/WHAT/...
#	registry_allow		duet may speak plain http to it: for everybody who is run from here on

REGISTRY='' REGISTRY_LOG='' registry_pids=

clean_up_more() {
	registry_stop
}

# Somebody else may take the port meanwhile: then the next.
registry_start() {
	folder=$W/registry-$1
	shift
	mkdir -p "$folder"
	REGISTRY_LOG=$folder/log
	for _ in 1 2 3 4 5; do
		REGISTRY=127.0.0.1:$($PYTHON -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
		cat >"$folder/config.yml" <<-END
			version: 0.1
			log: {level: info}
			storage: {filesystem: {rootdirectory: $folder/store}, delete: {enabled: true}}
			http: {addr: "$REGISTRY"}
		END
		printf '%s\n' "$@" >>"$folder/config.yml"
		docker-registry serve "$folder/config.yml" >"$REGISTRY_LOG" 2>&1 &
		pid=$!
		for _ in $(seq 100); do
			if curl -s -o /dev/null "http://$REGISTRY/v2/"; then
				registry_pids="$registry_pids $pid"
				return 0
			fi
			kill -0 $pid 2>/dev/null || break
			sleep 0.05
		done
		kill $pid 2>/dev/null
	done
	cat "$REGISTRY_LOG"
	skip 'docker-registry does not start'
}

registry_stop() {
	for pid in $registry_pids; do
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	registry_pids=
}

registry_asked() {
	grep -v level= "$REGISTRY_LOG" | grep -c "\"GET /v2/[^ ]*/$1/"
}

registry_allow() {
	export XDG_CONFIG_HOME=$W/config
	mkdir -p "$W/config/duet"
	echo "registries: {\"$REGISTRY\": {plain_http: true}}" >"$W/config/duet/config.yaml"
	chmod -R a+rX "$W/config"
}
