#!/bin/bash
# Inside the machine of rpm-vm.sh: installs the package, starts the service, uses it, reloads it, upgrades it, lets
# it hang, stops and erases it, and compares what was there before with what is there after; then the deb in short.
# Ends in a verdict.
set -u

rest=http://127.0.0.1:9999
metrics=http://127.0.0.1:8888/metrics
failed=0
export SYSTEMD_COLORS=0

title() { printf '\n== %s\n' "$*"; }
# expect WHAT COMMAND...: the command must succeed.
expect() {
	local what=$1
	shift
	if "$@" >/tmp/out 2>&1; then
		echo "ok   $what"
	else
		echo "FAIL $what: $(tr '\n' ' ' </tmp/out | head -c 500)"
		failed=1
	fi
}
# is WHAT WANTED FOUND
is() {
	if [ "$2" = "$3" ]; then echo "ok   $1: $3"; else
		echo "FAIL $1: wanted $2, found $3"
		failed=1
	fi
}
# until_true SECONDS COMMAND...: repeats it until it succeeds.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.5
	done
}
show() { systemctl show --property="$1" --value gopherd.service; }
scraped() { curl -sf "$metrics" >/tmp/scrape && grep -q "$1" /tmp/scrape; }
logged() { journalctl --quiet --unit=gopherd.service --output=cat | grep -q -- "$1"; }
put() { curl -s -X PUT "$rest/$1" --data-urlencode "json=$2"; }
# Every file there is, but the package manager's own records, the journal and systemd's state of the moment.
files() {
	find / /run -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/lib/rpm -o -path /root/.rpmdb -o -path /var/lib/dpkg \
		-o -path /run/systemd -o -path /run/log -o -path /run/udev -o -path /var/log/journal \
		-o -path /var/lib/systemd -o -path /var/log/wtmp -o -path /var/log/dpkg.log \) -prune -o -print | sort -u
}

echo "kernel $(uname -r), $(systemctl --version | head -n 1)"
# A disk, so that there is a file system whose space counts.
truncate -s 32M /tmp/disk
expect "a disk" eval 'modprobe loop && mke2fs -q -t ext4 /tmp/disk && mkdir /mnt/disk && mount -o loop /tmp/disk /mnt/disk'
files >/tmp/before

title "rpm -i, systemctl start"
# The guest is a Debian: its rpm database knows none of the libraries.
expect "rpm -i" rpm -i --nodeps /guest/first.rpm
expect "rpm -V" rpm -V --nodeps gopherd
is "enabled" enabled "$(systemctl is-enabled gopherd.service)"
expect "systemctl start gopherd" systemctl start gopherd
systemctl --no-pager --lines=0 status gopherd | head -n 8
is "state" active "$(systemctl is-active gopherd)"
is "alias" active "$(systemctl is-active gala-gopher.service)"
is "readiness by notification" "notify main" "$(show Type) $(show NotifyAccess)"
is "watchdog" 30s "$(show WatchdogUSec)"
pid=$(show MainPID)
is "cgroup" 0::/system.slice/gopherd.service "$(cat "/proc/$pid/cgroup")"
grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' "/proc/$pid/status"
is "modes" "750 750 750 750 640" "$(stat -c %a /etc/gopherd /run/gopherd /var/lib/gopherd /var/log/gopherd \
	/etc/gopherd/probes.init | tr '\n' ' ' | sed 's/ $//')"

title "PUT, scrape, save"
put baseinfo '{"cmd":{"probe":["cpu","mem","fs","disk","net","host","proc"]},"snoopers":{"proc_name":[{"comm":"systemd"}]},"params":{"report_period":5},"state":"running"}'
echo
for family in cpu_ mem_total 'fs_Used{MountOn="/mnt/disk"' net_ disk_ host_ proc_; do
	expect "gala_gopher_$family is scraped" until_true 60 scraped "^gala_gopher_$family"
done
grep -E '^gala_gopher_(mem_total|proc_utime|host_value|fs_Used)' /tmp/scrape | cut -c 1-150 | head -n 6
grep -E '^gopherd_lost_total' /tmp/scrape
is "devices" "full null ptmx random tty urandom zero" "$(find "/proc/$pid/root/dev" -maxdepth 1 -type c -printf '%f\n' | sort | tr '\n' ' ' | sed 's/ $//')"
expect "nothing is amiss" curl -sf "$rest/readyz"
expect "gopher-ctl save" gopher-ctl save
expect "probes.init has it" grep -q '^baseinfo ' /etc/gopherd/probes.init

title "systemctl reload"
sed -i 's/^log_level = .*/log_level = "debug"/' /etc/gopherd/gopherd.toml
expect "systemctl reload gopherd" systemctl reload gopherd
expect "the new level is taken over" until_true 30 logged 'taken over.*global.log_level'
is "the process is the same" "$pid" "$(show MainPID)"

title "upgrade to a second build with other defaults"
echo '# An operator wrote this.' >>/etc/gopherd/probes.init
saved=$(sha256sum </etc/gopherd/probes.init)
expect "rpm -U" rpm -U --nodeps /guest/second.rpm
rpm -q gopherd
is "probes.init is kept" "$saved" "$(sha256sum </etc/gopherd/probes.init)"
expect "gopherd.toml is kept" grep -q '^log_level = "debug"' /etc/gopherd/gopherd.toml
expect "the new defaults lie beside it" test -e /etc/gopherd/probes.init.rpmnew -a -e /etc/gopherd/gopherd.toml.rpmnew
is "state" active "$(systemctl is-active gopherd)"
[ "$(show MainPID)" != "$pid" ]
is "restarted by the upgrade" 0 "$?"
expect "the saved probe runs again" until_true 60 scraped '^gala_gopher_mem_total'

title "a bad line, a bad configuration"
echo 'baseinfo {"params":{"report_period":3}}' >>/etc/gopherd/probes.init
expect "a bad line in probes.init: restart" systemctl restart gopherd
is "state" active "$(systemctl is-active gopherd)"
sed -i '$d' /etc/gopherd/probes.init
cp /etc/gopherd/gopherd.toml /tmp/good.toml
printf '[web_server]\nport = 70000\nprot = 1\n' >/etc/gopherd/gopherd.toml
systemctl restart gopherd 2>/dev/null
is "a bad configuration: restart says" 1 "$?"
expect "the journal names the first error" logged 'web_server.port'
expect "and the second" logged 'prot'
systemctl stop gopherd
cp /tmp/good.toml /etc/gopherd/gopherd.toml
systemctl reset-failed gopherd
expect "start again" systemctl start gopherd

title "a daemon that hangs"
mkdir -p /run/systemd/system/gopherd.service.d
printf '[Service]\nWatchdogSec=5\n' >/run/systemd/system/gopherd.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart gopherd
pid=$(show MainPID)
kill -STOP "$pid"
restarted() { [ "$(show NRestarts)" -ge 1 ] && [ "$(systemctl is-active gopherd)" = active ]; }
expect "the watchdog ends it and systemd starts another" until_true 90 restarted
[ "$(show MainPID)" != "$pid" ]
is "another process" 0 "$?"
rm -r /run/systemd/system/gopherd.service.d
systemctl daemon-reload

title "stop, erase"
expect "systemctl stop gopherd" systemctl stop gopherd
is "state" inactive "$(systemctl is-active gopherd)"
is "it ended with" "exited 0" "$(show ExecMainCode | sed 's/^1$/exited/') $(show ExecMainStatus)"
expect "its run directory is gone" test ! -e /run/gopherd
expect "rpm -e" rpm -e gopherd
files >/tmp/after
is "left behind is what the operator edited" \
	"/etc/gopherd /etc/gopherd/gopherd.toml.rpmsave /etc/gopherd/probes.init.rpmsave" \
	"$(comm -13 /tmp/before /tmp/after | grep -v '\.rpmnew$' | tr '\n' ' ' | sed 's/ $//')"
is "gone is" "" "$(comm -23 /tmp/before /tmp/after)"
rm -r /etc/gopherd

title "again, nothing edited, erased while it runs"
expect "rpm -i" rpm -i --nodeps /guest/second.rpm
expect "systemctl start gopherd" systemctl start gopherd
put baseinfo '{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}'
echo
expect "scrape" until_true 60 scraped '^gala_gopher_mem_total'
expect "rpm -e" rpm -e gopherd
files >/tmp/after
is "files before and after differ by" 0 "$(comm -3 /tmp/before /tmp/after | wc -l)"
comm -3 /tmp/before /tmp/after
is "units left" 0 "$(systemctl list-unit-files --no-legend 'gopherd*' 'gala-gopher*' | wc -l)"
pgrep -l gopherd
is "processes left" 1 "$?"

title "the deb"
expect "dpkg -i" dpkg -i /guest/gopherd.deb
is "state" "enabled active" "$(systemctl is-enabled gopherd) $(systemctl is-active gala-gopher.service)"
put baseinfo '{"cmd":{"probe":["mem"]},"params":{"report_period":5},"state":"running"}'
echo
expect "scrape" until_true 60 scraped '^gala_gopher_mem_total'
expect "gopher-ctl save" gopher-ctl save
saved=$(sha256sum </etc/gopherd/probes.init)
pid=$(show MainPID)
expect "dpkg -i again, an upgrade" dpkg -i /guest/gopherd.deb
is "probes.init is kept" "$saved" "$(sha256sum </etc/gopherd/probes.init)"
[ "$(show MainPID)" != "$pid" ] && [ "$(systemctl is-active gopherd)" = active ]
is "restarted by the upgrade" 0 "$?"
expect "dpkg --remove" dpkg --remove gopherd
expect "identity and configuration stay" test -e /var/lib/gopherd/machine_id -a -e /etc/gopherd/probes.init
expect "dpkg --purge" dpkg --purge gopherd
files >/tmp/after
is "files before and after differ by" 0 "$(comm -3 /tmp/before /tmp/after | wc -l)"
comm -3 /tmp/before /tmp/after
is "units left" 0 "$(systemctl list-unit-files --no-legend 'gopherd*' 'gala-gopher*' | wc -l)"

if [ "$failed" = 0 ]; then echo "VERDICT passed"; else
	journalctl --quiet --no-pager --unit=gopherd.service --lines=60 --output=cat
	echo "VERDICT failed"
fi
# The console must have it before the machine ends.
sleep 1
