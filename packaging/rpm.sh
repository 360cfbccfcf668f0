#!/bin/sh
# Makes the rpm and its debuginfo from the tree that release.sh laid out. Usage: rpm.sh TARGET_DIR [RELEASE]
set -eu

repo=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
target=$(CDPATH='' cd -- "$1" && pwd)
release=${2:-1}
version=$(sed -n 's/^version *= *"\(.*\)"/\1/p' "$repo/Cargo.toml" | head -n 1)

# Built again it has the same bytes: nothing of this machine and of this moment is in it.
SOURCE_DATE_EPOCH=$("$repo/packaging/epoch.sh")
export SOURCE_DATE_EPOCH
rpmbuild --quiet -bb "$repo/packaging/rpm/gopherd.spec" --define "_topdir $target/rpmbuild" \
	--define "_rpmdir $target/package" --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
	--define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
	--define 'build_mtime_policy clamp_to_source_date_epoch' --define '_buildhost reproducible' \
	--define "payload $target/package" --define "gopherd_version $version" --define "gopherd_release $release"
for rpm in "$target/package/gopherd-$version-$release".*.rpm "$target/package/gopherd-debuginfo-$version-$release".*.rpm; do
	printf 'rpm: %s, %s bytes\n' "$rpm" "$(stat -c %s "$rpm")"
done
