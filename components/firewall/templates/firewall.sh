#!/bin/sh
# The host's part of the firewall: loads rules, and puts the former ones back unless a new SSH connection confirms them.
#
#   start SECONDS         at boot the confirmed rules, whatever stands in firewall.nft; at any other time like try
#   try SECONDS           load firewall.nft; the former rules come back unless it is confirmed within so many seconds
#   confirm [ADDRESS]     the rules with the fingerprint on standard input stay; said by a new connection from ADDRESS
#   put-back FINGERPRINT  the confirmed rules instead of these, or none if there are none
#   again                 load the rules in force once more, after something removed every table of the host
#   holds                 whether the kernel has what stands in firewall.nft
#   stop                  remove the table
#
# What makes it safe to be cut off anywhere: systemd's timer is armed before new rules are loaded and ended after they
# are confirmed, and it lives in memory, as unconfirmed rules do. A reboot knows the confirmed ones only.
set -eu
umask 022
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

RULES=/etc/sealed-data-tier/firewall.nft
STATE=/var/lib/sealed-data-tier-firewall
CONFIRMED=$STATE/confirmed.nft
RUN=/run/sealed-data-tier-firewall     # there since boot: a start that finds it is none at boot
UNIT=sealed-data-tier-firewall.service
TRIAL=sealed-data-tier-firewall-trial
TABLE='table inet sealed_data_tier'
LOCK_WAIT=30                           # seconds

say() { # what a unit says is in the journal anyway
    printf 'sealed-data-tier-firewall: %s\n' "$*" >&2
    [ "${INVOCATION_ID:-}" ] || logger -t sealed-data-tier-firewall -- "$*" 2>/dev/null || :
}

lock() {
    mkdir -p -- "$RUN"
    exec 9<"$RUN"
    flock -w "$LOCK_WAIT" 9 || {
        say "another call has held the firewall for $LOCK_WAIT s; try again"
        exit 75
    }
}

fingerprint() { sed -n 's/^[[:space:]]*comment "sealed-data-tier \([0-9a-f]*\)"$/\1/p' "$@" 2>/dev/null | head -n 1; }
# shellcheck disable=SC2086 # the words of TABLE
loaded() { nft list $TABLE 2>/dev/null | fingerprint; }
clear_table() { printf '%s\ndelete %s\n' "$TABLE" "$TABLE" | nft -f -; }

is_confirmed() { cmp -s -- "$RULES" "$CONFIRMED"; }

replace() { # source target: whole or not at all
    cp -- "$1" "$2.new"
    sync -- "$2.new"
    mv -fT -- "$2.new" "$2"
    sync -- "${2%/*}"
}

former() { # what was confirmed last
    if [ -f "$CONFIRMED" ]; then
        nft -f "$CONFIRMED"
        cmp -s -- "$CONFIRMED" "$RULES" || replace "$CONFIRMED" "$RULES"
    else
        clear_table
        rm -f -- "$RULES"
    fi
}

timers() { systemctl list-units --type=timer --plain --no-legend "$TRIAL-*" | awk '{ print $1 }'; }
disarm() { # [timer that stays]
    timers | while IFS= read -r timer; do [ "$timer" = "${1:-}" ] || systemctl stop -- "$timer" 2>/dev/null || :; done
}

try() { # seconds
    if [ ! -f "$RULES" ]; then # put back, and there were none before
        clear_table
        return 0
    fi
    if is_confirmed; then
        nft -f "$RULES"
        disarm
        return 0
    fi
    name=$TRIAL-$(date +%s%N)
    systemd-run --quiet --collect --unit="$name" --on-active="$1" --timer-property=AccuracySec=100ms \
        --property=Type=oneshot --property=Restart=on-failure --property=RestartSec=1 \
        --property=StartLimitIntervalSec=0 -- "$0" put-back "$(fingerprint "$RULES")" 9<&-
    nft -f "$RULES" || {
        systemctl stop -- "$name.timer"
        return 1
    }
    disarm "$name.timer"
    say "loaded $(fingerprint "$RULES"); unless it is confirmed within $1 s the former rules come back"
}

confirm() { # address
    wanted=$(tail -n 1)
    lock
    if [ "$(loaded)" != "$wanted" ] || [ "$(fingerprint "$RULES")" != "$wanted" ]; then
        say "the new rules are not in force: no new SSH connection confirmed them in time, or this host rebooted before," \
            "so it put the former ones back. Let sshSources and sshPort admit this machine, which comes from" \
            "${1:-an address unknown}, and run up again. To try the same rules again, raise hosts.<name>.incarnation."
        exit 1
    fi
    mkdir -p -- "$STATE"
    is_confirmed || replace "$RULES" "$CONFIRMED"
    disarm
    say "confirmed $wanted"
}

put_back() { # fingerprint: unless it was confirmed, or other rules took its place
    lock
    [ "$(fingerprint "$CONFIRMED")" != "$1" ] || return 0
    [ "$(loaded)" = "$1" ] || [ "$(fingerprint "$RULES")" = "$1" ] || return 0
    former
    say "put the former rules back: no new SSH connection confirmed $1"
}

again() {
    systemctl is-active -q "$UNIT" || return 0 # then it loads its rules itself, or is stopped on purpose
    lock
    if [ "$(timers)" ]; then nft -f "$RULES"; elif [ -f "$CONFIRMED" ]; then nft -f "$CONFIRMED"; fi
}

stop() {
    lock
    clear_table
    disarm
    systemctl is-enabled -q "$UNIT" 2>/dev/null || rm -rf -- "$STATE" # it is being removed from this host
}

start() { # seconds
    if [ -d "$RUN" ]; then
        lock
        try "$1"
    else
        lock
        former
    fi
}

case ${1:-}:$# in
start:2) start "$2" ;;
try:2) lock && try "$2" ;;
confirm:[12]) confirm "${2:-}" ;;
put-back:2) put_back "$2" ;;
again:1) again ;;
holds:1) [ -f "$RULES" ] && [ "$(loaded)" = "$(fingerprint "$RULES")" ] ;;
stop:1) stop ;;
*)
    say "usage: start SECONDS | try SECONDS | confirm [ADDRESS] | put-back FINGERPRINT | again | holds | stop"
    exit 64
    ;;
esac
