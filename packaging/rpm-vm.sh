#!/bin/bash
# Boots systemd in an emulated machine and lives a package's life there: packaging/vm/guest.sh. Prints the
# transcript; succeeds when it ends in a passing verdict. Usage: rpm-vm.sh TARGET_DIR, as root (for the guest's
# files), after rpm.sh and deb.sh.
#
# TARGET/vm keeps the guest's root and kernel for the next time. The processor is emulated, so that it runs where
# there is no KVM; a guest that dies without a verdict, which emulation does at times, is booted again.
set -euo pipefail

repo=$(cd -- "$(dirname -- "$0")/.." && pwd)
target=$(cd -- "$1" && pwd)
vm=$target/vm
package=$target/package
# shellcheck source=packaging/roots.sh
. "$repo/packaging/roots.sh"
own_namespace "$@"

say() { printf 'rpm-vm: %s\n' "$*"; }
for command in qemu-system-x86_64 cpio rpmbuild; do
	command -v "$command" >/dev/null || {
		say "needs $command: apt-get install --no-install-recommends qemu-system-x86 cpio rpm" >&2
		exit 1
	}
done
mkdir -p "$vm"

if [ ! -e "$vm/base.cpio" ] || [ ! -e "$vm/vmlinuz" ]; then
	say "making the guest, once"
	debian_root bookworm "$vm/root" systemd-sysv,dbus,rpm,iproute2,procps,curl,linux-image-cloud-amd64
	cp "$vm"/root/boot/vmlinuz-* "$vm/vmlinuz"
	(
		cd "$vm/root"
		# What the test needs of the kernel's modules: a disk with a file system, and what systemd asks for.
		for module in loop ext4 autofs4; do
			chroot . modprobe --set-version "$(ls lib/modules)" --show-depends "$module"
		done | sed -n 's,^insmod /*\([^ ]*\).*,\1,p' | sort -u >keep
		find lib/modules -name '*.ko' | grep -v -x -F -f keep | xargs rm
		rm -rf keep boot/* vmlinuz* initrd* usr/share/{doc,man,locale,info,zoneinfo}/* var/lib/apt/lists/* \
			var/cache/apt/* dev/*
		# Every rpm system has them.
		mkdir -p usr/share/licenses usr/share/man/man{1,5,8}
		ln -sf /lib/systemd/systemd init
		ln -sf /dev/null etc/systemd/system/getty.target
		for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer \
			systemd-timesyncd.service; do
			ln -sf /dev/null "etc/systemd/system/$unit"
		done
		find . -print0 | cpio --quiet -0 -o -H newc >"$vm/base.cpio.new"
	)
	rm -rf "$vm/root"
	mv "$vm/base.cpio.new" "$vm/base.cpio"
fi

# A second build: a higher release, whose probes.init and gopherd.toml differ from the first one's.
work=$(mktemp -d "$vm/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
next=$work/target
mkdir -p "$next/package" "$work/rpm"
cp -a "$package/root" "$package/debug" "$next/package/"
echo '# A comment of the second build.' | tee -a "$next/package/root/etc/gopherd/probes.init" \
	>>"$next/package/root/etc/gopherd/gopherd.toml"
"$repo/packaging/rpm.sh" "$next" 2 >/dev/null
overlay=$work/overlay
mkdir -p "$overlay/guest" "$overlay/etc/systemd/system/multi-user.target.wants"
cp "$package"/gopherd-[0-9]*-1.*.rpm "$overlay/guest/first.rpm"
cp "$next"/package/gopherd-[0-9]*-2.*.rpm "$overlay/guest/second.rpm"
cp "$package"/gopherd_*.deb "$overlay/guest/gopherd.deb"
cp "$repo/packaging/vm/guest.sh" "$overlay/guest/"
cp "$repo/packaging/vm/guest.service" "$overlay/etc/systemd/system/"
ln -s ../guest.service "$overlay/etc/systemd/system/multi-user.target.wants/"
# Archives one after the other are unpacked one over the other.
cp "$vm/base.cpio" "$work/initrd"
(cd "$overlay" && find . -print0 | cpio --quiet -0 -o -H newc) >>"$work/initrd"

for boot in 1 2 3; do
	say "boot $boot"
	timeout 900 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 2G -smp 1 -nographic -no-reboot -nic none \
		-kernel "$vm/vmlinuz" -initrd "$work/initrd" \
		-append "console=ttyS0 panic=-1 quiet rdinit=/init systemd.show_status=0 systemd.log_level=warning" \
		</dev/null | stdbuf -oL tr -d '\r\033' | tee "$vm/transcript" || true
	if grep -q '^VERDICT passed' "$vm/transcript"; then exit 0; fi
	if grep -q '^VERDICT' "$vm/transcript"; then exit 1; fi
	say "the guest ended without a verdict"
done
exit 1
