#!/bin/sh
# A pod of a group on Kubernetes: what the host's role and systemd do elsewhere.
#
#   pod PROGRAM ARGUMENTS…   becomes a server, once no data can be lost by that, or with --sentinel a Sentinel
#   pod follow               beside a server: has it take whatever kubelet delivers, over its own TLS link
#   pod alive PORT           exit code 0 as long as something answers there
#   pod ready                exit code 0 while the server here leads, or is in sync with who does
#   pod watches              exit code 0 once the Sentinel here knows a primary
#   pod settle               from outside: waits until every server has what this pod was delivered, and all is well
#
# What is delivered changes as a whole, by one link. Its generation, a digest of all of it, is part of the path of the
# certificates: so what a server says of its tls-cert-file tells which generation it has.
# shellcheck source=/dev/null
. "${0%/*}/client.sh"

SCRIPTS=${0%/*}
STATE=$DATA/$FLAVOUR.conf
SENTINEL_STATE=$DATA/sentinel.conf
STARTED=$APPLIED/started # a server has just been started
HAS=$APPLIED/delivery    # what the server has
LOOK_S=2                 # until the next look at what is delivered
ALIVE_S=10               # for an answer of something that may be busy, and is lost without one
PAUSE_S=10               # before what was refused is tried again

# --- what is delivered -------------------------------------------------------------------------------------------

delivery() { readlink -f "$DELIVERED/..data"; }
generation() { # directory
    (cd "$1" && find . -type f | sort | xargs sha256sum) | sha256sum | cut -c 1-16
}
take() { # to where the server and the scripts look for it
    ta_from=$(delivery)
    ta_generation=$(generation "$ta_from")
    mkdir -p "$TLS/client" "$TLS/server" "$TLS/$ta_generation"
    cp -f "$ta_from"/tls/server/* "$TLS/$ta_generation/"
    (cd "$ta_from" && find . -type f) | while IFS= read -r ta_file; do
        sed "s|^\(tls-[a-z-]*-file $TLS/\)server/|\1$ta_generation/|" "$ta_from/$ta_file" >"$PLACE/$ta_file.new"
        mv -f "$PLACE/$ta_file.new" "$PLACE/$ta_file"
    done
}
leave_former() { # certificates that the server has no longer
    le_has=$(sed -n "s|^tls-cert-file \(.*\)/server.crt$|\1|p" "$APPLIED/$FLAVOUR.conf")
    for le_former in "$TLS"/????????????????; do
        [ "$le_former" = "$le_has" ] || rm -rf "$le_former"
    done
}

# --- before a start ----------------------------------------------------------------------------------------------

# A server without data that became the primary would empty its replicas; one with data that nobody knows about any more
# could be one that was replaced.
harmless() {
    [ "$TOPOLOGY" = sentinel ] || return 0
    ha_primary=$(current_primary) || ha_primary=
    if [ -f "$STATE" ]; then
        [ "$ha_primary" ] || { echo "no Sentinel answers, and another server may lead by now" && return 1; }
    elif [ "${ha_primary:-$PRIMARY}" = "$ADDRESS" ]; then
        others_are_empty
    fi
}
others_are_empty() {
    for oe_node in $NODES; do
        [ "$oe_node" != "$ADDRESS" ] || continue
        oe_info=$(ask_at "$oe_node" "$PORT" INFO keyspace 2>&1) || :
        case $oe_info in
        *"# Keyspace"*db[0-9]*) echo "$oe_node has data, and this server has none" && return 1 ;;
        *"# Keyspace"*) ;;
        *) echo "$oe_node does not answer, and may have data; this server has none" && return 1 ;;
        esac
    done
}
become_server() { # program arguments…
    take
    bs_said=
    until bs_trouble=$(harmless); do
        [ "$bs_trouble" = "$bs_said" ] || note "waiting: $bs_trouble"
        bs_said=$bs_trouble
        sleep 1
    done
    "$SCRIPTS/node" prepare
    : >"$STARTED"
    exec "$@"
}

leads() { # address
    ask_at "$1" "$PORT" ROLE 2>/dev/null | grep -qx master
}
become_sentinel() { # program arguments…
    take
    # One that remembers nothing would take the first server for lost before that has started.
    [ -f "$SENTINEL_STATE" ] || current_primary >/dev/null || until_ "$SETTLE_S" leads "$PRIMARY" ||
        note "$PRIMARY does not lead; watching it all the same"
    "$SCRIPTS/node" prepare-sentinel
    printf 'sentinel announce-ip %s\n' "$ADDRESS" >>"$SENTINEL_STATE"
    exec "$@"
}

# --- while it serves ---------------------------------------------------------------------------------------------

answers() { # port: with whatever, which takes no password
    timeout "$ALIVE_S" "$FLAVOUR-cli" --tls --cacert "$CLIENT/root.crt" --cert "$CLIENT/client.crt" \
        --key "$CLIENT/client.key" -h "$ADDRESS" -p "$1" PING 2>&1 | grep -Eq '^(PONG|NOAUTH|LOADING|BUSY|MASTERDOWN)'
}
hand_on() { # what was delivered, to the server
    ho_delivery=$(delivery)
    if [ -f "$STARTED" ]; then
        until_ "$SETTLE_S" answers "$PORT" || fail "the server does not answer"
        "$SCRIPTS/node" concede
    fi
    take
    "$SCRIPTS/node" reload
    leave_former
    rm -f "$STARTED"
    printf '%s\n' "$ho_delivery" >"$HAS"
}
follow() {
    trap 'exit 0' TERM
    while :; do
        fo_pause=$LOOK_S
        if [ -f "$STARTED" ] || { [ -f "$HAS" ] && read -r fo_has <"$HAS" && [ "$(delivery)" != "$fo_has" ]; }; then
            "$0" hand-on || fo_pause=$PAUSE_S
        fi
        sleep "$fo_pause" &
        wait "$!"
    done
}
ready() { # or else the next pod would be taken away while this one could not take over
    re_info=$(ask INFO replication) || fail "no answer: ${re_info:-}"
    case $(printf '%s' "$re_info" | field role):$(printf '%s' "$re_info" | field master_link_status) in
    master:* | slave:up) ;;
    *) fail "not in sync with $(printf '%s' "$re_info" | field master_host)" ;;
    esac
}
watches() { primary_of "$ADDRESS" >/dev/null; }

# --- from outside ------------------------------------------------------------------------------------------------

has_generation() { # address generation
    hg_file=$(ask_at "$1" "$PORT" CONFIG GET tls-cert-file 2>/dev/null | tail -n 1)
    [ "$hg_file" = "$TLS/$2/server.crt" ]
}
settle() {
    take
    se_generation=$(generation "$(delivery)")
    for se_node in $NODES; do
        until_ "$SETTLE_S" has_generation "$se_node" "$se_generation" ||
            fail "$se_node has not taken what was delivered within $SETTLE_S s: kubectl logs ${se_node%%.*} -c follow says why"
    done
    [ "$TOPOLOGY" = standalone ] || "$SCRIPTS/group" settle
}

case ${1:-} in
follow) follow ;;
hand-on) hand_on ;;
alive) answers "$2" ;;
ready) ready ;;
watches) watches ;;
settle) settle ;;
"$FLAVOUR-server")
    case " $* " in
    *" --sentinel "*) become_sentinel "$@" ;;
    *) become_server "$@" ;;
    esac
    ;;
*) fail "usage: pod $FLAVOUR-server ARGUMENTS… | follow | hand-on | alive PORT | ready | watches | settle" ;;
esac
