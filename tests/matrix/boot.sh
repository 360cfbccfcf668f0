#!/bin/sh
# boot.sh VMLINUZ INITRD LOG: boots until the guest says how its tests ended, three times at most, and succeeds if they
# passed. One processor: more make the emulation crash some kernels now and then. A guest that says nothing has died
# of that or of a crash of its own, which three boots tell apart.
set -eu

# Disks of the kinds that machines have, which tests may overwrite.
disks=$(mktemp -d)
trap 'rm -rf "$disks"' EXIT
truncate -s 16M "$disks/virtio" "$disks/nvme"
for attempt in 1 2 3; do
	timeout 900 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 1G -smp 1 -nographic -no-reboot -nic none \
		-drive "file=$disks/virtio,format=raw,if=none,id=one" -device virtio-blk-pci,drive=one \
		-drive "file=$disks/nvme,format=raw,if=none,id=two" -device nvme,drive=two,serial=1 \
		-kernel "$1" -initrd "$2" -append "console=ttyS0 panic=-1 quiet loglevel=1" </dev/null 2>&1 | tr -d '\r' >"$3" || true
	verdict=$(sed -n 's/^MATRIX rc=//p' "$3")
	[ -z "$verdict" ] || exit "$verdict"
	echo "boot.sh: no verdict from $1 (boot $attempt of 3)" >&2
done
exit 2
