#!/bin/sh
# Makes the rpm and its debuginfo from the tree that release.sh laid out. Usage: rpm.sh TARGET_DIR [RELEASE]
set -eu

repo=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
target=$(CDPATH='' cd -- "$1" && pwd)
release=${2:-1}
version=$(sed -n 's/^version *= *"\(.*\)"/\1/p' "$repo/Cargo.toml" | head -n 1)

rpmbuild --quiet -bb "$repo/packaging/rpm/gopherd.spec" --define "_topdir $target/rpmbuild" \
	--define "_rpmdir $target/package" --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
	--define "payload $target/package" --define "gopherd_version $version" --define "gopherd_release $release"
for rpm in "$target/package/gopherd-$version-$release".*.rpm "$target/package/gopherd-debuginfo-$version-$release".*.rpm; do
	printf 'rpm: %s, %s bytes\n' "$rpm" "$(stat -c %s "$rpm")"
done
