#!/bin/sh
# A benchmark host's end state, as the services and the kernel tell it:  end.sh PATH…
set -eu
LC_ALL=C
export LC_ALL
for path; do
    stat -c '%n %a %U:%G' "$path"
    [ ! -f "$path" ] || sha256sum <"$path"
done
getent passwd cache-probe | cut -d: -f 1,6,7
id -gn cache-probe
dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' haproxy
systemctl show -P ActiveState -P SubState -P UnitFileState -P NeedDaemonReload haproxy.service | paste -sd ' ' -
ss -Hltn 'sport = :30379' | awk '{ print $4 }'
# What it runs, not what it should run: the process's arguments, and its answer.
tr '\0' ' ' <"/proc/$(systemctl show -P MainPID haproxy.service)/cmdline" | grep -o -e '-f [^ ]*'
python3 -c '
import socket
with socket.socket(socket.AF_UNIX) as admin:
    admin.connect("/run/haproxy/admin.sock")
    admin.send(b"show info\n")
    print(*(line for line in admin.makefile() if line.startswith("Maxconn:")), end="")'
