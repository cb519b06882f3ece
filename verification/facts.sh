#!/bin/sh
# Tells what a host really has: everything that verification asks of it, in one round trip. It reads and changes nothing;
# it runs as root, since only root sees the names of all processes and the checksums of secret files.
#
# Standard input: after a line "ask" (a password that sudo did not want may stand before it) one question a line,
# KIND<tab>ARGUMENT…:
#   file PATH   stat and checksum            unit NAME      what systemd knows of it, and its files' texts
#   text PATH   its text                     account USER   shell, and how its password field begins
#   folder PATH stat and names in it         sshd USER ADDRESS   what sshd would apply to that user from there
#   sessions SOCKET   sessions of an HAProxy
#   table FILE  how the kernel's table differs from what this file of nft would make
#   member COMMAND    how a member of a group of servers is, as its own command says
#   keepalived SCRIPT what the running keepalived was told and thinks, as JSON
# Listeners, connections and addresses are told unasked.
#
# Standard output: sections "#=KIND<tab>ARGUMENT…", lines, "#?STATUS"; the last one is "#=end".
set -u
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

LIMIT=10         # seconds for each command
SETTLE=12        # seconds that units have to come to rest
YOUNG=5          # seconds after a restart before a unit is taken to stay
LONGEST=262144   # bytes of a text
TAB=$(printf '\t')

until [ "${line:-}" = ask ]; do IFS= read -r line || exit 66; done
questions=$(cat)

asked() { printf '%s\n' "$questions" | sed -n "s/^$1$TAB//p" | sort -u; } # kind
begin() { printf '#=%s\n' "$1"; }
end() { printf '\n#?%s\n' "$1"; }
limited() { timeout -k 2 "$LIMIT" "$@"; }
tell() { # header command…
    begin "$1"
    shift
    limited "$@" </dev/null 2>&1
    end $?
}
each() { # command…: with all paths on standard input
    tr '\n' '\0' | limited xargs -0 -r "$@"
}

# Whether no unit is just changing: starting, going to be restarted, or restarted a moment ago; or a tunnel that is up
# and whose first probe has not come through, or whose far side is away.
at_rest() { # what systemctl showed, on standard input
    awk -F = -v now="$(cut -d ' ' -f 1 /proc/uptime)" -v young="$YOUNG" '
        { value = substr($0, index($0, "=") + 1) }
        $1 == "ActiveState" && value ~ /ing$/ { changing = 1 }
        $1 == "NRestarts" { restarts = value }
        $1 == "StatusText" && value ~ /^(up|waiting)/ && value != "up, traffic passes" { changing = 1 }
        $1 == "ActiveEnterTimestampMonotonic" { age = now - value / 1000000 }
        $0 == "" { judge() }
        END { judge(); exit restless }
        function judge() {
            if (changing || (restarts > 0 && age >= 0 && age < young)) restless = 1
            changing = restarts = age = 0
        }
    '
}

units() { # units…
    [ $# -gt 0 ] || return 0
    properties=Names,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,StatusText
    properties=$properties,ActiveEnterTimestampMonotonic,FragmentPath,DropInPaths
    give_up=$(($(date +%s) + SETTLE))
    while :; do
        status=0
        shown=$(limited systemctl show -p "$properties" -- "$@" 2>&1) || status=$?
        if printf '%s\n' "$shown" | at_rest || [ "$(date +%s)" -ge "$give_up" ]; then break; fi
        sleep 0.5
    done
    begin units
    printf '%s\n' "$shown"
    end "$status"
    begin clock
    cut -d ' ' -f 1 /proc/uptime
    end $?
}

texts() { # paths on standard input
    begin texts
    while IFS= read -r path; do
        if [ -f "$path" ]; then
            printf '%s\t' "$path"
            head -c "$LONGEST" -- "$path" | base64 -w 0
            printf '\n'
        fi
    done
    end 0
}

# A network namespace of its own is where the file is tried out. "+": only the kernel has it; "-": only the file.
# shellcheck disable=SC2016 # for the inner shell
TABLE_DIFFERENCE='
shown="nft --stateless list table inet sealed_data_tier"
want=$(unshare --net sh -c "nft -f \"\$1\" && $shown" - "$1") || exit
have=$($shown 2>/dev/null)
[ "$want" != "$have" ] || exit 0
[ "$have" ] || { echo "- the whole table"; exit 0; }
printf "%s\n" "$have" | grep -Fxv -e "$want" | sed "s/^/+ /"
printf "%s\n" "$want" | grep -Fxv -e "$have" | sed "s/^/- /"
[ "$(printf "%s\n" "$have" | sort)" != "$(printf "%s\n" "$want" | sort)" ] || echo "+ another order of its rules"
'

# First of all, since it waits: what is looked at afterwards is what a host has while it is at rest.
shown=
# shellcheck disable=SC2046 # unit names hold no blanks
units $(asked unit)

tell listeners ss -Hltunp
tell connections ss -Htn state established
tell addresses ip -o address show

begin stats
{ asked file && asked folder; } | each stat -c "%n$TAB%F$TAB%a$TAB%U:%G" -- 2>/dev/null
end 0
begin sums
asked file | each sha256sum -- 2>/dev/null
end 0
begin names
asked folder | each sh -c "find \"\$@\" -mindepth 1 -maxdepth 1" - 2>/dev/null
end 0

unit_files() { printf '%s\n' "$shown" | sed -n 's/^FragmentPath=//p; s/^DropInPaths=//p' | tr ' ' '\n'; }
{ asked text && unit_files; } | sed '/^$/d' | sort -u | texts

begin accounts
asked account | while IFS= read -r user; do
    shell=$(getent passwd "$user" | cut -d : -f 7)
    printf '%s\t%s\t%s\n' "$user" "$shell" "$(getent shadow "$user" | awk -F : '{ print substr($2, 1, 1) }')"
done
end 0
asked sshd | while IFS="$TAB" read -r user address; do
    tell "sshd$TAB$user$TAB$address" /usr/sbin/sshd -T -C "user=$user,host=client,addr=$address"
done
asked sessions | while IFS= read -r socket; do
    begin "sessions$TAB$socket"
    printf 'show sess\n' | limited socat -t 5 - "UNIX-CONNECT:$socket" 2>&1
    end $?
done
asked table | while IFS= read -r path; do
    tell "table$TAB$path" sh -c "$TABLE_DIFFERENCE" - "$path"
done
asked member | while IFS= read -r command; do
    tell "member$TAB$command" "$command" status
done
asked keepalived | while IFS= read -r script; do
    tell "keepalived$TAB$script" "$script" state
done
begin end
