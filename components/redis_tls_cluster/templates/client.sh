# shellcheck shell=sh
# How the scripts beside this one ask servers and Sentinels. They source it, and with it what they know of the group.
#
# Passwords go to the client's standard input, never into its arguments or its environment.
set -eu
umask 077
LC_ALL=C
export LC_ALL

# shellcheck source=/dev/null # written by the same role
. "${0%/*}/node.env"

ANSWER_S=2         # for one answer
CLIENT=$TLS/client # certificates to show

note() { printf '%s\n' "$*" >&2; }
fail() {
    note "$*"
    exit 1
}
until_() { # seconds words…: repeats a command until it succeeds
    un_end=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$un_end" ] || return 1
        sleep 0.1
    done
}

client() { # seconds address port words…: the password comes first on standard input
    cl_seconds=$1 cl_address=$2 cl_port=$3
    shift 3
    timeout "$cl_seconds" "$FLAVOUR-cli" --no-auth-warning --user manager --askpass --tls \
        --cacert "$CLIENT/root.crt" --cert "$CLIENT/client.crt" --key "$CLIENT/client.key" \
        -h "$cl_address" -p "$cl_port" "$@"
}
ask_at() { # address port words…
    client "$ANSWER_S" "$@" <"$PLACE/manager.password"
}
ask() { ask_at "$ADDRESS" "$PORT" "$@"; }
sentinel() { # address words…
    se_address=$1
    shift
    ask_at "$se_address" "$SENTINEL_PORT" SENTINEL "$@"
}
field() { tr -d '\r' | sed -n "s/^$1://p"; } # name: of what INFO says

primary_of() { # sentinel
    po_answer=$(sentinel "$1" get-master-addr-by-name "$GROUP" 2>/dev/null | head -n 1)
    case $po_answer in "" | *[!0-9A-Za-z.:-]*) return 1 ;; esac # neither an address nor a name, but an error
    printf '%s\n' "$po_answer"
}
current_primary() { # as the first Sentinel says that answers
    for cp_sentinel in $SENTINELS; do
        ! primary_of "$cp_sentinel" || return 0
    done
    return 1
}

count() { printf '%s\n' "$#"; }
value() { awk -v key="$1" '$0 == key { getline; print; exit }'; } # key: of an answer with a key a line and its value below
knows_all() { # sentinel
    ka_says=$(sentinel "$1" master "$GROUP" 2>/dev/null)
    # shellcheck disable=SC2086
    ka_want="$(($(count $SENTINELS) - 1)) $(($(count $NODES) - 1)) master"
    ka_has="$(printf '%s\n' "$ka_says" | value num-other-sentinels) $(printf '%s\n' "$ka_says" | value num-slaves) $(printf '%s\n' "$ka_says" | value flags)"
    [ "$ka_has" = "$ka_want" ] || {
        echo "the Sentinel on $1 has other Sentinels, replicas and state '$ka_has', not '$ka_want'"
        return 1
    }
}
