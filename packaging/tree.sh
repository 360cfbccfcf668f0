#!/bin/sh
# Installs gopherd's files below a folder: the one list of what a package holds, from which the rpm, the deb and
# the container image are made. Usage: tree.sh BIN_DIR ROOT; BIN_DIR has the programs and what sbom.py made of them.
set -eu

repo=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
bin=$1
root=$2

file() { # file MODE SOURCE TARGET
	install -D -p -m "$1" "$2" "$root$3"
}

file 755 "$bin/gopherd" /usr/bin/gopherd
file 755 "$bin/gopher-ctl" /usr/bin/gopher-ctl
file 640 "$repo/etc/gopherd.toml" /etc/gopherd/gopherd.toml
file 640 "$repo/etc/probes.init" /etc/gopherd/probes.init
chmod 750 "$root/etc/gopherd"
file 644 "$repo/etc/gopherd.service" /usr/lib/systemd/system/gopherd.service
for document in README.md CHANGELOG.md SECURITY.md docs/migrating-from-gala-gopher.md api/openapi.json \
	api/event.schema.json api/metadata.schema.json probes/builtin/METRICS.md; do
	file 644 "$repo/$document" "/usr/share/doc/gopherd/${document##*/}"
done
file 644 "$bin/gopherd.cdx.json" /usr/share/doc/gopherd/gopherd.cdx.json
file 644 "$bin/THIRD-PARTY.txt" /usr/share/licenses/gopherd/THIRD-PARTY.txt
for dashboard in "$repo"/etc/grafana/*.json; do
	file 644 "$dashboard" "/usr/share/gopherd/grafana/${dashboard##*/}"
done
file 644 "$repo/etc/prometheus/gopherd.rules.yml" /usr/share/gopherd/prometheus/gopherd.rules.yml
file 644 "$repo/LICENSE" /usr/share/licenses/gopherd/LICENSE
for page in "$repo"/etc/man/*.[1-8]; do
	[ -e "$page" ] || continue
	to=/usr/share/man/man${page##*.}/${page##*/}
	file 644 "$page" "$to"
	gzip -9 -n -f "$root$to"
done
for completion in "$repo"/etc/completions/*; do
	name=${completion##*/}
	case $name in
	*.bash) file 644 "$completion" "/usr/share/bash-completion/completions/${name%.bash}" ;;
	*.fish) file 644 "$completion" "/usr/share/fish/vendor_completions.d/$name" ;;
	_*) file 644 "$completion" "/usr/share/zsh/site-functions/$name" ;;
	esac
done
