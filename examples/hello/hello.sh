#!/bin/sh
# Runs inside: whose Debian, whose kernel, who am I, who else is here.
echo "$GREETING from Debian $(cat /etc/debian_version), Linux $(uname -r), as $(id -un) on $(hostname)"
echo "processes: $(ls -d /proc/[0-9]* | wc -l), network: $(ls /sys/class/net | tr '\n' ' ')"
