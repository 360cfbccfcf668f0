#!/bin/sh
# `make run`: starts the built daemon in the foreground with all its files in one folder, so that it needs
# neither root nor anything of an installed gopherd. Usage: try.sh BIN_DIR STATE_DIR
set -eu

bin=$1
dir=$2
mkdir -p "$dir/run" "$dir/state" "$dir/log"

# Kept when it exists: the next `make run` starts with what was edited or saved here.
if [ ! -e "$dir/gopherd.toml" ]; then
	cat >"$dir/gopherd.toml" <<CONFIG
# Made by \`make run\`; yours to edit, it is not overwritten.
[metric]
# Beside /metrics, each period as text in $dir/log/metrics/gopher_metrics.log.
out_channel = ["web_server", "logs"]

[event]
out_channel = "logs"

[meta]
out_channel = "logs"
CONFIG
fi
[ -e "$dir/probes.init" ] || printf '# One line a feature: <name> <json>. Saved by: gopher-ctl save\n' >"$dir/probes.init"

cat <<NEXT
gopherd starts with no probe running. In another terminal, try:

  curl -X PUT http://127.0.0.1:9999/baseinfo -d json='{"cmd":{"probe":["cpu","mem","fs","disk","net"]},"params":{"report_period":5},"state":"running"}'
  curl -s http://127.0.0.1:8888/metrics | grep -v '^#' | head -20
  $bin/gopher-ctl --socket $dir/run/gopherd.sock probe list

Files are in $dir; Ctrl-C stops it.

NEXT
exec "$bin/gopherd" --config "$dir/gopherd.toml" --probes-init "$dir/probes.init" \
	--run-dir "$dir/run" --state-dir "$dir/state" --log-dir "$dir/log"
