#!/bin/bash
# Builds the released programs inside a Debian 11 root, so that they start on glibc 2.31 and newer, splits their
# debug information off and lays out the tree from which every package is made:
# TARGET/package/{root,debug,scratch}. Usage: release.sh TARGET_DIR, as root (for chroot and mounts), with mmdebstrap.
#
# The root is kept in TARGET/release-root for the next time; the compiler is this machine's own, mounted into it.
# It needs no network inside: crates are fetched before. Paths inside are always the same, wherever it runs.
set -euo pipefail

repo=$(cd -- "$(dirname -- "$0")/.." && pwd)
target=$(mkdir -p "$1" && cd -- "$1" && pwd)
root=$target/release-root
build=$target/release-build
package=$target/package
newest_glibc=2.31
largest_daemon=$((25 * 1000 * 1000))
# What the crates need that compile C: libbpf and what it stands on (clang for the BPF programs), OpenSSL and
# librdkafka. The release's clang is its default's successor, which knows today's kernel types.
packages=gcc,g++,libc6-dev,make,perl,pkg-config,clang-16,llvm-16,autoconf,automake,autopoint,libtool,gettext,flex,bison,gawk,m4,file,patch

say() { printf 'release: %s\n' "$*"; }
die() {
	say "$*" >&2
	exit 1
}

# shellcheck source=packaging/roots.sh
. "$repo/packaging/roots.sh"
own_namespace "$@"

if [ "$(cat "$root/made-of" 2>/dev/null)" != "$packages" ]; then
	say "making the Debian 11 root, once"
	debian_root bullseye "$root" "$packages"
	for tool in clang llc llvm-strip llvm-objcopy; do ln -sf "/usr/bin/$tool-16" "$root/usr/local/bin/$tool"; done
	mkdir -p "$root/src" "$root/target" "$root/cargo" "$root/opt/rust"
	printf '%s\n' "$packages" >"$root/made-of"
fi

# ---- build -----------------------------------------------------------------------------------------------
cargo_home=${CARGO_HOME:-$HOME/.cargo}
(cd "$repo" && cargo fetch --locked --quiet)
mkdir -p "$build"
mount --bind -o ro "$repo" "$root/src"
mount --bind -o ro "$(cd "$repo" && rustc --print sysroot)" "$root/opt/rust"
mount --bind "$cargo_home" "$root/cargo"
mount --bind "$build" "$root/target"
mount -t proc proc "$root/proc"
# The same sources give the same bytes, whenever and wherever they are built: what is told of time is the last commit's.
SOURCE_DATE_EPOCH=$("$repo/packaging/epoch.sh")
in_root() {
	env -i SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" OPENSSL_SRC_PERL=/src/packaging/openssl-perl.sh HOME=/root LANG=C.UTF-8 PATH=/opt/rust/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		CARGO_HOME=/cargo CARGO_TARGET_DIR=/target CARGO_NET_OFFLINE=true \
		${CARGO_BUILD_JOBS:+CARGO_BUILD_JOBS="$CARGO_BUILD_JOBS"} chroot "$root" "$@"
}
in_root /opt/rust/bin/rustc --version >/dev/null ||
	die "this machine's rustc does not start on Debian 11; one from rustup does: https://rustup.rs"
# No Rust panic passes through the libraries in C, and their unwind tables are as long as a probe.
in_root env CFLAGS='-fno-asynchronous-unwind-tables -fno-unwind-tables' cargo build --manifest-path /src/Cargo.toml --locked --release --package gopherd --bins

# ---- split, check ----------------------------------------------------------------------------------------
rm -rf "$package"
mkdir -p "$package/bin" "$package/debug/usr/lib/debug/usr/bin"
for program in gopherd gopher-ctl; do
	debug=$package/debug/usr/lib/debug/usr/bin/$program.debug
	objcopy --only-keep-debug --compress-debug-sections "$build/release/$program" "$debug"
	chmod 644 "$debug"
	objcopy --strip-all --add-gnu-debuglink="$debug" "$build/release/$program" "$package/bin/$program"
	glibc=$(objdump -T "$package/bin/$program" | grep -o 'GLIBC_[0-9.]*' | sed s/GLIBC_// | sort -uV | tail -n 1)
	size=$(stat -c %s "$package/bin/$program")
	say "$program: $size bytes, needs glibc $glibc and $(objdump -p "$package/bin/$program" |
		awk '/NEEDED/ { printf "%s%s", separator, $2; separator = ", " }')"
	[ "$(printf '%s\n%s\n' "$glibc" "$newest_glibc" | sort -V | tail -n 1)" = "$newest_glibc" ] ||
		die "$program needs glibc $glibc; $newest_glibc is the oldest that it must start on"
done
# Faults that tests ask for, and the entries of the fuzz targets, are in no program that is installed.
! grep -q TEST_FAULTS "$package/bin/gopherd" || die "gopherd was built with the feature testing"
size=$(stat -c %s "$package/bin/gopherd")
[ "$size" -lt "$largest_daemon" ] || die "gopherd has $size bytes stripped; less than $largest_daemon are allowed"
"$repo/packaging/sbom.py" "$repo" "$package/bin"
"$repo/packaging/tree.sh" "$package/bin" "$package/root"
find "$package/root" "$package/debug" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
