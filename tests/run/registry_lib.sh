# shellcheck shell=bash
# Sourced after lib.sh by tests that want a real registry: Debian's docker-registry on 127.0.0.1.

registries=

clean_up_more() {
	for pid in $registries; do
		kill "$pid" 2>/dev/null
	done
}

free_port() {
	$PYTHON -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# registry NAME [LINE...]: starts one with these lines in its configuration; $HOST is where it is
registry() {
	dir=$W/registry-$1
	shift
	mkdir -p "$dir"
	for _ in 1 2 3; do
		HOST=127.0.0.1:$(free_port)
		cat >"$dir/config.yml" <<END
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: $dir/store}}
http: {addr: $HOST}
END
		printf '%s\n' "$@" >>"$dir/config.yml"
		docker-registry serve "$dir/config.yml" >"$dir/log" 2>&1 &
		pid=$!
		for _ in $(seq 100); do
			if curl -s -o /dev/null "http://$HOST/v2/"; then
				registries="$registries $pid"
				return 0
			fi
			kill -0 $pid 2>/dev/null || break
			sleep 0.05
		done
		kill $pid 2>/dev/null
	done
	cat "$dir/log"
	skip 'docker-registry does not start'
}
