#!/bin/sh
# Runs inside: whose Debian, whose kernel, who am I, what is seen of the machine.
echo "$GREETING from Debian $(cat /etc/debian_version), Linux $(uname -r), as $(id -un) on $(hostname)"
echo "processes: $(ls -d /proc/[0-9]* | wc -l), network: $(ls /sys/class/net | tr '\n' ' ')"
echo "memory: $(($(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo) / 1024)) MiB, processors: $(nproc)"
