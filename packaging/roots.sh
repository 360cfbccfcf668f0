#!/bin/sh
# Sourced by the scripts that work inside a root of another Debian: a namespace that cleans up after itself, and
# the making of such a root.

# own_namespace ARGUMENT...: runs the script again in mount and process namespaces of its own, so that what it
# mounts or leaves running ends with it.
own_namespace() {
	[ "$(id -u)" = 0 ] || {
		echo "$0: needs root (for chroot and mounts)" >&2
		exit 1
	}
	if [ "${OWN_NAMESPACE:-}" != "$0" ]; then
		OWN_NAMESPACE=$0 exec unshare --mount --propagation private --pid --fork --kill-child "$0" "$@"
	fi
}

# debian_root SUITE PLACE PACKAGES: a minimal root with PACKAGES (a list with commas) beside it. PLACE is a
# folder, or the name of a .tar. The mirror is the one that this machine's apt uses.
debian_root() {
	command -v mmdebstrap >/dev/null || {
		echo "$0: needs mmdebstrap: apt-get install mmdebstrap" >&2
		exit 1
	}
	# shellcheck disable=SC2016 # apt expands this, not the shell
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sort -u | while read -r mirror; do
		case $mirror in
		*security*) printf 'deb %s %s-security main\n' "$mirror" "$1" ;;
		*) printf 'deb %s %s main\n' "$mirror" "$1" ;;
		esac
	done >"$2.sources"
	rm -rf --one-file-system "$2"
	mmdebstrap --quiet --variant=minbase --include="$3" "$1" "$2" - <"$2.sources"
	rm -f "$2.sources"
}
