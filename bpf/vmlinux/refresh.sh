#!/bin/sh
# Makes <arch>/vmlinux.h.zst anew, both of Debian's package linux-bpf-dev of one suite, so that a type is
# there for both architectures or for neither. Nothing is installed and the system's apt state is not touched.
#
# Any recent kernel does: programs are relocated when they are loaded (CO-RE). A field that came later is
# declared as a flavour in gopher/core_fixes.bpf.h. Usage: refresh.sh [SUITE]
set -eu

suite=${1:-trixie}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
# shellcheck disable=SC2016 # apt expands it
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)

for pair in x86_64:amd64 aarch64:arm64; do
	arch=${pair%%:*}
	debian=${pair##*:}
	echo "deb [arch=$debian signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
		>"$work/sources.list"
	apt() {
		apt-get -q -o "APT::Architecture=$debian" -o "APT::Architectures::=$debian" \
			-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
			-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Acquire::Languages=none "$@"
	}
	apt update >&2
	(cd "$work" && apt download "linux-bpf-dev:$debian" >&2)
	dpkg -x "$work"/linux-bpf-dev_*.deb "$work/$arch"
	header=$(find "$work/$arch" -name vmlinux.h)
	mkdir -p "$here/$arch"
	# -19: a third of what the default level leaves; unpacking is as fast.
	zstd -q -f -19 "$header" -o "$here/$arch/vmlinux.h.zst"
	rm "$work"/linux-bpf-dev_*.deb
	echo "$arch: $(wc -l <"$header") lines, $(wc -c <"$here/$arch/vmlinux.h.zst") bytes packed" >&2
done
