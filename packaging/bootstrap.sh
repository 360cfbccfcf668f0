#!/bin/sh
# Installs what a machine lacks to build and try gopherd (`run`), to compare its speed (`bench`), to test it as well
# (`test`) or to make its packages (`package`).
#
# On Debian and Ubuntu it installs the missing packages and nothing else; elsewhere it names them. With
# everything in place it asks no package manager anything and ends within a fraction of a second.
# Servers that only tests and benches start (Prometheus, node_exporter, Kafka) are unpacked under target/tools, not
# installed: their packages would start services of their own on a machine with systemd.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tools=$here/target/tools
deny_version=0.20.2
kafka_version=4.1.0
what=${1:-run}
min_rust=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$here/Cargo.toml")
PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$tools/usr/bin:/usr/sbin:/sbin

say() { printf 'bootstrap: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# at_least HAVE WANT: true when version HAVE is WANT or newer.
at_least() {
	[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

case $what in
run | bench | test | package) ;;
*) die "usage: $0 run|bench|test|package" ;;
esac

# ---- what is missing -------------------------------------------------------------------------------------
missing= # pairs of debian-package:rpm-package
need() { # need COMMAND DEBIAN_PACKAGE RPM_PACKAGE
	have "$1" || missing="$missing $2:$3"
}

need curl curl curl
need make make make
# A C compiler with headers: rustc links with it and the zstd crate is C.
if ! printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | cc -x c -o /dev/null - 2>/dev/null; then
	missing="$missing gcc:gcc libc6-dev:glibc-devel"
fi
# cargo reads the registry over TLS.
[ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] ||
	missing="$missing ca-certificates:ca-certificates"

# BPF programs are compiled by clang, their headers are read by its library, which comes with it; libbpf and the libelf that it needs
# are built from source and linked statically.
need clang clang clang
need pkg-config pkg-config pkgconf-pkg-config
need autoreconf autoconf autoconf
need automake automake automake
need autopoint autopoint gettext-devel
need msgfmt gettext gettext
need flex flex flex
need bison bison bison
need gawk gawk gawk
need m4 m4 m4

unpack=
if [ "$what" = test ]; then
	# The kernel matrix.
	need qemu-system-x86_64 qemu-system-x86 qemu-system-x86-core
	need cpio cpio cpio
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
		missing="$missing debian-archive-keyring:debian-keyring"
	need clang-format clang-format clang-tools-extra
	need ip iproute2 iproute
	need openssl openssl openssl
	# The wall clock set back under the daemon alone.
	need faketime faketime libfaketime
	need ps procps procps-ng
	need strace strace strace
	# An interpreter that is watched, which says itself what it did.
	need python3 python3 python3
	# What reads the API's document, from PyPI, in a folder of its own.
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv:python3"
	# A file system that can be frozen, for a task that hangs.
	need mkfs.ext4 e2fsprogs e2fsprogs
	need fsfreeze util-linux util-linux
	need iostat sysstat sysstat
	need zstd zstd zstd
	need gzip gzip gzip
	need shellcheck shellcheck ShellCheck
	# Real container runtimes for the tests of containers, and busybox for their image. They need their libraries and
	# each other, so they are installed; on a machine with systemd they start, and the tests leave those alone.
	need containerd containerd containerd
	need runc runc runc
	need dockerd docker.io moby-engine
	[ -x /bin/busybox ] || [ -x /usr/bin/busybox ] || missing="$missing busybox-static:busybox"
	need systemd-analyze systemd systemd
	need rpmspec rpm rpm-build
	need rpmlint rpmlint rpmlint
	need bpftool bpftool bpftool
	need iptables iptables iptables-nft
	# The servers that tcp and socket are tested with; tests start them by themselves, on ports of their own.
	need redis-server redis-server redis
	# The disks that io is tested with, and the modules of the matrix's kernels.
	need losetup mount util-linux-core
	need addpart util-linux util-linux
	need dmsetup dmsetup device-mapper
	need xz xz-utils xz
	need nginx nginx-light nginx
	have promtool || unpack="$unpack prometheus"
fi
if [ "$what" = test ] || [ "$what" = bench ]; then
	# A real Kafka broker (its jars come below), and a consumer that is not ours.
	need java default-jre-headless java-17-openjdk-headless
	need mvn maven maven
	need kcat kcat kcat
fi
if [ "$what" = package ]; then
	need python3 python3 python3
	need objcopy binutils binutils
	need mmdebstrap mmdebstrap mmdebstrap
	need rpmbuild rpm rpm-build
	need rpmlint rpmlint rpmlint
	need dpkg-deb dpkg dpkg
	need qemu-system-x86_64 qemu-system-x86 qemu-system-x86
	need cpio cpio cpio
fi
if [ "$what" = bench ] || [ "$what" = test ]; then
	have prometheus-node-exporter || unpack="$unpack prometheus-node-exporter"
fi

rust= # why the toolchain does not do; empty when it does
if ! have cargo || ! have rustc; then
	rust="there is no cargo"
else
	# Asked from / so that a toolchain file of the working directory is not what answers.
	version=$(cd "$here" && rustc --version 2>/dev/null | cut -d ' ' -f 2)
	at_least "${version:-0}" "$min_rust" || rust="rustc ${version:-of no version} is older than $min_rust"
fi
if [ -z "$rust" ] && [ "$what" = test ]; then
	have rustfmt || rust="there is no rustfmt"
	have cargo-clippy || rust="there is no clippy"
fi

# ---- rpm systems: name the packages ----------------------------------------------------------------------
if [ -n "$missing$unpack$rust" ] && ! have apt-get; then
	names=
	for pair in $missing; do names="$names ${pair#*:}"; done
	[ -z "$names" ] || say "missing. As root: dnf install$names"
	[ -z "$rust" ] || say "$rust. As root: dnf install cargo rustfmt clippy   (Rust $min_rust or newer;" \
		"where the distribution has an older one: https://rustup.rs, then rustup toolchain install stable)"
	[ -z "$unpack" ] || say "missing:$unpack, in PATH (promtool beside prometheus; node_exporter under the name" \
		"prometheus-node-exporter)"
	exit 1
fi

# ---- Debian and Ubuntu: install them ---------------------------------------------------------------------
as_root() {
	if [ "$(id -u)" = 0 ]; then
		env DEBIAN_FRONTEND=noninteractive "$@"
	elif have sudo; then
		sudo env DEBIAN_FRONTEND=noninteractive "$@"
	else
		die "not root and no sudo here. As root: $*"
	fi
}

updated=
update_once() {
	[ -n "$updated" ] || as_root apt-get -q update >&2
	updated=1
}

install_packages() {
	say "installing$(printf ' %s' "$@")"
	update_once
	as_root apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "$@" >&2
}

candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: *\([0-9][0-9.]*\).*/\1/p'; }

# The first of the distribution's toolchains that is new enough. Debian keeps one under names ending in -web
# (for its browsers) far newer than the release's own; where none will do there may be a package of rustup.
install_rust() {
	say "$rust"
	update_once
	if at_least "$(candidate cargo)" "$min_rust"; then
		install_packages cargo rustc rustfmt rust-clippy
	elif at_least "$(candidate cargo-web)" "$min_rust"; then
		install_packages cargo-web rustc-web rustfmt-web rust-web-clippy
	elif [ -n "$(candidate rustup)" ]; then
		install_packages rustup
		rustup toolchain install stable --profile minimal -c rustfmt -c clippy
	else
		die "no package of this distribution has Rust $min_rust or newer. Install it from https://rustup.rs:" \
			"curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y -c rustfmt -c clippy"
	fi
}

if [ -n "$missing" ]; then
	names=
	for pair in $missing; do names="$names ${pair%%:*}"; done
	# shellcheck disable=SC2086 # a list of package names, split on purpose
	install_packages $names
fi

if [ -n "$rust" ]; then
	if have rustup; then
		say "$rust"
		die "this machine's Rust comes from rustup: rustup toolchain install stable -c rustfmt -c clippy"
	fi
	install_rust
fi

if [ -n "$unpack" ]; then
	say "unpacking$unpack under $tools"
	update_once
	mkdir -p "$tools"
	fetched=$(mktemp -d)
	trap 'rm -rf "$fetched"' EXIT
	# apt drops its rights for the download; it must be able to write there.
	chmod 755 "$fetched"
	if [ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1; then chown _apt "$fetched"; fi
	# shellcheck disable=SC2086 # a list of package names, split on purpose
	(cd "$fetched" && apt-get -q download $unpack >&2)
	for package in "$fetched"/*.deb; do dpkg -x "$package" "$tools"; done
fi

# No distribution has Kafka; its jars are fetched once.
if { [ "$what" = test ] || [ "$what" = bench ]; } && ! [ -e "$tools/kafka/kafka_2.13-$kafka_version.jar" ]; then
	say "fetching Kafka $kafka_version under $tools, once"
	mkdir -p "$tools/kafka"
	cat >"$tools/kafka/pom.xml" <<-END
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		<modelVersion>4.0.0</modelVersion>
		<groupId>gopherd</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
		<dependencies><dependency>
		<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version>
		</dependency></dependencies>
		</project>
	END
	mvn -q -B -f "$tools/kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory="$tools/kafka" >&2
fi

# What reads the API's document; the list beside the programs says which versions they are of.
python_tools=$here/packaging/python-tools.txt
if [ "$what" = test ] && ! cmp -s "$python_tools" "$tools/python/installed"; then
	say "installing schemathesis and openapi-python-client under $tools, once"
	python3 -m venv --clear "$tools/python"
	"$tools/python/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$python_tools" >&2
	cp "$python_tools" "$tools/python/installed"
fi

# cargo-deny checks licences, sources and bans; no distribution has it, so it is built once.
if [ "$what" = test ] && ! have cargo-deny; then
	say "building cargo-deny $deny_version, once"
	cargo install --quiet --locked --version "$deny_version" cargo-deny
fi
