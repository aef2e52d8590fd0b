# shellcheck shell=bash disable=SC2034 # what is set here is used by those who source it
# Sourced after lib.sh by tests that want a real registry: Debian's docker-registry on 127.0.0.1.
#
#	registry_start NAME [OPTION...]	starts one; what NAME held before it still has. $REGISTRY is its host:port,
#				$REGISTRY_LOG its log. Options:
#				auth=USER:SECRET	for that login alone; `auth=` for one that nobody knows
#				tls		over https, as $W/registry.crt proves
#				port=PORT	there, and nowhere else
#	registry_stop		stops all of them; a test with a clean_up_more of its own calls it there
#	registry_asked WHAT	how many GETs came so far for /v2/NAME/WHAT/...
#	registry_allow		duet may speak plain http to it: for everybody who is run from here on
#
# No proxy of the machine is asked from here on.

REGISTRY='' REGISTRY_LOG='' registry_pids=
no_proxies

clean_up_more() {
	registry_stop
}

registry_free_port() {
	$PYTHON -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# registry_config FOLDER LOGIN TLS
registry_config() {
	echo 'version: 0.1'
	echo 'log: {level: info}'
	echo "storage: {filesystem: {rootdirectory: $1/store}, delete: {enabled: true}}"
	if [ -n "$3" ]; then
		echo "http: {addr: \"$REGISTRY\", tls: {certificate: $W/registry.crt, key: $W/registry.key}}"
	else
		echo "http: {addr: \"$REGISTRY\"}"
	fi
	case $2 in
	none) return ;;
	# without such a file it makes one, with a password that nobody knows
	'') rm -f "$1/htpasswd" ;;
	*) htpasswd -Bbn "${2%%:*}" "${2#*:}" >"$1/htpasswd" 2>/dev/null ;;
	esac
	echo "auth: {htpasswd: {realm: duet test, path: $1/htpasswd}}"
}

# Somebody else may take the port meanwhile: then the next.
registry_start() {
	folder=$W/registry-$1 login=none tls='' port=''
	shift
	for option; do
		case $option in
		auth=*) login=${option#auth=} ;;
		port=*) port=${option#port=} ;;
		tls) tls=yes ;;
		*)
			not_ok "registry_start knows no option $option"
			exit 99 ;;
		esac
	done
	mkdir -p "$folder"
	[ -z "$tls" ] || [ -e "$W/registry.crt" ] || certificate registry
	REGISTRY_LOG=$folder/log
	for _ in 1 2 3 4 5; do
		REGISTRY=127.0.0.1:${port:-$(registry_free_port)}
		registry_config "$folder" "$login" "$tls" >"$folder/config.yml"
		docker-registry serve "$folder/config.yml" >"$REGISTRY_LOG" 2>&1 &
		pid=$!
		for _ in $(seq 100); do
			if curl -sk -o /dev/null "http${tls:+s}://$REGISTRY/v2/"; then
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
	config "registries: {\"$REGISTRY\": {plain_http: true}}"
}
