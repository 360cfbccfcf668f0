#!/bin/sh
# initrd.sh OUT BINARY...: a root file system in memory with busybox and these test binaries, which runs their root_
# tests, says how each ended on the console, and powers off.
set -eu

out=$1
shift
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/tests"
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
libraries() { # libraries FILE: those that it is linked with, none if it is static
	ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
		mkdir -p "$root${library%/*}"
		cp -L "$library" "$root$library"
	done
}
libraries "$root/bin/busybox"
# What busybox has not, for the disks of tests.
for program in dmsetup addpart; do
	found=$(command -v "$program" || echo "/usr/sbin/$program")
	cp -L "$found" "$root/bin/$program"
	libraries "$found"
done
for binary; do
	# Debug information is most of the size and of no use there.
	strip -g -o "$root/tests/${binary##*/}" "$binary"
	libraries "$binary"
done
cat >"$root/init" <<'I'
#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin RUST_BACKTRACE=0 TMPDIR=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tracefs trace /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
while read -r module _; do
	module=${module##*/}
	module=${module%%.ko*}
	case $module in
	null_blk) modprobe null_blk nr_devices=1 gb=1 ;;
	scsi_debug) modprobe scsi_debug dev_size_mb=16 ;;
	*) modprobe "$module" ;;
	esac || echo "MATRIX: module $module is refused"
done <"/lib/modules/$(uname -r)/modules.dep"
# Tests may overwrite these.
GOPHERD_SPARE_DISKS=
for disk in /sys/block/vd* /sys/block/nvme* /sys/block/sd* /sys/block/nullb*; do
	[ ! -e "$disk" ] || GOPHERD_SPARE_DISKS="$GOPHERD_SPARE_DISKS ${disk##*/}"
done
export GOPHERD_SPARE_DISKS
rc=0
for binary in /tests/*; do
	# One at a time: some compare with what the whole machine did.
	$binary root_ --test-threads=1 --show-output && continue
	# Emulated time leaps. What fails is run once more; run.sh names it if it passes then.
	echo "MATRIX again: ${binary##*/}"
	$binary root_ --test-threads=1 --show-output || rc=1
done
echo "MATRIX rc=$rc"
poweroff -f
I
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$out"
