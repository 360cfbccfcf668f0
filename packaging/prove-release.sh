#!/bin/sh
# Installs the deb in a minimal Debian 11 root, which has glibc 2.31 and no compiler, starts the daemon there, PUTs
# and scrapes, and erases it. Usage: prove-release.sh TARGET_DIR, as root, after deb.sh.
set -eu

repo=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
target=$(CDPATH='' cd -- "$1" && pwd)
# shellcheck source=packaging/roots.sh
. "$repo/packaging/roots.sh"
own_namespace "$@"

dir=$(mktemp -d)
root=$dir/root
trap 'rm -rf --one-file-system "$dir"' EXIT
trap 'exit 130' INT TERM

debian_root bullseye "$root" curl
cp "$target"/package/gopherd_*.deb "$root/gopherd.deb"
cat >"$root/prove" <<'PROVE'
set -eu
step() { printf '$ %s\n' "$*"; "$@"; }
cat /etc/debian_version
ldd --version | head -n 1
find / -xdev -not -path '/proc/*' -not -path '/var/lib/dpkg/*' -not -path '/var/log/*' | sort >/before
step dpkg -i /gopherd.deb
step gopherd --version
step gopherd --check-config
gopherd 2>/log &
pid=$!
trap 'status=$?; [ $status = 0 ] || cat /log; exit $status' EXIT
for _ in $(seq 100); do curl -sf -o /dev/null 127.0.0.1:9999/readyz && break; sleep 0.2; done
step curl -s -X PUT http://127.0.0.1:9999/baseinfo -d 'json={"cmd":{"probe":["cpu","mem","fs","net"]},"params":{"report_period":5},"state":"running"}'
echo
for _ in $(seq 100); do curl -s 127.0.0.1:8888/metrics | grep -q ^gala_gopher_mem_total && break; sleep 0.2; done
echo '$ curl -s http://127.0.0.1:8888/metrics | grep ^gala_gopher_mem_'
curl -s http://127.0.0.1:8888/metrics | grep ^gala_gopher_mem_ | head -n 3
step gopher-ctl probe list | head -n 3
kill "$pid"
wait "$pid"
step dpkg --purge gopherd
find / -xdev -not -path '/proc/*' -not -path '/var/lib/dpkg/*' -not -path '/var/log/*' | sort >/after
diff /before /after | grep -v -E '^[0-9]|/(before|after|log|prove)$' && exit 1
[ ! -e /var/log/gopherd ]
echo 'prove-release: passed, nothing left behind'
PROVE
# A network of its own: the ports are free there.
# shellcheck disable=SC2016 # the inner shell expands these
exec unshare --mount --net --pid --fork --kill-child sh -c \
	'ip link set lo up && mount --bind "$1" "$1" && mount -t proc proc "$1/proc" && exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$1" /bin/sh /prove' \
	prove "$root"
