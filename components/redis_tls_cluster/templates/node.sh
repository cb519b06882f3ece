#!/bin/sh
# One node under systemd: what surrounds the server's own start, reload and stop.
#
#   node prepare            before the server starts: its own file, which says whose replica it is
#   node prepare-sentinel   before Sentinel starts: what it is told, and what it had found out
#   node concede            after it came back as the primary: if the Sentinels have chosen another, become its replica
#   node reload             change what can be changed while the server serves; cuts no connection
#   node hand-over          before the server stops: if it is a primary, another one takes over first
#   node settled            exit code 0 once the server serves, and a replica is in sync
#   node status             how it is, for whoever verifies: a line each, "+ what is well" or "- what is not"
# shellcheck source=/dev/null
. "${0%/*}/client.sh"

STATE=$DATA/$FLAVOUR.conf
SENTINEL_STATE=$DATA/sentinel.conf
HAND_OVER_S=20            # for another node to take over
DOUBT_S=15                # for Sentinels to choose
CATCH_UP_S=5              # for replicas to have every write
PAUSE_S=60                # without writes at most: longer than all of a hand-over
RELOAD_S=20               # for all live changes

# --- before a start ----------------------------------------------------------------------------------------------

as_root() { [ "$(id -u)" = 0 ]; } # as systemd runs this; a pod has the service's own account
own_data() { # the account may have come anew, with another number, after the data had been kept
    ! as_root || [ "$(stat -c %U "$DATA")" = "$FLAVOUR" ] || chown -R "$FLAVOUR:$FLAVOUR" "$DATA"
}
publish() { # path: from standard input, whole or not at all
    cat >"$1.new"
    ! as_root || chown "$FLAVOUR:$FLAVOUR" "$1.new"
    mv -f "$1.new" "$1"
}

remember() { # what the running server has, as a copy of what it has read
    mkdir -p "$APPLIED/client"
    for rm_file in "$FLAVOUR.conf" users.acl passwords.conf manager.password; do cp "$PLACE/$rm_file" "$APPLIED/"; done
    cp "$TLS"/client/* "$APPLIED/client/"
    certificates >"$APPLIED/certificates"
    printf '%s\n' "$PORT" >"$APPLIED/port"
}
forget() { # what the server has is not known any longer: the next reload tells it everything
    sed 's/^\(user [^ ]*\).*/\1/' "$PLACE/users.acl" >>"$APPLIED/users.acl"
    for fg_file in "$FLAVOUR.conf" passwords.conf certificates; do : >"$APPLIED/$fg_file"; done
}
certificates() { cat "$TLS/server/server.crt" "$TLS/server/server.key" "$TLS/server/root.crt" | sha256sum; }

# Back after a crash, while the others are about to choose another primary: two of them would take writes for some time.
undoubted() { # [since]: and, by the clock in milliseconds, they have heard of it since then
    [ "$(current_primary)" = "$ADDRESS" ] || return 0
    for ud_sentinel in $SENTINELS; do
        ud_says=$(sentinel "$ud_sentinel" master "$GROUP" 2>/dev/null) || continue
        ! printf '%s\n' "$ud_says" | value flags | grep -Eq 'down|failover' || return 1
        ud_heard=$(printf '%s\n' "$ud_says" | value last-ok-ping-reply)
        [ $(($(now) - ${ud_heard:-0})) -ge "${1:-0}" ] || return 1
    done
}
now() { date +%s%3N; }
past_doubt() { # what-then [since]
    until_ "$DOUBT_S" undoubted "${2:-0}" || note "the Sentinels are still in doubt: $1"
}
prepare() {
    own_data
    ! as_root || sysctl -q -p "$SYSCTL" 2>/dev/null || note "this kernel does not let vm.overcommit_memory be set: snapshots may fail"
    {
        printf 'include %s/%s.conf\n' "$PLACE" "$FLAVOUR"
        if [ "$TOPOLOGY" = sentinel ]; then
            past_doubt "starting as the primary they name"
            if pr_primary=$(current_primary); then
                [ "$pr_primary" = "$ADDRESS" ] || printf 'replicaof %s %s\n' "$pr_primary" "$PORT"
            elif [ -f "$STATE" ]; then
                grep '^replicaof ' "$STATE" || :
            elif [ "$ADDRESS" != "$PRIMARY" ]; then
                printf 'replicaof %s %s\n' "$PRIMARY" "$PORT"
            fi
        fi
        # A server that is to append finds nothing appended yet, and would not look at its snapshot: it starts with that,
        # and begins to append right after.
        ! only_snapshot || printf 'appendonly no\n'
    } | publish "$STATE"
    remember
    ! only_snapshot || sed -i '/^appendonly /d' "$APPLIED/$FLAVOUR.conf"
}
only_snapshot() { [ -f "$DATA/dump.rdb" ] && ! [ -d "$DATA/appendonlydir" ]; }

# They may have begun to choose between the look above and the start, and do so until they have heard of it again. Left
# alone, both primaries would be there until a Sentinel has seen that for eight seconds.
concede() {
    [ "$TOPOLOGY" = sentinel ] && ! is_replica || return 0
    past_doubt "going on as the primary they name" "$(now)"
    co_primary=$(current_primary) && [ "$co_primary" != "$ADDRESS" ] || return 0
    note "the Sentinels have chosen $co_primary"
    ask REPLICAOF "$co_primary" "$PORT" | grep -qx OK
}

prepare_sentinel() {
    own_data
    ps_before=$(sed -n "s/^sentinel monitor $GROUP \([^ ]*\) .*/\1/p" "$SENTINEL_STATE" 2>/dev/null) || :
    ps_primary=$(current_primary) || ps_primary=${ps_before:-$PRIMARY}
    ps_keep='myid|current-epoch|known-sentinel'
    [ "$ps_primary" != "$ps_before" ] || ps_keep="$ps_keep|config-epoch|leader-epoch"
    {
        sed "s/^\(sentinel monitor $GROUP\) [^ ]*/\1 $ps_primary/" "$PLACE/sentinel.conf"
        cat "$PLACE/sentinel.passwords"
        grep -E "^sentinel ($ps_keep) " "$SENTINEL_STATE" 2>/dev/null || :
        # It would ask the primary every ten seconds only, and lead nobody to the next one whom it does not know. Whom it
        # knew as a replica does not count: that may be the primary by now.
        for ps_node in $NODES; do
            [ "$ps_node" = "$ps_primary" ] || printf 'sentinel known-replica %s %s %s\n' "$GROUP" "$ps_node" "$PORT"
        done
    } | publish "$SENTINEL_STATE"
}

# --- while it serves ---------------------------------------------------------------------------------------------

added() { # file: lines that the running server does not have
    awk 'FILENAME == ARGV[1] { had[$0]; next } !($0 in had) && NF && !/^#/ && $1 != "include"' "$APPLIED/$1" "$PLACE/$1"
}

# "keyword one two" as two arguments of CONFIG SET.
as_arguments() {
    awk '{ keyword = $1; sub(/^[^ ]+ */, ""); printf " %s %s", keyword, /^"/ ? $0 : "\"" $0 "\"" }'
}

live_changes() { # one line a command
    added users.acl | sed 's/^user \([^ ]*\)/ACL SETUSER \1 reset/'
    awk 'FILENAME == ARGV[1] { kept[$2]; next } !($2 in kept) { print "ACL DELUSER " $2 }' "$PLACE/users.acl" "$APPLIED/users.acl"
    # A port has to be free before another kind of connection can have it.
    lc_ports='^port |^tls-port '
    lc_order='sort'
    grep -q '^port 0$' "$PLACE/$FLAVOUR.conf" || lc_order='sort -r'
    added "$FLAVOUR.conf" | grep -E "$lc_ports" | $lc_order | sed 's/^/CONFIG SET /'
    lc_files='^tls-(cert|key|ca-cert)-file '
    lc_rest=$({ added "$FLAVOUR.conf" | grep -Ev "$lc_ports|$lc_files"; added passwords.conf; } | as_arguments)
    if [ "$(certificates)" != "$(cat "$APPLIED/certificates")" ] || added "$FLAVOUR.conf" | grep -Eq "$lc_files"; then
        # All three in one command: of a certificate with another one's key the server would be rid at once.
        lc_rest="$lc_rest $(grep -E "$lc_files" "$PLACE/$FLAVOUR.conf" | tr '\n' ' ')"
    fi
    [ -z "${lc_rest# }" ] || printf 'CONFIG SET%s\n' "$lc_rest"
}

# Where the manager's own certificate, password or port changes, the server still has the one before.
find_way() { # into WAY: client certificates, password's directory and port with which the server answers
    for WAY in "$TLS/client $PLACE $PORT" "$APPLIED/client $APPLIED $(cat "$APPLIED/port")"; do
        ! tell </dev/null PING 2>/dev/null | grep -qx PONG || return 0
    done
    fail "the server does not answer its manager"
}
tell() { # words…: or commands on standard input
    # shellcheck disable=SC2086 # three words
    tell_by $WAY "$@"
}
tell_by() { # client-certificates password-directory port words…
    tb_client=$1 tb_password=$2/manager.password tb_port=$3
    shift 3
    cat "$tb_password" - | {
        # shellcheck disable=SC2034 # read by client()
        CLIENT=$tb_client
        client "$RELOAD_S" "$ADDRESS" "$tb_port" "$@"
    }
}

reload() {
    [ -f "$APPLIED/$FLAVOUR.conf" ] || fail "the server was not started by its unit: restart it"
    live_changes >"$APPLIED/commands"
    if [ -s "$APPLIED/commands" ]; then
        find_way
        # In one connection, which outlives a change of all three.
        tell <"$APPLIED/commands" >"$APPLIED/answers" || :
        # Not all of a command is shown: it may hold a password.
        rl_trouble=$(awk 'FILENAME == ARGV[1] { answer[FNR] = $0; next }
            answer[FNR] !~ /^(OK|[0-9]+)$/ { print $1, $2, $3 ": " answer[FNR]; exit }' "$APPLIED/answers" "$APPLIED/commands")
        [ -z "$rl_trouble" ] || {
            forget
            fail "$rl_trouble"
        }
    fi
    rm -f "$APPLIED/commands" "$APPLIED/answers"
    remember
}

takes_replicas() { # address: or is too busy to say so
    tr_answer=$(sed -n 's/^masterauth //p' "$PLACE/passwords.conf" |
        client "$ANSWER_S" "$1" "$PORT" --user replication PING 2>/dev/null) || [ $? -ne 124 ] || return 0
    printf '%s\n' "$tr_answer" | grep -qx PONG
}
settled() {
    sd_info=$(ask INFO replication) || fail "no answer: ${sd_info:-}"
    case $(printf '%s' "$sd_info" | field role) in
    master) ;;
    slave)
        [ "$(printf '%s' "$sd_info" | field master_link_status)" = up ] || {
            # As long as the primary is still to come, or to learn of its replicas, the group waits for that in the end.
            ! takes_replicas "$(printf '%s' "$sd_info" | field master_host)" || fail "not yet in sync with the primary"
        }
        ;;
    *) fail "$sd_info" ;;
    esac
    [ "$TOPOLOGY" = cluster ] || return 0
    sd_info=$(ask CLUSTER INFO)
    [ "$(printf '%s' "$sd_info" | field cluster_known_nodes)" = 1 ] ||
        [ "$(printf '%s' "$sd_info" | field cluster_state)" = ok ] || fail "the cluster is not well"
}

# --- how it is ---------------------------------------------------------------------------------------------------

# What somebody may have set in the running server, and only there.
GUARDED="bind protected-mode port tls-port tls-cert-file tls-key-file tls-ca-cert-file tls-auth-clients tls-protocols
    tls-ciphers tls-ciphersuites tls-replication tls-cluster masteruser min-replicas-to-write appendonly"

differences() {
    # shellcheck disable=SC2086 # words
    ask CONFIG GET $GUARDED | tr -d '\r' | awk '
        FILENAME != "-" { key = $1; sub(/^[^ ]+ */, ""); gsub(/^"|"$/, ""); want[key] = $0; next }
        FNR % 2 { key = $0; next }
        $0 != want[key] { print "- the running server has " key " \"" $0 "\", not \"" want[key] "\"" }
    ' "$PLACE/$FLAVOUR.conf" -
    ask ACL USERS | tr -d '\r' | awk '
        FILENAME != "-" { missing[$2]; next }
        $0 in missing { delete missing[$0]; next }
        { print "- only the running server or only its file has the user " $0 }
        END { for (name in missing) print "- only the running server or only its file has the user " name }
    ' "$PLACE/users.acl" -
    ask ACL LIST | awk '/ on / && / nopass / { print "- the running server lets " $2 " in without a password" }'
}
server_status() {
    ss_info=$(ask INFO replication 2>/dev/null) && [ "$(printf '%s' "$ss_info" | field role)" ] || {
        echo "- the server does not answer its manager"
        return
    }
    case $(printf '%s' "$ss_info" | field role):$(printf '%s' "$ss_info" | field master_link_status) in
    master:*) echo "+ primary with $(printf '%s' "$ss_info" | field connected_slaves) replicas" ;;
    slave:up) echo "+ replica of $(printf '%s' "$ss_info" | field master_host), in sync" ;;
    *) echo "- replica of $(printf '%s' "$ss_info" | field master_host), not in sync" ;;
    esac
    differences
    [ "$TOPOLOGY" != cluster ] || ask CLUSTER INFO | field cluster_state | grep -qx ok || echo "- the cluster is not well"
}

status() { # of a server, a Sentinel or both
    [ ! -f "$PLACE/users.acl" ] || server_status
    [ -f "$PLACE/sentinel.passwords" ] || return 0
    if st_trouble=$(knows_all "$ADDRESS"); then
        echo "+ Sentinel that knows the whole group"
    else
        echo "- $st_trouble"
    fi
}

# --- before a stop -----------------------------------------------------------------------------------------------

caught_up() { # replicas: whether so many have every write
    ask INFO replication | tr -d '\r' | awk -F '[:=,]' -v replicas="$1" '
        $1 == "master_repl_offset" { want = $2 }
        /^slave[0-9]+:.*state=online/ { for (i = 2; i < NF; i++) if ($i == "offset") having[$(i + 1)]++ }
        END { exit having[want] < replicas }'
}
replaced() { # whether the group has another primary than this node
    rp_primary=$(current_primary) && [ "$rp_primary" != "$ADDRESS" ] && ask_at "$rp_primary" "$PORT" ROLE 2>/dev/null | grep -qx master
}
start_failover() {
    for sf_sentinel in $SENTINELS; do
        ! sentinel "$sf_sentinel" failover "$GROUP" 2>/dev/null | grep -qx OK || return 0
    done
    return 1
}
is_replica() { ask INFO replication | field role | grep -qx slave; }

hand_over() {
    ho_info=$(ask INFO replication 2>/dev/null) || return 0 # it does not serve: there is nothing to hand over
    [ "$(printf '%s' "$ho_info" | field role)" = master ] || return 0
    printf '%s' "$ho_info" | grep -q '^slave[0-9]*:.*state=online' || {
        note "no replica could take over: stopping anyway"
        return 0
    }
    case $TOPOLOGY in
    sentinel)
        # No write is taken that the next primary would not have; and as Sentinel goes by what it was told seconds ago, that
        # may be any of them.
        ask CLIENT PAUSE "$((PAUSE_S * 1000))" WRITE >/dev/null
        # shellcheck disable=SC2086
        until_ "$CATCH_UP_S" caught_up "$(($(count $NODES) - 1))" || note "not every replica has every write"
        if until_ "$CATCH_UP_S" caught_up 1 && until_ "$CATCH_UP_S" start_failover && until_ "$HAND_OVER_S" replaced; then
            note "handed over to $(current_primary)"
        else
            ask CLIENT UNPAUSE >/dev/null || :
            note "nobody took over within $HAND_OVER_S s: stopping anyway"
        fi
        ;;
    cluster)
        ho_id=$(ask CLUSTER MYID)
        ask CLUSTER NODES | awk -v id="$ho_id" '$4 == id && $3 ~ /slave/ && $3 !~ /fail/ && $8 == "connected" { print $2 }' |
            while IFS= read -r ho_replica; do
                ho_place=${ho_replica%%@*}
                ! ask_at "$(bare "${ho_place%:*}")" "${ho_place##*:}" CLUSTER FAILOVER | grep -qx OK || break
            done
        until_ "$HAND_OVER_S" is_replica || note "no replica took over within $HAND_OVER_S s: stopping anyway"
        ;;
    esac
}
bare() { # address, without the brackets that IPv6 may have
    ba_address=${1#\[}
    printf '%s\n' "${ba_address%\]}"
}

case ${1:-} in
prepare) prepare ;;
prepare-sentinel) prepare_sentinel ;;
concede) concede ;;
reload) reload ;;
hand-over) hand_over ;;
settled) settled ;;
status) status ;;
*) fail "usage: node prepare | prepare-sentinel | concede | reload | hand-over | settled | status" ;;
esac
