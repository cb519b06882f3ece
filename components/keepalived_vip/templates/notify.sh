#!/bin/sh
# Hands keepalived's events to a command, one at a time and in their order: notify SECONDS COMMAND… FIFO
set -u
# At a stop and at a reload keepalived and systemd send SIGTERM. What keepalived wrote before is still handed over: it
# closes the FIFO, and that is the end. Calls are not cut short by it either, only by their own limit.
trap '' TERM

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

while read -r kind name state priority <&8; do
    name=${name#\"}
    name=${name%\"}
    timeout -s KILL "$limit" "$@" "$kind" "$name" "$state" "$priority" </dev/null 8<&- 9<&- ||
        logger -t keepalived-notify -- "$1 ended with $? at $kind $name $state"
done
