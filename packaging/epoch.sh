#!/bin/sh
# Prints the time that packages carry, in seconds since 1970: SOURCE_DATE_EPOCH, or that of the last commit.
set -eu

repo=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
printf '%s\n' "${SOURCE_DATE_EPOCH:-$(git -c safe.directory="$repo" -C "$repo" log -1 --format=%ct)}"
