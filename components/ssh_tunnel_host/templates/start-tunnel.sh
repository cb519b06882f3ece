#!/bin/bash
# Runs one SSH tunnel and watches it: start-tunnel.sh CONFIG ALIAS PROBE INTERVAL
#
# PROBE   what is asked through the tunnel every INTERVAL seconds, since a listener alone proves nothing:
#         redis  send PING and wait for any answer ("-NOAUTH" will do)
#         tcp    connect, and see that the far side does not hang up at once
#
# Each run is one ssh with the key of the day: when ssh is gone this ends too, and systemd starts the next run.
#   ssh is frozen (a stopped process keeps its listener)      it is replaced
#   nothing came back through the tunnel for HANG_LIMIT       it is replaced
#   the far host is silent                                    ssh notices by itself (ServerAliveInterval)
#   the far host cannot be reached                            waits for its sshd to answer, active, without noise
#   the far host refuses us, or the port is taken here        the next try comes after PAUSE
#   the target hangs up                                       not the tunnel's fault: the unit's status tells
# Written by sealed-data-tier; changes are made in the stack.
set -u

readonly CONFIG=$1 ALIAS=$2 PROBE=$3 INTERVAL=$4
# In seconds.
readonly ANSWER_WITHIN=2
readonly HANG_LIMIT=30
readonly ABSENCE_LIMIT=30 # then ssh itself has another try, with what its configuration says by then
readonly PAUSE=10         # shorter, and sshd would block the whole address (PerSourcePenalties)

while read -r key value _; do
    case $key in
    hostname) FAR=$value ;;
    port) FAR_PORT=$value ;;
    localforward) HERE=${value%:*} PORT=${value##*:} ;;
    esac
done < <(ssh -F "$CONFIG" -G "$ALIAS")
HERE=${HERE#[} HERE=${HERE%]}
readonly FAR FAR_PORT HERE PORT

replace() {
    printf '%s: replacing ssh\n' "$1" >&2
    exit 1
}

pause() {
    printf '%s\n' "$1" >&2
    systemd-notify --status="$1; the next try is in $PAUSE s"
    sleep "$PAUSE"
    exit 1
}

listening() { (exec 3<>"/dev/tcp/$HERE/$PORT") 2>/dev/null; }

answers() { # whether the far host's sshd greets
    # shellcheck disable=SC2016 # the inner shell's parameters
    timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1" && read -r -n 4 -u 3 word && [ "$word" = SSH- ]' "$FAR" "$FAR_PORT"
} 2>/dev/null

ask() { # 0 carried, 1 the target hung up, 2 no answer
    local status
    exec 3<>"/dev/tcp/$HERE/$PORT" || return 2
    if [ "$PROBE" = redis ]; then
        printf 'PING\r\n' >&3
        IFS= read -r -t "$ANSWER_WITHIN" -n 1 -u 3 _
        status=$?
        ((status > 128)) && status=2
    else
        IFS= read -r -t 0.3 -n 1 -u 3 _
        status=$?
        ((status > 128)) && status=0
    fi
    exec 3>&-
    return "$status"
} 2>/dev/null

! listening || pause "$HERE:$PORT is taken by another program"

MESSAGES=$(mktemp)
ssh -F "$CONFIG" "$ALIAS" 2>"$MESSAGES" &
readonly SSH=$! MESSAGES
trap 'cat "$MESSAGES" >&2; rm -f "$MESSAGES"; kill -KILL "$SSH" 2>/dev/null' EXIT
trap 'exit 0' TERM

running() { kill -0 "$SSH" 2>/dev/null; }
frozen() { grep -q '^State:[[:space:]]*T' "/proc/$SSH/status" 2>/dev/null; }

until listening; do
    running || break
    sleep 0.1
done

if ! running; then
    if grep -Eq 'Permission denied|Host key verification failed' "$MESSAGES"; then
        pause "$FAR and this host refuse each other"
    fi
    systemd-notify --ready --status="waiting for $FAR, which does not answer"
    until answers || ((SECONDS >= ABSENCE_LIMIT)); do
        systemd-notify WATCHDOG=1
        sleep 0.5
    done
    exit 0
fi

systemd-notify --ready --status="up"
hanging=
next=0
while running; do
    ! frozen || replace "ssh is stopped"
    if ((SECONDS >= next)); then
        next=$((SECONDS + INTERVAL))
        ask
        case $? in
        0) hanging='' status="up, traffic passes" ;;
        1) hanging='' status="up, but the target hangs up" ;;
        *)
            hanging=${hanging:-$SECONDS} next=0
            status="up, but nothing has come back for $((SECONDS - hanging)) s"
            ((SECONDS - hanging < HANG_LIMIT)) || replace "nothing has come back for $HANG_LIMIT s"
            ;;
        esac
    fi
    systemd-notify WATCHDOG=1 --status="$status"
    # Ends with ssh, not a second later.
    sleep 1 &
    wait -n "$SSH" $!
done
wait "$SSH"
