#!/bin/sh
# Proves that a fresh Debian needs nothing but make: installs a minimal root below a temporary folder, clones
# the committed state into it and runs there `make test` and `make run`, the latter as an ordinary user, with
# the commands that it prints. Usage: fresh-root.sh [test|run|all], as root, with mmdebstrap.
#
# Everything is below the temporary folder (2 to 3 GiB; TMPDIR chooses where) and goes with it. The root has
# its own process and mount namespaces: what it leaves running ends with the script.
set -eu

what=${1:-all}
repo=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
suite=bookworm

say() { printf 'fresh-root: %s\n' "$*"; }
[ "$(id -u)" = 0 ] || { say "needs root (for chroot and mounts)" >&2; exit 1; }
command -v mmdebstrap >/dev/null || { say "needs mmdebstrap: apt-get install mmdebstrap" >&2; exit 1; }

if [ "${FRESH_ROOT_INSIDE:-}" != 1 ]; then
	FRESH_ROOT_INSIDE=1 exec unshare --mount --propagation private --pid --fork --kill-child "$0" "$@"
fi

dir=$(mktemp -d)
root=$dir/root
cleanup() {
	umount --recursive "$root" 2>/dev/null || true
	rm -rf --one-file-system "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The mirrors that this machine uses, one line for each suite of the release.
# shellcheck disable=SC2016 # apt expands these, not the shell
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
	grep -E " $suite(-updates|-security)? " | sort -u >"$dir/sources.list"
[ -s "$dir/sources.list" ] || { say "this machine's apt knows no mirror of $suite" >&2; exit 1; }

started=$(date +%s)
elapsed() { echo "$(($(date +%s) - started)) s"; }

mmdebstrap --quiet --variant=minbase --include=make "$suite" "$root" - <"$dir/sources.list"
# No service starts in it.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
# How this machine reaches the network holds for the root too.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir -p "$root/usr/local/share/ca-certificates"
cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
git -c safe.directory="$repo" clone --quiet --no-hardlinks "file://$repo" "$root/src"
# A mount of its own, as the root of every real machine is: otherwise the mount table inside lacks "/".
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind --make-rslave /sys "$root/sys"
# Terminals, for the tests of what is shown on one.
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -sf pts/ptmx "$root/dev/ptmx"
say "root with $(du -sm --one-file-system "$root" | cut -f 1) MiB ready after $(elapsed)"

in_root() { # in_root USER COMMAND
	# The command is process 1 of a namespace of its own, so that what is read of process 1 (its mounts, its
	# root) is the fresh root's and not this machine's.
	# shellcheck disable=SC2016 # the inner shell expands these
	unshare --mount --pid --fork --kill-child sh -c \
		'mount -t proc proc "$1/proc" && shift && exec "$@"' in_root "$root" \
		env -i HOME="$([ "$1" = root ] && echo /root || echo "/home/$1")" TERM=dumb LANG=C.UTF-8 \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CI="${CI:-}" \
		chroot --userspec="$1" "$root" /bin/sh -c "cd /src && $2"
}

measure() {
	say "$1 took until $(elapsed); the root has $(du -sm --one-file-system "$root" | cut -f 1) MiB," \
		"of which $(du -sm "$root/src/target" | cut -f 1) MiB are target/"
}

case $what in
test | all)
	in_root root 'exec bash .ci/run'
	measure "make test"
	;;
esac

case $what in
run | all)
	# Root installs, which an ordinary user would do with sudo; the build and the daemon are the user's.
	in_root root 'packaging/bootstrap.sh run && useradd --create-home user && chown -R user /src'
	in_root user 'make run' >"$dir/run.log" 2>&1 &
	ready=
	for _ in $(seq 1800); do
		if in_root user 'curl -sf -o /dev/null http://127.0.0.1:9999/readyz'; then ready=1 && break; fi
		kill -0 $! 2>/dev/null || break
		sleep 1
	done
	[ -n "$ready" ] || { cat "$dir/run.log"; say "make run: the daemon did not become ready"; exit 1; }
	measure "make run"
	# The commands that it prints, as they are printed.
	sed -n 's/^  \(curl .*\|.*gopher-ctl .*\)$/\1/p' "$dir/run.log" >"$root/src/next-commands"
	[ "$(wc -l <"$root/src/next-commands")" = 3 ] || { cat "$dir/run.log"; exit 1; }
	while read -r command; do
		say "\$ $command"
		# A first value needs a reading.
		for _ in 1 2 3 4 5; do
			out=$(in_root user "$command") && [ -n "$out" ] && break
			sleep 1
		done
		[ -n "$out" ] || { say "printed nothing"; exit 1; }
		printf '%s\n' "$out" | head -n 20
	done <"$root/src/next-commands"
	;;
esac
say "all done after $(elapsed)"
