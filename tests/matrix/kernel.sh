#!/bin/sh
# kernel.sh KERNEL FOLDER: puts Debian's newest kernel of that name (5.10, 6.1, 6.12, newest) into FOLDER/vmlinuz, the
# modules that tests need into FOLDER/lib/modules and its version into FOLDER/version, unless they are there. Nothing is
# installed, the system's apt state is not touched.
set -eu

kernel=$1
out=$2
# Block devices of every kind; what a kernel has built in, or not at all, is left out.
modules='loop dm-mod zram raid1 null_blk scsi_debug sd_mod virtio_pci virtio_blk nvme'
if [ -e "$out/version" ] && [ "$(cat "$out/wanted" 2>/dev/null)" = "$modules" ]; then exit 0; fi

case $kernel in
5.10) suite=bullseye pattern='^linux-image-5\.10[-.0-9]*-cloud-amd64$' ;;
6.1) suite=bookworm pattern='^linux-image-6\.1\.0-[0-9]+-cloud-amd64$' ;;
6.12) suite=trixie pattern='^linux-image-6\.12[.0-9+deb]*-cloud-amd64$' ;;
newest) suite=sid pattern='^linux-binary-[0-9.]+[^-]*-cloud-amd64$' ;;
*) echo "kernel.sh: $kernel: not one of 5.10, 6.1, 6.12, newest" >&2 && exit 1 ;;
esac

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || { echo "kernel.sh: $keyring is missing (package debian-archive-keyring)" >&2 && exit 1; }
# The mirror that this machine uses, if it is one of Debian; else Debian's own.
# shellcheck disable=SC2016 # apt expands it
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# apt drops its rights for the download; it must be able to write there.
chmod 755 "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb" "$work/tree" "$out"
if [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; then chown _apt "$work/deb"; fi
echo "deb [arch=amd64 signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $suite main" >"$work/sources.list"

quiet_apt() {
	command=$1
	shift
	"$command" -q -o APT::Architecture=amd64 -o "Dir::Etc::SourceList=$work/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" \
		-o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}
quiet_apt apt-get update >&2
package=$(quiet_apt apt-cache pkgnames linux- | grep -E "$pattern" | sort -V | tail -n 1)
[ -n "$package" ] || { echo "kernel.sh: $suite has no package like $pattern" >&2 && exit 1; }
# Newer packages have the image alone, and the modules in one of their own.
packages=$package
case $package in linux-binary-*) packages="$package linux-modules-${package#linux-binary-}" ;; esac
# shellcheck disable=SC2086 # a list of names
(cd "$work/deb" && quiet_apt apt-get download $packages >&2)
for deb in "$work"/deb/*.deb; do dpkg -x "$deb" "$work/tree"; done
# In boot, or beside the modules in packages named linux-binary.
image=$(find "$work/tree" -name 'vmlinuz*' -type f | head -n 1)
cp "$image" "$out/vmlinuz"
# Where depmod looks for modules, whichever folder this package has them in.
[ -e "$work/tree/lib" ] || ln -s usr/lib "$work/tree/lib"
release=$(ls "$work/tree/lib/modules")
find "$work/tree/lib/modules/" -name '*.ko.xz' -exec xz -d {} +
busybox depmod -b "$work/tree" "$release"
rm -rf "${out:?}/lib"
mkdir -p "$out/lib/modules/$release"
# Those that are wanted with all that they depend on: each line has a module and what it depends on itself.
awk -F '[: ]+' -v wanted="$modules" '
	function name(path) { sub(".*/", "", path); sub("[.]ko$", "", path); gsub("-", "_", path); return path }
	function take(path, parts, count, i) {
		if (path == "" || taken[path]) return
		taken[path] = 1
		print line[path]
		count = split(line[path], parts)
		for (i = 2; i <= count; i++) take(parts[i])
	}
	{ line[$1] = $0; file[name($1)] = $1 }
	END {
		count = split(wanted, names, " ")
		for (i = 1; i <= count; i++) take(file[name(names[i])])
	}' "$work/tree/lib/modules/$release/modules.dep" >"$out/lib/modules/$release/modules.dep"
cut -d : -f 1 "$out/lib/modules/$release/modules.dep" | while read -r module; do
	mkdir -p "$out/lib/modules/$release/${module%/*}"
	cp "$work/tree/lib/modules/$release/$module" "$out/lib/modules/$release/$module"
done
echo "$modules" >"$out/wanted"
version=${package#linux-image-}
version=${version#linux-binary-}
echo "${version%-cloud-amd64}" >"$out/version"
