#!/bin/sh
# One member of etcd under systemd:
#
#   member prepare   before it starts: how it begins, with the others anew or in a cluster that is there
#   member settled   exit code 0 once it is healthy, or waits for the others as the first one
#   member access    who may do what; logins with passwords on standard input, after whatever sudo needed
#   member lead      on the witness, for as long as it runs: etcd's leader comes here once everybody is at ease
#   member status    how it is, for whoever verifies: a line each, "+ what is well" or "- what is not"
#   member upgrade PACKAGE…   newer versions of these, and a restart of this member, which the other two must be there for
set -eu
umask 077
LC_ALL=C
export LC_ALL

# shellcheck source=/dev/null # written by the same role
. "${0%/*}/member.env"

ANSWER_S=5  # for one answer
ACCESS_S=60 # for the members to agree, before anybody is let in, and for whoever else installs packages
EASE_S=30   # for which all members have to be well before etcd's leader is moved
ROUND_S=10  # between two looks at that
FIRST=$RUN/first

note() { printf '%s\n' "$*" >&2; }
fail() {
    note "$*"
    exit 1
}

control() { # endpoints words…: as root, whose name is in the certificate
    co_endpoints=$1
    shift
    ETCDCTL_API=3 timeout "$((ANSWER_S + 2))" etcdctl --endpoints "$co_endpoints" --command-timeout "${ANSWER_S}s" \
        --dial-timeout "${ANSWER_S}s" --cacert "$TLS/root.crt" --cert "$TLS/administrator.crt" \
        --key "$TLS/administrator.key" "$@"
}
here() { control "$CLIENT_URL" "$@"; }
healthy() { here endpoint health >/dev/null 2>&1; }

among_others() { # words…: as the first one of them says that answers; a wrong answer is one too
    for ao_url in $OTHERS; do
        ! control "$ao_url" endpoint health >/dev/null 2>&1 || { control "$ao_url" "$@" && return 0; }
    done
    return 1
}
knock() { # url: "nobody" if its host says that nothing listens, "silence" if it says nothing, "somebody" otherwise
    kn_status=0
    curl --silent --insecure --max-time "$ANSWER_S" --output /dev/null "$1" || kn_status=$?
    case $kn_status in
    7) echo nobody ;;
    28) echo silence ;;
    *) echo somebody ;;
    esac
}
nobody_there() {
    for nt_url in $PEERS; do [ "$(knock "$nt_url")" = nobody ] || return 1; done
}
has_lived() { # url: whether that member has ever been told anything; it knows even where it finds no majority
    hl_revision=$(control "$1" endpoint status --write-out fields 2>/dev/null | awk -F ' : ' '$1 == "\"Revision\"" { print $2; exit }')
    [ "${hl_revision:-0}" -gt 1 ]
}

begin() { # new | existing
    printf 'ETCD_INITIAL_CLUSTER_STATE=%s\nETCD_INITIAL_CLUSTER="%s"\n' "$1" "$CLUSTER" >"$RUN/state.env.new"
    mv -f "$RUN/state.env.new" "$RUN/state.env"
}
prepare() {
    mkdir -p "$RUN"
    chmod 0755 "$RUN"
    # The account may have come anew, with another number, after the data had been kept.
    [ "$(stat -c %U "$DATA")" = etcd ] || chown -R etcd:etcd "$DATA"
    [ ! -d "$DATA/member" ] || {
        begin existing
        return 0
    }
    if pr_members=$(among_others member list); then
        rejoin "$pr_members"
        begin existing
    else
        # A member that comes back empty and votes could undo what the others have decided: it begins a cluster only with
        # others that are as new.
        pr_first=yes
        for pr_url in $PEERS; do # where a member answers even while it waits for others
            case $(knock "$pr_url") in
            silence) fail "$pr_url does not answer: it cannot be told whether there is a cluster already" ;;
            somebody) pr_first= ;;
            esac
        done
        [ "$pr_first" ] || for pr_url in $OTHERS; do
            ! has_lived "$pr_url" || fail "$pr_url is a member of a cluster without a majority: bring its others back first"
        done
        [ -z "$pr_first" ] || : >"$FIRST"
        begin new
    fi
}
rejoin() { # members: this one has lost its data, and is taken in anew
    # ID, started or unstarted, name, peer URLs, client URLs, learner
    rj_line=$(printf '%s\n' "$1" | awk -F ', ' -v url="$PEER_URL" '$4 == url { print $1, $2; exit }')
    case $rj_line in
    *' unstarted') ;;
    '')
        # One whose place this one takes would stay as a fourth vote, and then the loss of one more host is that of all.
        printf '%s\n' "$1" |
            awk -F ', ' -v peers=" $PEERS " -v cluster=",$CLUSTER" -v own="$NAME" '
                !index(peers, " " $4 " ") && ($3 == own || !index(cluster, "," $3 "=")) { print $1, $3 }' |
            while read -r rj_id rj_name; do
                note "taking $rj_name out of etcd: it is no member of the pair any more"
                among_others member remove "$rj_id" >/dev/null </dev/null
            done
        among_others member add "$NAME" --peer-urls "$PEER_URL" >/dev/null
        ;;
    *)
        note "taking $NAME out of etcd and in again: its data is gone"
        among_others member remove "${rj_line%% *}" >/dev/null
        among_others member add "$NAME" --peer-urls "$PEER_URL" >/dev/null
        ;;
    esac
}

settled() {
    if healthy; then
        rm -f "$FIRST"
    else
        if [ ! -f "$FIRST" ] || ! nobody_there; then fail "not healthy: $(here endpoint health 2>&1 | tail -n 3)"; fi
    fi
}

has() { printf '%s\n' "$1" | grep -Fqx -e "$2"; } # list line
until_healthy() {
    uh_end=$(($(date +%s) + ACCESS_S))
    until healthy; do
        [ "$(date +%s)" -lt "$uh_end" ] || fail "etcd is not healthy within $ACCESS_S s: $(here endpoint health 2>&1 | tail -n 3)"
        sleep 0.2
    done
}
access() { # never a password in an argument: etcdctl reads it from its standard input
    until_healthy
    ac_roles=$(here role list)
    has "$ac_roles" patroni || here role add patroni >/dev/null
    here role grant-permission patroni --prefix=true readwrite "/service/$SCOPE/" >/dev/null
    ac_users=$(here user list)
    # root is whoever has its certificate; it has no password.
    has "$ac_users" root || here user add root --no-password >/dev/null
    ac_wanted=root
    while read -r ac_word ac_login ac_password; do
        [ "$ac_word" = login ] || continue
        if has "$ac_users" "$ac_login"; then
            printf '%s\n' "$ac_password" | here user passwd "$ac_login" --interactive=false >/dev/null
        else
            printf '%s\n' "$ac_password" | here user add "$ac_login" --interactive=false >/dev/null
        fi
        here user grant-role "$ac_login" patroni >/dev/null
        ac_wanted="$ac_wanted $ac_login"
    done
    for ac_user in $ac_users; do
        case " $ac_wanted " in
        *" $ac_user "*) ;;
        *) here user delete "$ac_user" >/dev/null ;;
        esac
    done
    here auth enable >/dev/null
}

leader_of() { # status of members, one a line: who leads, if they all know the same one, and nothing otherwise
    # Endpoint, ID, version, size, whether it leads, learner, term, index, applied index, errors
    printf '%s\n' "$1" | awk -F ', ' '
        $5 == "true" { leader = $2; leaders++ }
        { terms[$7] = 1; members++ }
        END { for (term in terms) seen++; if (members == 3 && leaders == 1 && seen == 1) print leader }'
}
lead() {
    # A server's host that has etcd's leader takes it along when it is lost: the others elect first, the lock's time begins
    # anew, and writes that wait for a lost standby wait for that too. The witness has no server that could be lost with it.
    le_since=
    while sleep "$ROUND_S"; do
        le_own=$(here endpoint status 2>/dev/null) || le_own=
        case $le_own in *', true, false, '*)
            le_since=
            continue
            ;;
        esac
        # A move lets the lock's time begin anew as well, so nobody may be gone meanwhile.
        if le_all=$(control "$CLIENT_URL,$(printf '%s' "$OTHERS" | tr ' ' ',')" endpoint status 2>/dev/null) &&
            le_leader=$(leader_of "$le_all") && [ "$le_leader" ]; then
            le_now=$(date +%s)
            : "${le_since:=$le_now}"
            [ $((le_now - le_since)) -ge "$EASE_S" ] || continue
            le_url=$(printf '%s\n' "$le_all" | awk -F ', ' -v leader="$le_leader" '$2 == leader { print $1 }')
            le_here=$(printf '%s\n' "$le_own" | awk -F ', ' '{ print $2; exit }')
            ! control "$le_url" move-leader "$le_here" >/dev/null || note "etcd's leader came from $le_url"
        fi
        le_since=
    done
}

upgrade() { # packages…
    for up_url in $CLIENT_URL $OTHERS; do
        control "$up_url" endpoint health >/dev/null 2>&1 ||
            fail "$up_url is not healthy, and without it a restart here leaves etcd no majority: bring it back first"
    done
    umask 022 # what a package's scripts make is for everybody
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    apt-get -qq update
    apt-get -qq -y -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout="$ACCESS_S" install --only-upgrade "$@"
    systemctl restart etcd.service
    until_healthy
}

status() {
    if healthy; then echo "+ member of etcd"; else echo "- etcd is not healthy"; fi
    ! here --cert "$TLS/node.crt" --key "$TLS/node.key" get / --limit 1 >/dev/null 2>&1 || echo "- etcd lets in who has no login"
}

case ${1:-} in
prepare) prepare ;;
settled) settled ;;
access) access ;;
lead) lead ;;
status) status ;;
upgrade)
    shift
    upgrade "$@"
    ;;
*) fail "usage: member prepare | settled | access | lead | status | upgrade PACKAGE…" ;;
esac
