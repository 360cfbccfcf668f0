#!/bin/bash
# Builds every package twice, from two copies of the last commit in folders of other names and with nothing in common, and
# compares their bytes. Usage: check-reproducible.sh TARGET_DIR, as root. Takes twice as long as `make rpm deb`.
set -euo pipefail

repo=$(cd -- "$(dirname -- "$0")/.." && pwd)
target=$(mkdir -p "$1" && cd -- "$1" && pwd)
commit=$(git -c safe.directory="$repo" -C "$repo" rev-parse HEAD)
work=$(mktemp -d -p "$target" reproducible.XXXXXX)
trap 'rm -rf "$work"' EXIT

differing_sections() { # differing_sections PROGRAM OTHER: with sizes, those whose bytes are not the same
	objdump -h "$1" | awk '$1 ~ /^[0-9]+$/ { print $2 }' | while read -r section; do
		rm -f "$work/one" "$work/two"
		objcopy --dump-section "$section=$work/one" "$1" /dev/null 2>/dev/null || continue
		objcopy --dump-section "$section=$work/two" "$2" /dev/null 2>/dev/null || true
		# Those without contents (.bss) have no file.
		[ -e "$work/one" ] || continue
		cmp -s "$work/one" "$work/two" || printf '  %s: %s and %s bytes, %s of them differ\n' "$section" \
			"$(stat -c %s "$work/one")" "$(stat -c %s "$work/two")" "$(cmp -l "$work/one" "$work/two" 2>/dev/null | wc -l)"
	done
}

sums() { # sums FOLDER: builds there, prints name and digest of each package
	git -c safe.directory="$repo" clone --quiet "$repo" "$1/source"
	# The branch may have moved on meanwhile.
	git -C "$1/source" checkout --quiet --detach "$commit"
	# The root with the compilers is no part of what is compared.
	mkdir -p "$1/target"
	[ ! -e "$target/release-root" ] || ln -s "$target/release-root" "$1/target/release-root"
	make --no-print-directory -C "$1/source" CARGO_TARGET_DIR="$1/target" rpm deb >&2
	(cd "$1/target/package" && sha256sum ./*.rpm ./*.deb)
}
mkdir "$work/a" "$work/other-name"
sums "$work/a" >"$work/first"
sums "$work/other-name" >"$work/second"
if ! diff "$work/first" "$work/second"; then
	# What they differ in: both programs before they were split.
	for name in gopherd gopher-ctl; do
		echo "$name:"
		differing_sections {"$work/a","$work/other-name"}/target/release-build/release/"$name"
	done
	trap - EXIT
	echo "check-reproducible: the packages differ; both builds are left in $work" >&2
	exit 1
fi
cat "$work/first"
echo "check-reproducible: twice the same bytes"
