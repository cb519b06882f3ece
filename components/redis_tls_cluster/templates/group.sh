#!/bin/sh
# The group as a whole, from one of its hosts, once every node has had its turn:
#
#   group settle   take in who is new, let go of who has left, and wait until all is well
#
# It can be repeated at any time. What standard input holds only tells one configuration from another.
# shellcheck source=/dev/null
. "${0%/*}/client.sh"

MOVE_S=3600 # for slots to move
TROUBLE=$(mktemp)
trap 'rm -f "$TROUBLE"' EXIT

among() { # word words…
    am_word=$1
    shift
    for am_other; do [ "$am_other" != "$am_word" ] || return 0; done
    return 1
}
addresses() { awk '$0 == "ip" { getline; print }'; }
at_node() { # address words…
    an_address=$1
    shift
    ask_at "$an_address" "$PORT" "$@"
}
wait_for() { # what words…: repeats a check, which says on standard output what is amiss
    wf_what=$1
    shift
    until_ "$SETTLE_S" attempt "$@" || fail "not within $SETTLE_S s: $wf_what: $(tail -n 5 "$TROUBLE")"
}
attempt() { "$@" >"$TROUBLE" 2>&1; }

all_answer() { # addresses…
    for aa_node; do
        at_node "$aa_node" PING 2>&1 | grep -qx PONG || {
            echo "$aa_node does not answer"
            return 1
        }
    done
}

# --- under Sentinel ----------------------------------------------------------------------------------------------

sentinels_agree() { # and none of them is in the middle of a failover, which they answer for as if it were over
    sa_primary=
    for sa_sentinel in $SENTINELS; do
        sa_says=$(sentinel "$sa_sentinel" master "$GROUP" 2>/dev/null) || :
        sa_address=$(printf '%s\n' "$sa_says" | value ip) sa_flags=$(printf '%s\n' "$sa_says" | value flags)
        [ "$sa_address" ] || { echo "the Sentinel on $sa_sentinel does not answer" && return 1; }
        [ "$sa_flags" = master ] || { echo "the Sentinel on $sa_sentinel sees the primary as $sa_flags" && return 1; }
        [ "${sa_primary:=$sa_address}" = "$sa_address" ] || { echo "Sentinels name $sa_primary and $sa_address" && return 1; }
    done
    at_node "$sa_primary" ROLE 2>/dev/null | grep -qx master || { echo "$sa_primary is no primary" && return 1; }
}

primary_stays() {
    # shellcheck disable=SC2086 # addresses hold no blanks
    among "$(current_primary)" $NODES && return 0
    sentinel "${SENTINELS%% *}" failover "$GROUP" # of which the others hear in about a second
    sleep 2
    return 1
}

leave_sentinel() { # whether anybody has left
    ls_left=1
    for ls_node in $(sentinel "${SENTINELS%% *}" replicas "$GROUP" | addresses); do
        # shellcheck disable=SC2086
        ! among "$ls_node" $NODES || continue
        ls_left=0
        # Nobody's replica any longer, so that nobody finds it again; its own port takes no plaintext.
        at_node "$ls_node" REPLICAOF 127.0.0.1 1 >/dev/null 2>&1 || :
    done
    for ls_sentinel in $(sentinel "${SENTINELS%% *}" sentinels "$GROUP" | addresses); do
        # shellcheck disable=SC2086
        ! among "$ls_sentinel" $SENTINELS || continue
        ls_left=0
        sentinel "$ls_sentinel" remove "$GROUP" >/dev/null 2>&1 || :
    done
    return "$ls_left"
}

all_known() { for ak_sentinel in $SENTINELS; do knows_all "$ak_sentinel" || return 1; done; }

all_in_sync() { # a Sentinel leads back late, and only replicas that it has heard of; after a reset those are the primary's
    as_primary=$(current_primary)
    for as_node in $NODES; do
        [ "$as_node" != "$as_primary" ] || continue
        as_role=$(role_of "$as_node")
        case $as_role in
        "slave $as_primary $PORT connected") continue ;;
        "slave $as_primary $PORT "*) ;;
        "slave "*) at_node "$as_node" REPLICAOF "$as_primary" "$PORT" >/dev/null ;;
        esac
        echo "$as_node is not in sync with $as_primary: ${as_role:-no answer}"
        return 1
    done
}
role_of() { # address: as "slave", its primary, the port and the state of the link
    at_node "$1" ROLE 2>/dev/null | head -n 4 | xargs
}

settle_sentinel() {
    # shellcheck disable=SC2086
    wait_for "the servers answer" all_answer $NODES
    wait_for "the Sentinels agree" sentinels_agree
    for se_node in $(sentinel "${SENTINELS%% *}" replicas "$GROUP" | addresses); do
        # shellcheck disable=SC2086
        among "$se_node" $NODES || at_node "$se_node" CONFIG SET replica-priority 0 >/dev/null 2>&1 || :
    done
    wait_for "a node that stays is the primary" primary_stays
    wait_for "the Sentinels agree" sentinels_agree
    if leave_sentinel; then
        for se_sentinel in $SENTINELS; do sentinel "$se_sentinel" reset "$GROUP" >/dev/null; done
    fi
    wait_for "every replica is in sync" all_in_sync
    wait_for "every Sentinel knows the group" all_known
}

# --- a cluster ---------------------------------------------------------------------------------------------------

manage() { # words…: the client's own tool for clusters
    client "$MOVE_S" "$ADDRESS" "$PORT" --cluster "$@" <"$PLACE/manager.password"
}
must() { # words…: the tool's word is shown only if it fails
    manage "$@" >"$TROUBLE" 2>&1 || fail "cluster $1 failed: $(tail -n 20 "$TROUBLE")"
}

members() { # one line each: id address ("-" for one that another has taken the address of) flags master link slots
    at_node "$SEED" CLUSTER NODES | awk '{
        address = $2; sub(/@.*/, "", address); sub(/:[0-9]+$/, "", address); if (address == "") address = "-"
        slots = 0
        for (i = 9; i <= NF; i++) if ($i !~ /^\[/) { n = split($i, range, "-"); slots += n > 1 ? range[2] - range[1] + 1 : 1 }
        print $1, address, $3, $4, $8, slots
    }'
}
# Dead is whom the members agree on; "fail?" is one node's opinion, which a busy moment makes and the next one takes back.
who() { # awk-condition over id, address, flags, master, link, slots, stays, dead, replica; what to print
    members | awk -v nodes=" $NODES " '{
        id = $1; address = $2; flags = $3; master = $4; link = $5; slots = $6
        stays = index(nodes, " " address " "); dead = flags ~ /,fail(,|$)/; replica = flags ~ /slave/
        if ('"$1"') print '"$2"'
    }'
}
id_of() { who "address == \"$1\"" id; }
in_order() { # addresses on standard input, in the order in which the group lists its nodes
    io_all=" $(tr '\n' ' ')"
    for io_node in $NODES; do case $io_all in *" $io_node "*) printf '%s\n' "$io_node" ;; esac; done
}

agreed() { # everybody knows everybody who stays, and nobody is just changing
    for ag_node in $NODES; do
        ag_known=$(at_node "$ag_node" CLUSTER NODES 2>/dev/null) || { echo "$ag_node does not answer" && return 1; }
        # A node that has just joined takes no keys for the first two seconds.
        at_node "$ag_node" CLUSTER INFO | field cluster_state | grep -qx ok || { echo "$ag_node sees the cluster down" && return 1; }
        for ag_other in $NODES; do
            ag_flags=$(printf '%s\n' "$ag_known" | grep -F " $ag_other:$PORT@" | cut -d ' ' -f 3)
            case $ag_flags in
            "" | *handshake*) echo "$ag_node does not know $ag_other" && return 1 ;;
            *,fail*) echo "$ag_node does not reach $ag_other on the bus" && return 1 ;;
            esac
        done
    done
    one_mind
}
taken_in() { # address: the next one can be added only when all who are known agree
    [ -n "$(who "address == \"$1\" && flags !~ /handshake/" id)" ] || { echo "$1 is not known yet" && return 1; }
    one_mind
}
one_mind() { # of those who are in it so far
    om_says=$(manage check "$SEED:$PORT" 2>&1) || :
    printf '%s\n' "$om_says" | grep -q '^\[OK\] All nodes agree' || { printf '%s\n' "$om_says" | tail -n 5 && return 1; }
}
well() {
    for we_node in $NODES; do
        we_info=$(at_node "$we_node" CLUSTER INFO 2>/dev/null)
        # shellcheck disable=SC2086
        we_want="ok $(count $NODES)"
        we_has="$(printf '%s' "$we_info" | field cluster_state) $(printf '%s' "$we_info" | field cluster_known_nodes)"
        [ "$we_has" = "$we_want" ] || { echo "$we_node has state and members '$we_has', not '$we_want'" && return 1; }
        ! at_node "$we_node" INFO replication | field master_link_status | grep -qx down ||
            { echo "$we_node is not in sync with its master" && return 1; }
    done
    we_masters=$(who 'stays && slots' id | grep -c .)
    [ "$we_masters" = "$(wanted_masters)" ] || { echo "$we_masters masters have slots, not $(wanted_masters)" && return 1; }
    manage check "$SEED:$PORT" 2>&1 | grep -q '^\[OK\] All 16384 slots covered' || { echo "not all slots are covered" && return 1; }
}

found() { # a member that knows others, or nothing before there is a cluster
    for fo_node in $NODES; do
        [ "$(at_node "$fo_node" CLUSTER INFO | field cluster_known_nodes)" = 1 ] || { echo "$fo_node" && return 0; }
    done
}
create() {
    cr_all=
    for cr_node in $NODES; do cr_all="$cr_all $cr_node:$PORT"; done
    # shellcheck disable=SC2086
    must create $cr_all --cluster-replicas "$REPLICAS" --cluster-yes
    SEED=$ADDRESS
}

join() {
    for jo_node in $NODES; do
        # Who had the address before, if that is another one, is gone with its data: this is an empty machine.
        jo_id=$(at_node "$jo_node" CLUSTER MYID)
        for jo_former in $(who "address == \"$jo_node\" && id != \"$jo_id\"" id); do
            wait_for "a replica takes over from what $jo_node was" has_no_slots "$jo_former"
            forget "$jo_former"
        done
        [ -z "$(id_of "$jo_node")" ] || continue
        [ "$(at_node "$jo_node" DBSIZE)" = 0 ] ||
            fail "$jo_node has data of its own, from before it was lost: stop its server, remove $DATA there, and \`up\` again"
        must add-node "$jo_node:$PORT" "$SEED:$PORT"
        wait_for "$jo_node is taken in" taken_in "$jo_node"
    done
    wait_for "everybody knows everybody" agreed
}

has_no_slots() { # id
    [ -z "$(who "slots && id == \"$1\"" id)" ] || { echo "$1 has slots, and no replica took them over" && return 1; }
}
forget() { # id
    for fg_node in $NODES; do at_node "$fg_node" CLUSTER FORGET "$1" >/dev/null; done
}

heirs_take_over() { # what leaves and has a replica that stays hands over to it: no slot has to move
    who 'slots && !stays && !dead' id | while IFS= read -r he_id; do
        he_heir=$(who "stays && replica && master == \"$he_id\" && link == \"connected\"" address | head -n 1)
        [ -z "$he_heir" ] || at_node "$he_heir" CLUSTER FAILOVER >/dev/null
    done
    wait_for "replicas take over from those that leave" no_heirs_left
}
no_heirs_left() {
    for nh_id in $(who 'slots && !stays' id); do
        [ -z "$(who "stays && replica && master == \"$nh_id\"" id)" ] || { echo "$nh_id has a replica that did not take over" && return 1; }
    done
}

wanted_masters() {
    # shellcheck disable=SC2086
    echo $(($(count $NODES) / (1 + REPLICAS)))
}
masters() { # who is to have slots: those that have some, then new ones
    {
        who 'stays && !dead && slots' address | in_order
        who 'stays && !dead && !slots && !replica' address | in_order
        who 'stays && !dead && replica' address | in_order
    } | head -n "$(wanted_masters)"
}

free_masters() { # a replica that is to be a master has to leave and to come anew
    for fr_node in $(masters); do
        fr_id=$(who "address == \"$fr_node\" && replica" id)
        [ "$fr_id" ] || continue
        must del-node "$SEED:$PORT" "$fr_id"
        # Whom they have just forgotten they do not take in for a minute, but this is somebody new.
        at_node "$fr_node" CLUSTER RESET HARD >/dev/null
        must add-node "$fr_node:$PORT" "$SEED:$PORT"
        wait_for "$fr_node is a master" agreed
    done
}

move_slots() {
    mo_masters=" $(masters | tr '\n' ' ')"
    mo_weights=$(who "(slots || !replica) && !dead && !index(\"$mo_masters\", \" \" address \" \")" 'id "=0"' | tr '\n' ' ')
    mo_empty=
    for mo_node in $mo_masters; do mo_empty=$mo_empty$(who "address == \"$mo_node\" && !slots" id); done
    [ "$mo_empty" ] || [ -n "$(who "slots && !index(\"$mo_masters\", \" \" address \" \")" id)" ] || return 0
    # shellcheck disable=SC2086 # words
    must rebalance "$SEED:$PORT" --cluster-use-empty-masters ${mo_weights:+--cluster-weight $mo_weights}
}

spread_replicas() {
    sp_masters=$(masters)
    for sp_node in $NODES; do
        # shellcheck disable=SC2086
        ! among "$sp_node" $sp_masters || continue
        sp_line=$(who "address == \"$sp_node\"" 'id, replica ? master : "-"')
        sp_here=$(printf '%s\n' "$sp_line" | cut -d ' ' -f 2)
        sp_siblings=$(who "replica && stays && master == \"$sp_here\"" id | grep -c .) || :
        [ "$sp_here" = - ] || ! is_master "$sp_here" || [ "$sp_siblings" -gt "$REPLICAS" ] || continue
        sp_to=$(for sp_master in $sp_masters; do
            sp_id=$(id_of "$sp_master")
            printf '%s %s\n' "$(who "replica && stays && master == \"$sp_id\"" id | grep -c .)" "$sp_id"
        done | sort -n | head -n 1 | cut -d ' ' -f 2)
        sp_answer=$(at_node "$sp_node" CLUSTER REPLICATE "$sp_to")
        [ "$sp_answer" = OK ] || fail "$sp_node cannot become a replica: $sp_answer"
        wait_for "$sp_node is a replica" agreed
    done
}
is_master() { # id
    # shellcheck disable=SC2086
    among "$(who "id == \"$1\"" address)" $sp_masters
}

no_rewrite() { # address
    ! at_node "$1" INFO persistence | grep -q '^aof_rewrite_[a-z_]*:1' || { echo "it still writes" && return 1; }
}
leave_cluster() {
    [ -z "$(who 'slots && !stays' address)" ] || fail "slots are left on $(who 'slots && !stays' address | tr '\n' ' ')"
    who '!stays' 'id, address' | while read -r le_id le_address; do
        if at_node "$le_address" PING 2>/dev/null | grep -qx PONG; then
            must del-node "$SEED:$PORT" "$le_id"
            # Its keys have moved away, or another node has them: a copy that grows old is of no use to anyone. A rewrite of
            # the append-only file that began before would bring them back.
            wait_for "$le_address has written its append-only file anew" no_rewrite "$le_address"
            le_answer=$(at_node "$le_address" FLUSHALL)
            [ "$le_answer" = OK ] || fail "$le_address cannot be emptied: $le_answer"
            at_node "$le_address" CLUSTER RESET HARD >/dev/null
        else
            forget "$le_id"
        fi
    done
}

settle_cluster() {
    # shellcheck disable=SC2086
    wait_for "the servers answer" all_answer $NODES
    SEED=$(found)
    if [ -z "$SEED" ]; then
        create
    else
        join
        heirs_take_over
        # From here on nodes may leave and come anew: the one to ask is one that keeps its slots.
        SEED=$(who 'stays && slots && !dead' address | head -n 1)
        [ "$SEED" ] || fail "no node that stays has slots"
        free_masters
        spread_replicas
        move_slots
        leave_cluster
    fi
    wait_for "the cluster is well" well
}

case "${1:-}:$TOPOLOGY" in
settle:sentinel) settle_sentinel ;;
settle:cluster) settle_cluster ;;
*) fail "usage: group settle" ;;
esac
