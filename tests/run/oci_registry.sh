# shellcheck shell=bash disable=SC2034 # what is set here is used by those who source it
# Sourced after lib.sh: a registry on 127.0.0.1, and who may speak plain http to it.
#
#	registry_start FOLDER [LINE]	starts Debian's docker-registry, its blobs in FOLDER, with one more
#				line of configuration; $REGISTRY is its host:port, its log $W/registry.log
#	registry_stop		stops it; for clean_up_more
#	registry_asked WHAT	how many requests came so far for /v2/NAME/WHAT/...
#	registry_allow		duet may use it: for everybody who is run from here on

REGISTRY='' REGISTRY_PID=''

# answers PORT: is there a registry?
answers() {
	curl -s -o "$W/registry.answer" "http://127.0.0.1:$1/v2/"
}

# Somebody else may take the port meanwhile: then the next.
registry_start() {
	for try in 1 2 3 4 5; do
		port=$($PYTHON -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
		cat >"$W/registry.yml" <<-END
			version: 0.1
			log: {level: error, accesslog: {disabled: false}}
			storage: {filesystem: {rootdirectory: "$1"}, delete: {enabled: true}}
			http: {addr: "127.0.0.1:$port"}
			${2-}
		END
		docker-registry serve "$W/registry.yml" >"$W/registry.log" 2>&1 &
		REGISTRY_PID=$!
		for wait in $(seq 100); do
			kill -0 $REGISTRY_PID 2>/dev/null || continue 2
			if answers "$port"; then
				REGISTRY=127.0.0.1:$port
				return 0
			fi
			sleep 0.1
		done
		registry_stop
	done
	echo "docker-registry does not answer: $try tries, $wait looks"
	cat "$W/registry.log"
	return 1
}

registry_stop() {
	[ -z "$REGISTRY_PID" ] || {
		kill "$REGISTRY_PID"
		wait "$REGISTRY_PID"
	} 2>/dev/null
	REGISTRY_PID=
}

registry_asked() {
	grep -c "\"GET /v2/[^ ]*/$1/" "$W/registry.log"
}

registry_allow() {
	export XDG_CONFIG_HOME=$W/config
	mkdir -p "$W/config/duet"
	echo "registries: {\"$REGISTRY\": {plain_http: true}}" >"$W/config/duet/config.yaml"
	chmod -R a+rX "$W/config"
}
