#!/bin/sh
# Takes leave of a host: runs the runtime's delete-all there. Runs on the deploying machine, when the host itself leaves
# the stack. A host that is gone, or that is another one now (its key has changed), must not stop a destroy: then
# nothing is done, and that is said. A host that answers and cannot restore itself does stop it.
#
# Standard input: address, port, user, host key, base64 private key ("-": the agent's), sudo password ("-": none), and
# after a line "bastion" the first five again for the hop. Keys and passwords stay in memory: agent and pipes.
# shellcheck disable=SC2034,SC2154 # read_end sets host_… and bastion_… by name
set -eu
umask 077
RUNTIME=/usr/local/lib/sealed-data-tier/runtime

read_end() { # prefix
    for re_field in address port user host_key private_key; do
        IFS= read -r re_value
        eval "$1_$re_field=\$re_value"
    done
}
load_key() { [ "$1" = - ] || printf '%s\n' "$1" | base64 -d | ssh-add -q - 2>/dev/null; }
pin() { printf '[%s]:%s %s\n%s %s\n' "$1" "$2" "$3" "$1" "$3" >>"$directory/known_hosts"; }

read_end host
IFS= read -r sudo_password
bastion=
! IFS= read -r bastion || [ "$bastion" != bastion ] || read_end bastion

directory=$(mktemp -d)
agent_pid=
# shellcheck disable=SC2329 # called by the trap
leave() {
    rm -rf -- "$directory"
    [ -z "$agent_pid" ] || kill "$agent_pid" 2>/dev/null || :
}
trap leave EXIT

if [ "$host_private_key" != - ]; then
    eval "$(ssh-agent -s)" >/dev/null
    agent_pid=$SSH_AGENT_PID
    load_key "$host_private_key"
fi
pin "$host_address" "$host_port" "$host_host_key"

set -- -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$directory/known_hosts" \
    -o GlobalKnownHostsFile=/dev/null -o HostKeyAlgorithms=ssh-ed25519 -o ConnectTimeout=15 \
    -o ServerAliveInterval=15 -o ServerAliveCountMax=4
if [ "$bastion" = bastion ]; then
    pin "$bastion_address" "$bastion_port" "$bastion_host_key"
    load_key "$bastion_private_key"
    hop="ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=$directory/known_hosts"
    hop="$hop -o GlobalKnownHostsFile=/dev/null -o HostKeyAlgorithms=ssh-ed25519 -o ConnectTimeout=15"
    set -- "$@" -o "ProxyCommand=$hop -p $bastion_port -W [%h]:%p $bastion_user@$bastion_address"
fi

ask=
[ "$sudo_password" = - ] || ask=-S
status=0
printf '%s\n' "$sudo_password" |
    ssh "$@" -p "$host_port" -- "$host_user@$host_address" \
        "[ ! -x $RUNTIME ] || exec timeout 900 $RUNTIME $ask delete-all" || status=$?
[ "$status" != 255 ] || {
    printf '%s: cannot be reached under its pinned key; it is left as it is\n' "$host_address" >&2
    status=0
}
exit "$status"
