#!/bin/bash
# The VM runner as a command: what it is asked for, what it says, and what a broken host, kernel, store
# or guest leads to: one clear line, and nothing that is left.
#
# A QEMU that is stopped while it starts is not tried: the time-outs of HELLO (120 s) and of the jail
# (60 s) cannot be made shorter from outside.
# shellcheck source=tests/run/lib.sh
. "${srcdir:-.}/tests/run/lib.sh" || exit 99
small_tools="$small_tools tr grep"
vm_kernel
small_root
pack "$SMALL" "$W/root.tar.zst"
kernels=$W/kernels
release=${KERNEL##*/vmlinuz-}
who=root
[ "$(id -u)" = 0 ] || who=self
P=$W/project
store=$W/store
mkdir -p "$P" "$store"

# spec VM-KEYS [TARGET-LINES]: the first are what stands in `vm: {...}`, with 128M and TCG unless said
spec() {
	keys=$1
	shift
	case $keys in *memory:*) ;; *) keys="$keys, memory: 128M" ;; esac
	case $keys in *accel:*) ;; *) keys="$keys, accel: tcg" ;; esac
	{
		printf 'duet: 1\nname: guest\nimage:\n  from: {archive: %s}\n' "$W/root.tar.zst"
		printf 'target:\n  vm: {%s}\n' "$keys"
		printf '%s\n' "$@"
	} >"$P/duet.yaml"
}

# A kernel that does, and more keys.
good() {
	spec "kernel: $KERNEL${1:+, $1}" "${@:2}"
}

run() {
	as "$who" "$DUET" run --store "$store" -f "$P/duet.yaml" --on vm "$@" </dev/null 2>"$W/err"
}

# fails NAME CODE TEXT COMMAND...: one line of error (and a mend), with this in it
fails() {
	what=$1 wanted=$2 text=$3
	shift 3
	out=$("$@")
	is "$what: exit code" $? "$wanted"
	is "$what: nothing on standard output" "$out" ''
	is "$what: one error" "$(grep -c '^duet: error\|^[^ ]*duet.yaml:[0-9:]* error' "$W/err")" 1
	has "$what: it is said" "$(cat "$W/err")" "$text"
}

all_runners() {
	good
	all() {
		"$DUET" run --store "$store" -f "$P/duet.yaml" --on all "$@" 2>"$W/err"
	}
	# a guest's PID 2 is its kernel's
	inside='read -r comm </proc/2/comm; [ "$comm" = kthreadd ] && exit 3; echo container; exit 4'
	out=$(all -- sh -c "$inside" </dev/null)
	is 'all: the first code that is not 0' $? 4
	is 'all: both ran' "$out" container
	is 'all: the order' "$(grep 'note: on' "$W/err")" 'duet: note: on container
duet: note: on vm'
	out=$(all -- sh -c "${inside/exit 4/exit 0}" </dev/null)
	is 'all: 0, then 3' $? 3
	all -- true </dev/null
	is 'all: 0' $? 0
	sed -i 's/^image:/on: [vm, container]\nimage:/' "$P/duet.yaml"
	all -- sh -c "$inside" </dev/null >/dev/null
	is 'all: in the order of the spec' $? 3
	is 'all: the order is said' "$(grep 'note: on' "$W/err")" 'duet: note: on vm
duet: note: on container'
	echo data >"$W/in"
	out=$(all -- cat <"$W/in")
	is 'all: a standard input that is not empty' $? 125
	has 'all: it is refused' "$(cat "$W/err")" 'error[usage]: run --on all: standard input is not empty'
	is 'all: and nothing ran' "$out" ''
	out=$(printf '' | all -- cat)
	is 'all: one that is' $? 0
	all -t -- true </dev/null
	is 'all: -t' $? 125
	has 'all: -t is refused' "$(cat "$W/err")" 'run -t --on all: several jobs cannot share a terminal'
}

explain() {
	good 'cpus: 3' '  workdir: /srv'
	# a QEMU that would tell that it ran
	printf '#!/bin/sh\ntouch %s/started\nexit 1\n' "$W" >"$W/bin/false-qemu"
	chmod 755 "$W/bin/false-qemu"
	text=$(DUET_QEMU=$W/bin/false-qemu run --explain -- sh -c 'echo "a b"')
	is 'explain: exit code' $? 0
	is 'explain: no QEMU' "$([ -e "$W/started" ] && echo started)" ''
	for part in 'runner       vm' 'accel        tcg' "kernel       $release" 'disks        1' \
		'-nodefaults' '-smp  3' '-m  134217728B' 'resourcecontrol=deny' 'virtserialport' \
		'console=ttyS0 quiet' 'driver=raw,node-name=disk0,read-only=on' 'workdir      /srv' \
		'mask      /proc/kcore' '  echo "a b"'; do
		has "explain: $part" "$text" "$part"
	done
	DUET_QEMU=$W/bin/false-qemu run -- true
	[ -e "$W/started" ] && not_ok 'explain: a script in the jail ran' || ok 'a script is no QEMU'
}

machine() {
	good 'cpus: 2, memory: 192M'
	is 'cpus' "$(run -- sh -c 'ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l')" 2
	memory_kb=$(run -- sh -c 'read -r name kb unit </proc/meminfo; echo $kb')
	if [ "$memory_kb" -gt 140000 ] && [ "$memory_kb" -lt 196608 ]; then
		ok memory
	else
		not_ok "memory: $memory_kb kB of 192 MiB"
	fi
	good 'root_size: 300M'
	is 'root_size: more than there is memory' \
		"$(run -- sh -c 'head -c 200M /dev/zero >/big && stat -c %s /big')" 209715200
	is 'root_size: not more than the disk' \
		"$(run -- sh -c 'head -c 400M /dev/zero >/big 2>/dev/null || echo full')" full
	is 'root_size: the next one is empty' "$(run -- sh -c 'ls /big 2>/dev/null')" ''
	is 'root_size: folders of the image' \
		"$(run -- sh -c 'rm -r /usr/sbin && mkdir /usr/sbin && ls /usr/sbin; cp /bin/cat /usr/sbin; ls /usr/sbin')" cat
	good
	is 'in memory: half of it' \
		"$(run -- sh -c 'head -c 100M /dev/zero >/big 2>/dev/null || echo full')" full
}

snapshots() {
	good 'snapshot: off'
	run -v -- true
	has 'off: cold' "$(cat "$W/err")" 'the guest starts cold, accelerated by nothing (TCG)'
	good
	rm -rf "$store"/v1/states/*
	run -v -- true
	has 'auto: made' "$(cat "$W/err")" 'no saved state of this machine yet'
	run -v -- true
	has 'auto: from a saved state' "$(cat "$W/err")" 'the guest starts from a saved state'
	is 'auto: not made again' "$(grep -c 'no saved state' "$W/err")" 0
	good '' '  timeout: 300ms'
	run -- sleep 20
	is 'time-out: exit code' $? 124
	has 'time-out: it is scaled, and that is said' "$(cat "$W/err")" \
		'the guest is emulated: the time-out of 300 ms is taken as 1200 ms'
	good
	run -- cat /proc/1/comm /etc/machine-id >"$W/out"
	is 'another run after all that' "$(head -n 1 "$W/out")" duet-init
}

acceleration() {
	good 'accel: kvm'
	# looked at before it is opened: where there is none, a shell would make a file of that name
	if as "${refused:=$who}" sh -c '[ -c /dev/kvm ] && : <>/dev/kvm' 2>/dev/null; then
		echo '/dev/kvm opens here: its refusal is not tried'
	else
		fails 'accel: kvm' 125 'error[host.missing]: run a guest with KVM: /dev/kvm' run -- true
	fi
	if grep -qE ' (vmx|svm)' /proc/cpuinfo; then
		echo 'this processor may have KVM: the note of accel: auto is not tried'
		return
	fi
	good 'accel: auto'
	rm -f "$store/v1/accel"
	note='duet: note: no KVM ('
	run -- true
	has 'auto: said once' "$(cat "$W/err")" "$note"
	run -- true
	is 'auto: and only once' "$(cat "$W/err")" ''
	run -v -- true
	has 'auto: and with -v' "$(cat "$W/err")" 'duet: no KVM ('
	sed -i 's/^[^ ]*/another-boot/' "$store/v1/accel"
	run -- true
	has 'auto: again after another boot' "$(cat "$W/err")" "$note"
}

# Where /dev has no kvm: what QEMU would use of it is not there, whatever this machine has.
without_kvm() {
	row V14 check 'without KVM a guest is emulated: it is said, recorded, and refused where KVM is asked for'
	control_mutant accel-silent
	if [ "$who" != root ] || ! unshare -m true 2>/dev/null; then
		row_left_out 'no mount namespace for this user'
		row
		return
	fi
	cat >"$W/without_kvm" <<-'END'
		mkdir -p "$1/dev" && mount -t tmpfs none "$1/dev" && cd "$1/dev" && mkdir pts shm || exit 99
		for name in null zero full random urandom tty ptmx; do
			touch $name && mount --bind /dev/$name $name || exit 99
		done
		mount --bind /dev/pts pts && mount --bind /dev/shm shm && ln -s /proc/self/fd fd &&
			mount --rbind . /dev && shift && exec "$@"
	END
	hidden() {
		unshare -m sh "$W/without_kvm" "$W" "$DUET" run --store "$store" -f "$P/duet.yaml" --on vm "$@" \
			</dev/null 2>"$W/err"
	}
	good 'accel: auto'
	rm -f "$store/v1/accel"
	is 'no KVM: --explain' "$(hidden --explain -- true | grep '^accel')" 'accel        tcg'
	rm -f "$store/v1/accel"
	out=$(hidden -- sh -c 'echo up; exit 7')
	is 'no KVM: the job ran, its code' "$?:$out" 7:up
	is 'no KVM: it is said' "$(cat "$W/err")" \
		'duet: note: no KVM (/dev/kvm is not there): the guest is emulated (TCG), several times slower'
	is 'no KVM: it is recorded' "$(cut -d ' ' -f 3 "$store/v1/accel")" told
	is 'no KVM: for this boot' "$(cut -d ' ' -f 1 "$store/v1/accel")" "$(cat /proc/sys/kernel/random/boot_id)"
	hidden -- true
	is 'no KVM: said once' "$?:$(cat "$W/err")" 0:
	hidden -v -- true
	has 'no KVM: with -v each time' "$(cat "$W/err")" \
		'duet: no KVM (/dev/kvm is not there): the guest is emulated (TCG)'
	has 'no KVM: what it is accelerated by' "$(cat "$W/err")" 'accelerated by nothing (TCG)'
	good 'accel: kvm'
	fails 'no KVM: asked for' 125 'error[host.missing]: run a guest with KVM: /dev/kvm is not there' hidden -- true
	has 'no KVM: what helps' "$(cat "$W/err")" 'or target.vm.accel: auto'
	good 'accel: tcg'
	hidden -- true
	is 'no KVM: TCG was asked for' "$?:$(cat "$W/err")" 0:
	# a feature that is not there: a word that promises it is refused, not ignored
	good 'strong: true'
	fails 'strong' 125 'error[spec.unknown-key]' hidden -- true
	good
	row
}

kernels() {
	mkdir -p "$kernels/none" "$kernels/no/boot" "$kernels/no/lib"
	echo 'this is no kernel' >"$kernels/none/vmlinuz-1.2.3"
	spec "kernel: $kernels/none/vmlinuz-1.2.3"
	fails 'a file that is no kernel' 125 'error[kernel.refused]: find a kernel: kernel 1.2.3: it is neither' run -- true
	spec "kernel: $kernels/nowhere"
	fails 'no file' 125 "$kernels/nowhere: No such file or directory" run -- true
	head -c 5000000 "$KERNEL" >"$kernels/none/vmlinuz-$release"
	spec "kernel: $kernels/none/vmlinuz-$release"
	fails 'half of a kernel' 125 'error[kernel.refused]: find a kernel: ' run -- true
	# without virtio_console: its module is not there, and it is not built in
	cp "$KERNEL" "$kernels/no/boot/"
	cp -r "$W/kernel/lib/modules" "$kernels/no/lib/"
	find "$kernels/no" -name 'virtio_console.ko*' -delete
	sed -i '/virtio_console/d' "$kernels/no/lib/modules/$release"/modules.*
	chmod -R a+rX "$kernels"
	spec "kernel: $kernels/no/boot/vmlinuz-$release"
	fails 'a kernel without virtio_console' 125 "error[kernel.unfit]: find a kernel: kernel $release lacks virtio_console" run -- true
	if [ -e "/boot/vmlinuz-$(uname -r)" ]; then
		spec 'kernel: host'
		run -- cat /proc/sys/kernel/osrelease >"$W/out"
		echo "kernel: host: exit code $?, $(cat "$W/err")"
	else
		spec 'kernel: host'
		fails 'no kernel of the host' 125 "/boot/vmlinuz-$(uname -r)" run -- true
	fi
	spec 'kernel: debian'
	if run -- cat /proc/sys/kernel/osrelease >"$W/out"; then
		has 'kernel: debian' "$(cat "$W/out")" cloud
		spec 'kernel: auto'
		has 'kernel: auto, without one in the image' \
			"$(run -v -- cat /proc/sys/kernel/osrelease)" cloud
		is 'kernel: auto: from the store' "$(grep -c fetch "$W/err")" 0
	else
		echo "kernel: debian is not tried: $(cat "$W/err")"
	fi
}

refusals() {
	mkdir -p "$P/src"
	good '' '  mounts: ["./src:/src"]'
	fails 'a bind mount' 125 "run on vm: mount $P/src: a VM has no folders of the host yet" run -- true
	good
	export DUET_QEMU=/nonexistent
	fails 'no QEMU' 125 'open /nonexistent: No such file or directory' run -- true
	export DUET_QEMU=$W/bin/qemu-system-x86_64
	mkdir -p "$W/libexec"
	cp "$W/bin/duet-worker" "$W/libexec/"
	head -c 60000 /dev/urandom >"$W/libexec/duet-init"
	chmod 755 "$W/libexec/duet-init"
	export DUET_LIBEXEC=$W/libexec
	fails 'garbage for duet-init' 125 'error[vm.start]: run the guest: its kernel panicked' run -- true
	printf '#!/nowhere\n' >"$W/libexec/duet-init"
	fails 'a duet-init that does not start' 125 'error[vm.start]: run the guest: its kernel panicked' run -- true
	unset DUET_LIBEXEC
}

memory() {
	good 'memory: 96M'
	run -- sh -c 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done'
	is 'too little for the job: exit code' $? 137
	has 'too little for the job: it is said' "$(cat "$W/err")" \
		'the guest ran out of its 96 MiB of memory (target.vm.memory)'
	good 'memory: 64M'
	fails 'too little for the boot' 125 'error[vm.start]: run the guest: it ran out of memory' run -- true
	has 'too little for the boot: the mend' "$(cat "$W/err")" 'target.vm.memory'
}

qemu_pid() {
	find /proc/[0-9]*/exe -lname "$DUET_QEMU" 2>/dev/null | cut -d/ -f3
}

killed() {
	good
	run -- sh -c 'echo ready; sleep 20' >"$W/out" &
	pid=$!
	for _ in $(seq 100); do
		grep -q ready "$W/out" && break
		sleep 0.05
	done
	kill -9 "$(qemu_pid)"
	wait $pid
	is 'QEMU killed: exit code' $? 125
	has 'QEMU killed: it is said' "$(cat "$W/err")" 'error[vm.start]: run QEMU: it was killed by signal 9'
	is 'QEMU killed: in one line' "$(wc -l <"$W/err")" 1
}

damaged() {
	good
	rm -rf "$store"/v1/states/*
	run -- true
	# the first check takes the sums that the next one compares with
	is 'store check, the first' "$(as "$who" "$DUET" store check --store "$store" 2>&1)" \
		'the store is sound'
	for kind in erofs states; do
		file=$(echo "$store/v1/$kind"/*/"$([ $kind = erofs ] && echo image || echo ram)")
		printf 'damage' | dd of="$file" bs=1 seek=70000 conv=notrunc status=none
		out=$(as "$who" "$DUET" store check --store "$store" 2>&1)
		is "$kind: store check: exit code" $? 1
		has "$kind: store check finds it" "$out" "$kind"
		is "$kind: and is content then" "$(as "$who" "$DUET" store check --store "$store" 2>&1)" \
			'the store is sound'
		is "$kind: the next run makes it again" "$(run -- sh -c 'echo healed')" healed
		is "$kind: and it is there" "$([ -s "$file" ] && echo there)" there
	done
	for file in "$store"/v1/states/*/ram "$store"/v1/states/*/state; do
		truncate -s -1000 "$file"
		is "a state's ${file##*/} cut short is none" "$(run -v -- sh -c 'echo healed')" healed
		has "a state's ${file##*/} cut short is made again" "$(cat "$W/err")" 'no saved state'
	done
}

for part in ${DUET_PARTS-all_runners explain machine snapshots acceleration without_kvm kernels refusals memory \
	killed damaged}; do
	$part
	no_leftovers "$part" "$store"
done
is_sound end "$who" "$store"
if [ "$who" = root ] && command -v useradd >/dev/null; then
	for who in $(all_users); do
		[ "$who" != root ] || continue
		make_user "$who"
		store=$W/store-$who
		mkdir -p "$store"
		chmod 755 "$P"
		chown "duet-$who-$$" "$store" "$P"
		refused=$who
		good
		is "$who: a guest" "$(run -- id -u)" 0
		acceleration
		no_leftovers "$who" "$store"
	done
fi
finish
