#!/bin/bash
# Tells the application where its cache is, by the vendor's script: configure.sh SCRIPT SECONDS ARGUMENT…
#
# The two passwords come by standard input, after a line "secrets" (what is before it was for sudo). The script takes
# them as arguments only, so it is sourced and not started: its parameters then stand in no process's argument list.
# What it prints is kept nowhere; if it fails, the end of it is shown, without the passwords.
set -u

readonly SCRIPT=$1 LIMIT=$2
shift 2

line=
until [ "$line" = secrets ]; do IFS= read -r line || exit 66; done
IFS= read -r administrator
IFS= read -r cache

# shellcheck disable=SC2016 # the inner shell's parameters
source_it='IFS= read -r administrator && IFS= read -r cache || exit 66
set -- "$@" -ic_p "$administrator" -pw "$cache"
unset administrator cache
. "$0" </dev/null'

status=0
said=$(printf '%s\n' "$administrator" "$cache" | timeout -k 10 "$LIMIT" bash -c "$source_it" "$SCRIPT" "$@" 2>&1) ||
    status=$?
[ "$status" != 0 ] || exit 0

said=${said//"$administrator"/[secret]}
printf '%s\n' "${said//"$cache"/[secret]}" | tail -n 20 >&2
case $status in
124 | 137) echo "$SCRIPT was ended: it took longer than $LIMIT s" >&2 ;;
*) echo "$SCRIPT failed with exit code $status" >&2 ;;
esac
exit "$status"
