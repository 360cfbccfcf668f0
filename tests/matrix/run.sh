#!/bin/sh
# run.sh [KERNEL...]: boots each kernel (all four without an argument) under emulation, runs the root tests in it and
# prints one table. Fails if a test failed or a kernel did not come to an end. Kernels are kept in target/matrix.
#
# Emulated time means nothing, so nothing is timed here: verdicts and counts only.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=${CARGO_TARGET_DIR:-$here/../../target}/matrix
[ $# -gt 0 ] || set -- 5.10 6.1 6.12 newest
mkdir -p "$work"
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

say() { printf 'matrix: %s\n' "$*" >&2; }

# The test binaries of the crates that load programs.
binaries=$(cargo test --locked --profile "${PROFILE:-dev}" --no-run --message-format=json -p probe-kit -p probes |
	sed -n 's/.*"profile":{[^}]*"test":true}.*"executable":"\([^"]*\)".*/\1/p' | sort -u)
[ -n "$binaries" ] || { say "no test binaries" && exit 1; }
with_root_tests=
for binary in $binaries; do
	if "$binary" root_ --list 2>/dev/null | grep -q ': test$'; then with_root_tests="$with_root_tests $binary"; fi
done
# shellcheck disable=SC2086 # a list of paths that cargo made
"$here/initrd.sh" "$work/initrd" $with_root_tests

failed=
logs=
for kernel; do
	"$here/kernel.sh" "$kernel" "$work/$kernel"
	say "booting $kernel ($(cat "$work/$kernel/version"))"
	# The kernel takes several archives, one behind the other.
	{
		cat "$work/initrd"
		(cd "$work/$kernel" && find lib | cpio -o -H newc --quiet | gzip -1)
	} >"$work/$kernel/initrd"
	"$here/boot.sh" "$work/$kernel/vmlinuz" "$work/$kernel/initrd" "$work/$kernel/log" || failed="$failed $kernel"
	logs="$logs $work/$kernel/log"
done

# shellcheck disable=SC2086 # as above
awk -v versions="$(for kernel; do cat "$work/$kernel/version"; done | tr '\n' ' ')" -f "$here/table.awk" $logs
for kernel; do
	case " $failed " in *" $kernel "*) continue ;; esac
	once=$(sed -n 's/^test \([^ ]*\) .*FAILED$/\1/p' "$work/$kernel/log" | sort -u | tr '\n' ' ')
	[ -z "$once" ] || say "$kernel: failed once and passed when run again: $once"
done
for kernel in $failed; do
	# The last thing printed, since a log may be kept from its end only: what the tests that failed said and, if the
	# guest died, its last words.
	say "$kernel failed; from $work/$kernel/log:"
	sed -n '/^failures:$/,/^test result: FAILED/p' "$work/$kernel/log" | head -n 200 >&2
	grep -q '^MATRIX rc=' "$work/$kernel/log" || tail -n 40 "$work/$kernel/log" >&2
done
[ -z "$failed" ]
