#!/bin/sh
# Starts nginx, waits until it answers, and shows what it serves.
set -eu
nginx -g 'daemon off;' &
for _ in $(seq 100); do
	curl -fsS http://localhost/ && exit
	sleep 0.1
done 2>/dev/null
echo 'nginx does not answer' >&2
exit 1
