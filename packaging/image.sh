#!/bin/sh
# Builds the container image from the tree that release.sh laid out, with podman or docker.
# Usage: image.sh TARGET_DIR [ARGUMENT of the build ...], for example --build-arg BASE=registry.example/debian:12
set -eu

repo=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
target=$(CDPATH='' cd -- "$1" && pwd)
shift
version=$(sed -n 's/^version *= *"\(.*\)"/\1/p' "$repo/Cargo.toml" | head -n 1)
for tool in podman docker none; do
	if command -v "$tool" >/dev/null; then break; fi
done
[ "$tool" != none ] || { echo "image: needs podman or docker" >&2; exit 1; }
exec "$tool" build -f "$repo/packaging/container/Containerfile" -t "gopherd:$version" -t gopherd:latest \
	"$@" "$target/package/root"
