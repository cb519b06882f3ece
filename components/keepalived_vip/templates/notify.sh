#!/bin/sh
# Hands keepalived's events to a command, one at a time and in their order: notify SECONDS COMMAND… FIFO
set -u
# keepalived ends this by SIGTERM, at a stop and at a reload. What it wrote before is still handed over: then it closes
# the FIFO, and that is the end.
trap : TERM

limit=$1
shift
left=$(($# - 1))
while [ "$left" -gt 0 ]; do # the last word comes first
    set -- "$@" "$1"
    shift
    left=$((left - 1))
done
exec 8<"$1"
shift
# After a reload the next one waits until the former has handed over everything.
exec 9</run/keepalived
flock 9

while :; do
    read -r kind name state priority <&8
    case $? in
    0) ;;
    1) exit 0 ;;
    *) continue ;; # a signal
    esac
    name=${name#\"}
    name=${name%\"}
    timeout -k 5 "$limit" "$@" "$kind" "$name" "$state" "$priority" </dev/null 8<&- 9<&- ||
        logger -t keepalived-notify -- "$1 ended with $? at $kind $name $state"
done
