#!/bin/sh
# Makes the deb from the tree that release.sh laid out. Usage: deb.sh TARGET_DIR
set -eu

repo=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
package=$(CDPATH='' cd -- "$1" && pwd)/package
root=$package/deb
version=$(sed -n 's/^version *= *"\(.*\)"/\1/p' "$repo/Cargo.toml" | head -n 1)
arch=$(dpkg --print-architecture)
deb=$package/gopherd_${version}-1_$arch.deb
# Who publishes it names himself, as Debian's own tools ask for it.
maintainer="${DEBFULLNAME:-gopherd} <${DEBEMAIL:-root@localhost}>"

# dpkg-deb takes every later time back to this one.
SOURCE_DATE_EPOCH=$("$repo/packaging/epoch.sh")
export SOURCE_DATE_EPOCH
rm -rf "$root"
cp -a "$package/root" "$root"
# Debian keeps licences beside the documents.
doc=$root/usr/share/doc/gopherd
mv "$root/usr/share/licenses/gopherd/THIRD-PARTY.txt" "$doc/"
rm -r "$root/usr/share/licenses"
gzip -9 -n "$doc/THIRD-PARTY.txt"
{
	echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
	printf 'Upstream-Name: gopherd\n\nFiles: *\nCopyright: the authors of gopherd\nLicense: Apache-2.0\n'
	echo ' See /usr/share/common-licenses/Apache-2.0.'
} >"$doc/copyright"
gzip -9 -n "$doc/CHANGELOG.md"
mv "$doc/CHANGELOG.md.gz" "$doc/changelog.gz"
printf 'gopherd (%s-1) stable; urgency=medium\n\n  * See changelog.gz.\n\n -- %s  %s\n' \
	"$version" "$maintainer" "$(git -c safe.directory="$repo" -C "$repo" log -1 --format=%cD)" | gzip -9 -n >"$doc/changelog.Debian.gz"

mkdir "$root/DEBIAN"
install -m 755 "$repo"/packaging/deb/postinst "$repo"/packaging/deb/prerm "$repo"/packaging/deb/postrm "$root/DEBIAN/"
printf '%s\n' /etc/gopherd/gopherd.toml /etc/gopherd/probes.init >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<CONTROL
Package: gopherd
Version: $version-1
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f 1)
Depends: libc6 (>= 2.31), libgcc-s1
Conflicts: gala-gopher
Section: admin
Priority: optional
Description: node observability daemon, controlled at run time
 gopherd starts with no probe running. Operators switch probes on, scope them
 to processes, tune and stop them at run time with HTTP requests, with
 gopher-ctl or from a file of defaults. Metrics go to Prometheus and to files.
 It takes the place of gala-gopher.
CONTROL
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -Zxz --build "$root" "$deb" >/dev/null
printf 'deb: %s, %s bytes\n' "$deb" "$(stat -c %s "$deb")"
