#!/bin/sh
# Checks of the packaging that need no build: the unit is one that systemd understands and exposes no more than it
# must, the spec is one that rpm understands.
set -eu

cd "$(dirname -- "$0")/.."
most_exposure=4.0
unit=etc/gopherd.service
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

say() { printf 'check-package: %s\n' "$*"; }

# The programs that it starts need not be installed here.
sed 's,^\(Exec[A-Za-z]*\)=.*,\1=/bin/true,' $unit >"$dir/gopherd.service"
complaints=$(systemd-analyze verify "$dir/gopherd.service" 2>&1 | grep -F gopherd.service || true)
[ -z "$complaints" ] || { say "$unit: $complaints" >&2; exit 1; }

exposure=$(systemd-analyze security --offline=yes --no-pager $unit |
	sed -n 's/.*Overall exposure level for [^:]*: \([0-9.]*\).*/\1/p')
[ "$(printf '%s\n%s\n' "${exposure:-10}" $most_exposure | sort -n | tail -n 1)" = $most_exposure ] ||
	{ say "$unit: exposure ${exposure:-unknown}, at most $most_exposure is allowed" >&2; exit 1; }

rpmspec -P packaging/rpm/gopherd.spec >/dev/null
rpmlint packaging/rpm/gopherd.spec >"$dir/rpmlint" || { cat "$dir/rpmlint" >&2; exit 1; }
say "exposure $exposure of at most $most_exposure; the spec parses"
