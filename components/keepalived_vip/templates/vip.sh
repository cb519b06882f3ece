#!/bin/sh
# What keepalived.service needs beside keepalived itself.
#
#   prepare local|nonlocal   before a start: nobody here holds the addresses; sets or restores ip_nonlocal_bind
#   release                  after every end, whatever it was: removes the addresses that keepalived could not remove
#   check [FILE]             whether the addresses can be this host's: interfaces, networks, strangers
#   state                    prints what the running keepalived has been told and what it thinks, as JSON
set -eu
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

ADDRESSES=/etc/keepalived/addresses
KEPT=/var/lib/keepalived-vip
UNIT=keepalived.service
STATE_LIMIT=50 # tenths of a second

declared() { # kind [file]: interface and address
    awk -v kind="$1" '$1 == kind { print $2, $3 }' "${2:-$ADDRESSES}"
}
held() { # interface address: how it is written on the interface, with its own prefix length; nothing if it is not there
    ip -o address show dev "$1" to "$2" 2>/dev/null | awk '{ print $4 }'
}

release() {
    declared vip | while read -r interface address; do
        held "$interface" "${address%/*}" | while read -r found; do
            ip address delete "$found" dev "$interface" && echo "removed $found, which keepalived left on $interface"
        done
    done
}

nonlocal() { # nonlocal | local | leave
    for family in ipv4 ipv6; do
        setting=net.$family.ip_nonlocal_bind
        [ -e "/proc/sys/net/$family/ip_nonlocal_bind" ] || continue # a kernel without IPv6
        if [ "$1" = nonlocal ]; then
            # The kernel may have been told at boot already: what it had before all this is kept on disk, once.
            [ -f "$KEPT/$setting" ] || sysctl -n "$setting" >"$KEPT/$setting"
            sysctl -q -w "$setting=1"
        elif [ -f "$KEPT/$setting" ]; then
            sysctl -q -w "$setting=$(cat "$KEPT/$setting")"
            rm -f -- "$KEPT/$setting"
        fi
    done
}

lladdr() { # interface address: the hardware address that answers for it now
    ip neighbour flush to "$2" dev "$1" 2>/dev/null || :
    ping -n -q -c 1 -W 1 -I "$1" "$2" >/dev/null 2>&1 || :
    ip neighbour show to "$2" dev "$1" | awk '{ for (at = 1; at < NF; at++) if ($at == "lladdr") print $(at + 1) }'
}

networks() { # interface family: networks that are on the link
    ip -o "-$2" address show dev "$1" scope global | awk '{ print $4 }'
}

on_link() { # interface address family
    ip "-$3" route show table main dev "$1" match "$2" | grep -Ev ' via |^default|^fe80:' | grep -q .
}

refuse() {
    echo "$*" >&2
    exit 1
}

check() { # file
    while read -r kind interface address; do
        case $kind in node | peer | vip) ;; *) continue ;; esac
        case $address in *:*) family=6 ;; *) family=4 ;; esac
        [ "$kind" != node ] || ip link show dev "$interface" >/dev/null 2>&1 ||
            refuse "$interface is no network interface of this host, which has $(ip -br link | awk '{ print $1 }' |
                cut -d@ -f1 | tr '\n' ' '): correct interface, or nodes[].interface"
        [ "$kind" != node ] || [ "$(held "$interface" "$address")" ] ||
            refuse "$address is no address of $interface, which has $(networks "$interface" "$family" | tr '\n' ' '):" \
                "correct nodes[].address or the interface"
        [ "$kind" != vip ] || on_link "$interface" "${address%/*}" "$family" ||
            refuse "${address%/*} is outside the networks of $interface," \
                "$(networks "$interface" "$family" | tr '\n' ' '): correct instances[].addresses or the interface"
    done <"$1"
    # Who was a peer until now may hold them still: it goes when the others have their new configuration.
    peers=$({
        declared peer "$1"
        [ ! -f "$ADDRESSES" ] || declared peer
    } | sort -u | while read -r interface address; do lladdr "$interface" "$address"; done)
    declared vip "$1" | while read -r interface address; do
        [ -z "$(held "$interface" "${address%/*}")" ] || continue
        for answer in $(lladdr "$interface" "${address%/*}"); do
            printf '%s\n' "$peers" | grep -Fqx -e "$answer" ||
                refuse "${address%/*} is taken by $answer, which is none of the peers: correct instances[].addresses"
        done
    done
}

state() {
    pid=$(systemctl show -P MainPID "$UNIT")
    [ "$pid" != 0 ] || refuse "keepalived does not run"
    file=/proc/$pid/root/tmp/keepalived.json
    rm -f -- "$file"
    kill -s "$(keepalived --signum=JSON)" "$pid"
    until tail -c 2 "$file" 2>/dev/null | grep -q ']'; do
        STATE_LIMIT=$((STATE_LIMIT - 1))
        [ "$STATE_LIMIT" -gt 0 ] || refuse "keepalived does not tell its state"
        sleep 0.1
    done
    cat "$file"
    rm -f -- "$file"
}

case ${1:-}:$# in
prepare:2)
    release
    nonlocal "$2"
    ;;
release:1)
    release
    # It is being removed from this host: a service is disabled before it is stopped for good.
    systemctl is-enabled -q "$UNIT" 2>/dev/null || nonlocal leave
    ;;
check:1) check "$ADDRESSES" ;;
check:2) check "$2" ;;
state:1) state ;;
*)
    echo "usage: prepare local|nonlocal | release | check [FILE] | state" >&2
    exit 64
    ;;
esac
