#!/bin/sh
# The host runtime: one role on one host is one transaction.
#
# As anyone but root it runs itself again by sudo; with -S in front, sudo reads its password from the first line of input.
#
#   runtime install             put this script on the host, with the unit that recovers at boot
#   runtime apply ROLE          role on standard input: stage, validate, swap, reload, check; or put everything back
#   runtime delete ROLE         restore what was there before the role came
#   runtime delete-all          the same for every role, last one first, then remove the runtime itself
#   runtime recover [--boot]    put back what a transaction that was cut off left half done
#
# What makes a cut at any instruction harmless: everything that a transaction changes is first written to a journal, and
# the journal appears, whole, by one rename. A journal that is still there at the next start is rolled back before
# anything else. A role's record (roles/NAME) is swapped, whole, by renames under that same journal.
#
#   /var/lib/sealed-data-tier/
#     lock                      held for as long as a transaction runs
#     journal/                  the transaction under way: backup/ + backup.index, units, users, directories, role/
#     roles/NAME/               manifest, check-*, originals/ + originals.index, packages, users, directories, units
#
# Durability: what a rename makes visible has been fsynced before. Exit codes: 0 done, 65 refused by a validation (nothing changed), 66 bad input, 69 the host lacks something,
# 70 failed and rolled back, 71 failed and the rollback is incomplete, 75 another transaction holds the host.
set -eu
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# Units are native: without this systemctl also has update-rc.d rewrite links in /etc/rc?.d that nobody reads.
SYSTEMCTL_SKIP_SYSV=1
export LC_ALL PATH SYSTEMCTL_SKIP_SYSV
unset CDPATH IFS

FORMAT=sealed-data-tier/1
STATE=/var/lib/sealed-data-tier
LIBRARY=/usr/local/lib/sealed-data-tier
RUNTIME=$LIBRARY/runtime
RECOVERY=/etc/systemd/system/sealed-data-tier-recover.service
WORK=/run/sealed-data-tier
JOURNAL=$STATE/journal
STAGE=.sealed-data-tier    # beside each target, so that the swap is a rename within one file system
RECEIVE_LIMIT=120          # seconds for a role to arrive
LOCK_WAIT=300              # seconds to wait for another role on this host
STEP_LIMIT=90              # seconds for one systemctl call
PACKAGE_LIMIT=600          # seconds for the package manager
TAB=$(printf '\t')

password=
if [ "${1:-}" = -S ]; then
    password=yes
    shift
fi
if [ "$(id -u)" != 0 ]; then
    status=0
    # Installed, it is itself the command that a sudoers file may allow; on its way there it is no executable yet.
    if [ -x "$0" ]; then set -- "$0" "$@"; else set -- sh "$0" "$@"; fi
    if [ "$password" ]; then sudo -S -p '' -- "$@"; else sudo -n -- "$@"; fi || status=$?
    [ "$status" != 1 ] ||
        echo "sudo did not let $(id -un) in: allow it without a password, or set hosts.<name>.sudoPassword" >&2
    exit "$status"
fi

# A lost connection must not stop a transaction half-way: it goes on and finishes, or rolls back, by itself.
trap '' HUP PIPE

say() { printf '%s\n' "$*" 2>/dev/null || :; }
note() {
    printf 'sealed-data-tier: %s\n' "$*" >&2 2>/dev/null || :
    logger -t sealed-data-tier -- "$*" 2>/dev/null || :
}
die() {
    code=$1
    shift
    note "$*"
    exit "$code"
}

# --- small tools -------------------------------------------------------------------------------------------------

limited() { # seconds command…: a child never holds the lock and never reads our input
    seconds=$1
    shift
    timeout -k 5 "$seconds" "$@" </dev/null 9>&-
}
control() { limited "$STEP_LIMIT" systemctl --no-ask-password "$@"; }

lines() { # manifest kind: its lines without the first field
    sed -n "s/^$2$TAB//p" "$1/manifest"
}
listed() { [ -f "$2" ] && grep -Fxq -e "$1" "$2"; } # line file

exists() { [ -e "$1" ] || [ -L "$1" ]; }

relabel() { # SELinux: a file gets the type of its place, not of where it was staged
    ! command -v restorecon >/dev/null 2>&1 || restorecon -F "$@" 2>/dev/null || :
}

staged() { printf '%s/%s/%s' "${1%/*}" "$STAGE" "${1##*/}"; }

stage_directory() {
    sd_dir=${1%/*}/$STAGE
    [ -d "$sd_dir" ] || mkdir -m 0700 -- "$sd_dir"
}
unstage() { # paths on standard input
    while IFS= read -r un_path; do
        rm -rf -- "${un_path%/*}/${STAGE:?}"
    done
}

put() { # saved-copy target: an exact copy, swapped in atomically
    stage_directory "$2"
    put_to=$(staged "$2")
    rm -f -- "$put_to"
    cp -a -- "$1" "$put_to"
    mv -fT -- "$put_to" "$2"
    relabel "$2"
    rmdir -- "${2%/*}/$STAGE" 2>/dev/null || :
}

# Saved states of paths: an index of lines "NUMBER<tab>PATH", NUMBER being "-" for a path that was absent.
save() { # directory path
    sv_number=-
    if exists "$2"; then
        sv_number=$(awk -F '\t' 'BEGIN { n = -1 } $1 != "-" && $1 > n { n = $1 } END { print n + 1 }' "$1.index")
        cp -a -- "$2" "$1/$sv_number"
    fi
    printf '%s\t%s\n' "$sv_number" "$2" >>"$1.index"
}
saved() { cut -f2 "$1.index" | grep -Fx -e "$2" >/dev/null; } # directory path
restore() { # index directory path
    rs_number=$(awk -F '\t' -v path="$3" '$2 == path { print $1; exit }' "$1")
    if [ "$rs_number" = - ]; then
        rm -f -- "$3"
    elif [ -d "${3%/*}" ]; then # else its directory went away with a package
        put "$2/$rs_number" "$3"
    fi
}

persist() { # directories: every file and directory below reaches the disk
    find "$@" -exec sync -- {} +
}

# --- what a unit is, and making it so ----------------------------------------------------------------------------

unit_state() { # unit: "<enablement> <active|inactive>"; a unit that does not exist is "absent inactive"
    us_enabled=$(control is-enabled -- "$1" 2>/dev/null) || :
    case $us_enabled in '' | not-found) us_enabled=absent ;; esac
    case $(control show -P ActiveState -- "$1" 2>/dev/null) in
    active | reloading | activating) printf '%s active' "$us_enabled" ;;
    *) printf '%s inactive' "$us_enabled" ;;
    esac
}

tries_again() { # unit: whether systemd starts it anew by itself, so that health checks have the last word
    [ "$(control show -P ActiveState -- "$1")" = activating ]
}

return_unit() { # unit enablement activity verb: back to a state that unit_state printed
    case $2 in
    enabled) control -q enable -- "$1" || return 1 ;;
    disabled | absent) control -q disable -- "$1" 2>/dev/null || : ;;
    masked) control -q mask -- "$1" || return 1 ;;
    esac
    [ "$4" != boot ] || return 0
    if [ "$3" = active ]; then
        control "$4" -- "$1" || tries_again "$1"
    else
        control stop -- "$1" 2>/dev/null || :
        control reset-failed -- "$1" 2>/dev/null || :
    fi
}

unit_files_changed() { grep -Eq '^(/etc|/run|/usr/lib|/lib)/systemd/system(/|$)' "$1"; }

fresh_units() { ! unit_files_changed "$1" || control daemon-reload; }

# --- users and packages ------------------------------------------------------------------------------------------

# useradd keeps the file of before as passwd-, shadow-, …: an undo that leaves those behind is not byte for byte.
account() {
    ac_keep=$WORK/accounts
    rm -rf -- "$ac_keep"
    mkdir -p -- "$ac_keep"
    for ac_file in passwd group shadow gshadow subuid subgid; do
        ! exists "/etc/$ac_file-" || cp -a -- "/etc/$ac_file-" "$ac_keep/"
    done
    ac_status=0
    limited "$STEP_LIMIT" "$@" || ac_status=$?
    for ac_file in passwd group shadow gshadow subuid subgid; do
        if exists "$ac_keep/$ac_file-"; then
            cp -a -- "$ac_keep/$ac_file-" "/etc/"
        else
            rm -f -- "/etc/$ac_file-"
        fi
    done
    rm -rf -- "$ac_keep"
    return "$ac_status"
}
add_user() { # name home shell
    account useradd --system --user-group --no-create-home --home-dir "$2" --shell "$3" -- "$1"
}
drop_user() { # name: a process that it still has, such as a session from another host, keeps userdel from it
    for _ in 1 2 3 4 5; do
        du_id=$(id -u -- "$1" 2>/dev/null) || break
        ! account userdel -- "$1" 2>"$WORK/log" || break
        find /proc -maxdepth 1 -name '[0-9]*' -uid "$du_id" | while IFS= read -r du_process; do
            kill -KILL "${du_process##*/}" 2>/dev/null || :
        done
        sleep 0.2
    done
    ! getent passwd "$1" >/dev/null || note "could not remove the account $1: $(cat "$WORK/log")"
    ! getent group "$1" >/dev/null || account groupdel -- "$1" || :
}

family() {
    # shellcheck disable=SC1091 # the host's own file
    fm_ids=$(. /etc/os-release && printf '%s %s' "${ID:-}" "${ID_LIKE:-}")
    case " $fm_ids " in
    *' debian '* | *' ubuntu '*) say debian ;;
    *' rhel '* | *' fedora '* | *' centos '*) say rhel ;;
    *) say "$fm_ids" ;;
    esac
}

installed_packages() {
    case $FAMILY in
    debian) dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\n' | sed -n "s/^.i[^$TAB]*$TAB//p" | sort -u ;;
    *) rpm -qa --qf '%{NAME}\n' | sort -u ;;
    esac
}
missing_packages() { # names on standard input
    while IFS= read -r mp_name; do
        case $FAMILY in
        debian) dpkg-query -W -f '${db:Status-Abbrev}' "$mp_name" 2>/dev/null | grep -q '^.i ' || say "$mp_name" ;;
        *) rpm -q "$mp_name" >/dev/null 2>&1 || say "$mp_name" ;;
        esac
    done
}

# A package must not start its daemon with its own idea of a configuration: the role starts it, sealed.
hold_daemons() {
    exists /usr/sbin/policy-rc.d && return 0
    printf '#!/bin/sh\n# %s\nexit 101\n' "$FORMAT" >/usr/sbin/policy-rc.d
    chmod 0755 /usr/sbin/policy-rc.d
}
release_daemons() { ! grep -qs "^# $FORMAT" /usr/sbin/policy-rc.d || rm -f /usr/sbin/policy-rc.d; }

package_manager() { # install|remove names…
    pm_verb=$1
    shift
    case $FAMILY:$pm_verb in
    debian:install)
        export DEBIAN_FRONTEND=noninteractive
        [ -z "$(dpkg --audit)" ] || limited "$PACKAGE_LIMIT" dpkg --configure -a --force-confold
        limited "$PACKAGE_LIMIT" apt-get -qq -o DPkg::Lock::Timeout=120 install --no-install-recommends -y -- "$@" ||
            { limited "$PACKAGE_LIMIT" apt-get -qq -o DPkg::Lock::Timeout=120 update &&
                limited "$PACKAGE_LIMIT" apt-get -qq -o DPkg::Lock::Timeout=120 install --no-install-recommends -y -- "$@"; }
        ;;
    debian:remove) limited "$PACKAGE_LIMIT" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=120 purge -y -- "$@" ;;
    *:install) limited "$PACKAGE_LIMIT" dnf -q -y install -- "$@" ;;
    *:remove) limited "$PACKAGE_LIMIT" dnf -q -y remove -- "$@" ;;
    esac
}

# The names that an installation brings are recorded even if it is cut off: the list of before is on disk first.
settle_packages() { # record directory
    [ -f "$1/packages.before" ] || return 0
    installed_packages | comm -13 "$1/packages.before" - >>"$1/packages"
    sort -u -o "$1/packages" "$1/packages"
    rm -f -- "$1/packages.before"
}

install_packages() { # record-directory names…
    ip_record=$1
    shift
    installed_packages >"$WORK/packages.before"
    cp -- "$WORK/packages.before" "$ip_record/packages.before"
    persist "$ip_record"
    hold_daemons
    ip_status=0
    package_manager install "$@" >"$WORK/packages.log" 2>&1 || ip_status=$?
    release_daemons
    settle_packages "$ip_record"
    [ "$ip_status" = 0 ] || {
        tail -n 20 "$WORK/packages.log" >&2
        die 69 "cannot install $*: see the package manager's message above"
    }
}

remove_packages() { # file of names: those still here, and only if nothing else would go with them
    rp_file=$1
    missing_packages <"$rp_file" | sort -u >"$WORK/packages.gone"
    rp_names=$(sort -u "$rp_file" | comm -23 - "$WORK/packages.gone" | tr '\n' ' ')
    [ -n "$rp_names" ] || return 0
    if [ "$FAMILY" = debian ]; then
        # shellcheck disable=SC2086 # package names hold no blanks
        rp_others=$(apt-get -s purge $rp_names 2>/dev/null | awk '/^(Remv|Purg) / { print $2 }' | sort -u |
            comm -23 - "$rp_file" | tr '\n' ' ')
        [ -z "$rp_others" ] || {
            note "kept the packages $rp_names: ${rp_others}need them"
            return 0
        }
    fi
    # shellcheck disable=SC2086
    package_manager remove $rp_names >"$WORK/packages.log" 2>&1 || note "could not remove $rp_names"
}

# --- the journal -------------------------------------------------------------------------------------------------

lock() {
    mkdir -p -- "$STATE/roles" "$WORK"
    chmod 0700 "$STATE" "$WORK"
    exec 9>"$STATE/lock"
    flock -w "$LOCK_WAIT" 9 || die 75 "another transaction has held this host for $LOCK_WAIT s; try again when it is done"
    find "$WORK" -mindepth 1 -delete
    trap 'find "$WORK" -mindepth 1 -delete 2>/dev/null || :' EXIT # secrets are not left lying about, not even in memory
    FAMILY=$(family)
}

record_unit() { # unit file: its state, once
    ! cut -f1 "$2" | grep -Fx -e "$1" >/dev/null || return 0
    ru_state=$(unit_state "$1")
    printf '%s\t%s\t%s\n' "$1" "${ru_state% *}" "${ru_state#* }" >>"$2"
}

begin() { # role: everything that undoing needs, then one rename
    bg_new=$JOURNAL.new
    bg_record=$bg_new/role
    mkdir -- "$bg_new" "$bg_new/backup"
    if [ -d "$STATE/roles/$1" ]; then
        cp -a -- "$STATE/roles/$1" "$bg_record"
        rm -f -- "$bg_record"/manifest "$bg_record"/check-*
    else
        mkdir -- "$bg_record"
    fi
    printf '%s\n' "$1" >"$bg_new/name"
    touch -- "$bg_new/backup.index" "$bg_new/units" "$bg_record/units" "$bg_record/originals.index"
    mkdir -p -- "$bg_record/originals"
    [ -f "$bg_record/sequence" ] ||
        find "$STATE/roles" -name sequence -exec cat {} + | sort -n | awk '{ n = $1 } END { print n + 1 }' >"$bg_record/sequence"

    while IFS= read -r bg_path; do
        [ ! -d "$bg_path" ] || [ -L "$bg_path" ] || die 66 "$bg_path is a directory on this host; $1 wants a file there"
        saved "$bg_record/originals" "$bg_path" || save "$bg_record/originals" "$bg_path"
    done <"$WORK/files"
    cat "$WORK/changed" "$WORK/leaving" >"$WORK/touched"
    while IFS= read -r bg_path; do save "$bg_new/backup" "$bg_path"; done <"$WORK/touched"
    while IFS= read -r bg_unit; do
        record_unit "$bg_unit" "$bg_new/units"
        record_unit "$bg_unit" "$bg_record/units"
    done <"$WORK/units"
    while IFS= read -r bg_unit; do record_unit "$bg_unit" "$bg_new/units"; done <"$WORK/leaving-units"
    for bg_kind in users directories; do
        cp -- "$WORK/new-$bg_kind" "$bg_new/$bg_kind"
        cat -- "$WORK/new-$bg_kind" >>"$bg_record/$bg_kind"
    done

    # What the role gives up is handed back by this transaction: the record no longer speaks of it.
    for bg_file in "$WORK/role/manifest" "$WORK/role"/check-*; do [ ! -f "$bg_file" ] || cp -- "$bg_file" "$bg_record/"; done
    cp -- "$bg_record/originals.index" "$bg_new/originals.index"
    awk -F '\t' 'FILENAME == ARGV[1] { gone[$0]; next } !($2 in gone)' "$WORK/leaving" "$bg_new/originals.index" >"$bg_record/originals.index"
    cp -- "$bg_record/units" "$WORK/units.known"
    awk -F '\t' 'FILENAME == ARGV[1] { gone[$0]; next } !($1 in gone)' "$WORK/leaving-units" "$WORK/units.known" >"$bg_record/units"

    persist "$bg_new"
    mv -T -- "$bg_new" "$JOURNAL"
    sync -- "$STATE"
}

commit() { # role: from here on the transaction is only ever finished, never undone
    while IFS= read -r cm_path; do [ ! -f "$cm_path" ] || sync -- "$cm_path" "${cm_path%/*}"; done <"$WORK/touched"
    : >"$JOURNAL/committed"
    persist "$JOURNAL"
    finish "$1"
}

finish() { # role: the new record takes the old one's place; can be repeated
    cut -f2 "$JOURNAL/originals.index" "$JOURNAL/backup.index" | unstage
    if [ -d "$JOURNAL/role" ]; then
        rm -rf -- "$STATE/roles/$1"
        mv -T -- "$JOURNAL/role" "$STATE/roles/$1"
        sync -- "$STATE/roles"
    fi
    rm -rf -- "$JOURNAL"
}

concerned() { # unit: whether the transaction changed what it reads, or gave it up
    awk -F '\t' -v unit="$1" '
        FILENAME == ARGV[1] { changed[$2]; next }
        $1 == "unit" && $2 == unit { kept = 1 }
        ($1 == "reload" || $1 == "restart") && $2 == unit && $3 in changed { read = 1 }
        END { exit kept && !read }
    ' "$JOURNAL/backup.index" "$JOURNAL/role/manifest"
}

# Back to before the transaction that the journal tells of. Runs again from the start if it is itself cut off.
roll_back() { # "" | boot: at boot the units are about to start by themselves
    cut -f2 "$JOURNAL/originals.index" "$JOURNAL/backup.index" | unstage
    if [ -f "$JOURNAL/swapping" ]; then
        while IFS="$TAB" read -r rb_unit rb_enabled rb_active; do # units that came with the role stop before their files go
            [ "$rb_enabled" != absent ] || return_unit "$rb_unit" absent inactive "${1:-stop}"
        done <"$JOURNAL/units"
        cut -f2 "$JOURNAL/backup.index" >"$WORK/paths"
        while IFS= read -r rb_path; do restore "$JOURNAL/backup.index" "$JOURNAL/backup" "$rb_path"; done <"$WORK/paths"
        fresh_units "$WORK/paths"
        while IFS="$TAB" read -r rb_unit rb_enabled rb_active; do
            rb_verb=start
            ! concerned "$rb_unit" || rb_verb=reload-or-restart
            [ "$rb_enabled" = absent ] || return_unit "$rb_unit" "$rb_enabled" "$rb_active" "${1:-$rb_verb}"
        done <"$JOURNAL/units"
    fi
    sort -r "$JOURNAL/directories" | while IFS= read -r rb_path; do rmdir -- "$rb_path" 2>/dev/null || :; done
    while IFS= read -r rb_user; do drop_user "$rb_user"; done <"$JOURNAL/users"
}

# Runs a step to its end and tells how it ended. `if step` or `step ||` would switch off `set -e` inside the step.
attempt() {
    set +e
    (
        set -e
        "$@"
    )
    STATUS=$?
    set -e
}

recover() { # "" | boot
    release_daemons
    for rc_record in "$STATE"/roles/*/; do settle_packages "${rc_record%/}"; done
    rm -rf -- "$JOURNAL.new"
    [ -d "$JOURNAL" ] || return 0
    rc_role=$(cat "$JOURNAL/name")
    if [ -f "$JOURNAL/committed" ]; then
        finish "$rc_role"
        note "$rc_role: finished a transaction that was cut off after its commit"
        return 0
    fi
    note "$rc_role: rolling back a transaction that was cut off"
    attempt roll_back "$1"
    [ "$STATUS" = 0 ] || die 71 "$rc_role: the rollback is incomplete, see the message above; its copies are in $JOURNAL"
    rm -rf -- "$JOURNAL"
}

# --- apply -------------------------------------------------------------------------------------------------------

receive() { # role: header and archive from standard input; before them there may be a password that sudo did not need
    timeout "$RECEIVE_LIMIT" cat >"$WORK/input" 9>&- || die 66 "the role did not arrive within $RECEIVE_LIMIT s"
    rv_sum=$(awk -v format="$FORMAT" '$1 == format { print $2; exit }' "$WORK/input")
    [ "$rv_sum" ] || die 66 "no $FORMAT header on standard input: program and runtime do not fit each other"
    awk -v format="$FORMAT" 'body; $1 == format { body = 1 }' "$WORK/input" | base64 -d >"$WORK/bundle" 2>/dev/null ||
        die 66 "the role did not arrive whole; nothing was changed"
    rm -f -- "$WORK/input"
    [ "$(sha256sum <"$WORK/bundle")" = "$rv_sum  -" ] || die 66 "the role did not arrive whole; nothing was changed"
    mkdir -- "$WORK/role"
    tar -x -C "$WORK/role" -f "$WORK/bundle" --no-same-owner
    rm -f -- "$WORK/bundle"
    [ "$(lines "$WORK/role" role)" = "$1" ] || die 66 "the role on standard input is not $1"
    rv_family=$(lines "$WORK/role" family)
    [ "$rv_family" = "$FAMILY" ] ||
        die 69 "this host is of the family '$FAMILY', the configuration says '$rv_family': correct hosts.<name>.family"
}

plan() { # role: what is to change, as lists in $WORK
    pl_record=$STATE/roles/$1
    for pl_kind in file unit user directory; do lines "$WORK/role" "$pl_kind" >"$WORK/$pl_kind-lines"; done
    cut -f1 "$WORK/file-lines" >"$WORK/files"
    cp -- "$WORK/unit-lines" "$WORK/units"
    for pl_list in changed leaving leaving-units new-users new-directories; do : >"$WORK/$pl_list"; done
    if [ -f "$pl_record/manifest" ]; then
        lines "$pl_record" file | cut -f1 | grep -vFxf "$WORK/files" >"$WORK/leaving" || :
        lines "$pl_record" unit | grep -vFxf "$WORK/units" >"$WORK/leaving-units" || :
    fi
    for pl_other in "$STATE"/roles/*/; do
        [ -f "$pl_other/manifest" ] && [ "$pl_other" != "$pl_record/" ] || continue
        pl_clash=$(lines "${pl_other%/}" file | cut -f1 | grep -Fxf "$WORK/files" || :)
        [ -z "$pl_clash" ] || die 66 "$pl_clash belongs to the role $(basename "$pl_other") on this host"
    done
}

compare() { # role: after its packages are there
    while IFS="$TAB" read -r cp_path cp_mode cp_owner cp_group cp_content; do
        same_file "$cp_path" "$cp_mode" "$cp_owner" "$cp_group" "$WORK/role/$cp_content" ||
            printf '%s\n' "$cp_path" >>"$WORK/changed"
    done <"$WORK/file-lines"
    while IFS="$TAB" read -r cp_user _; do
        getent passwd "$cp_user" >/dev/null || printf '%s\n' "$cp_user" >>"$WORK/new-users"
    done <"$WORK/user-lines"
    while IFS="$TAB" read -r cp_path _; do
        [ -d "$cp_path" ] || printf '%s\n' "$cp_path" >>"$WORK/new-directories"
    done <"$WORK/directory-lines"
}

same_file() { # path mode owner group content
    [ -f "$1" ] && [ ! -L "$1" ] && [ "$(stat -c '%a %U %G' -- "$1")" = "$2 $3 $4" ] && cmp -s -- "$5" "$1"
}

bring_packages() { # role
    bp_missing=$(lines "$WORK/role" package | missing_packages | tr '\n' ' ')
    [ -n "$bp_missing" ] || return 0
    # Units are looked at before a package brings and enables them: "absent" is what delete has to return to.
    mkdir -p -- "$STATE/roles/$1"
    touch -- "$STATE/roles/$1/units" "$STATE/roles/$1/packages"
    while IFS= read -r bp_unit; do record_unit "$bp_unit" "$STATE/roles/$1/units"; done <"$WORK/units"
    # shellcheck disable=SC2086 # package names hold no blanks
    install_packages "$STATE/roles/$1" $bp_missing
    say "  installed $bp_missing"
}

create() { # users and directories
    while IFS="$TAB" read -r cr_user cr_home cr_shell; do
        ! listed "$cr_user" "$WORK/new-users" || add_user "$cr_user" "$cr_home" "$cr_shell"
    done <"$WORK/user-lines"
    while IFS="$TAB" read -r cr_path cr_mode cr_owner cr_group; do
        listed "$cr_path" "$JOURNAL/role/directories" || continue # a directory that was there is not ours to change
        [ -d "$cr_path" ] || mkdir -- "$cr_path"
        chown -- "$cr_owner:$cr_group" "$cr_path"
        chmod -- "00$cr_mode" "$cr_path" # with all digits, or a directory keeps what it took from the one above it
        relabel "$cr_path"
    done <"$WORK/directory-lines"
}

stage() { # each new file beside its target
    while IFS="$TAB" read -r st_path st_mode st_owner st_group st_content; do
        listed "$st_path" "$WORK/changed" || continue
        stage_directory "$st_path"
        st_to=$(staged "$st_path")
        # Owner and mode come before the content: a secret is never readable by anyone else, not for an instant.
        : >"$st_to"
        chown -- "$st_owner:$st_group" "$st_to"
        chmod -- "$st_mode" "$st_to"
        cat -- "$WORK/role/$st_content" >"$st_to"
        sync -- "$st_to"
    done <"$WORK/file-lines"
}

at_stage() { # file with @{PATH} in it: each becomes the staged copy, or the path itself where nothing changes
    while IFS= read -r as_path; do
        as_place=$as_path
        ! listed "$as_path" "$WORK/changed" || as_place=$(staged "$as_path")
        awk -v from="@{$as_path}" -v to="$as_place" '{
            out = ""
            while ((at = index($0, from)) > 0) { out = out substr($0, 1, at - 1) to; $0 = substr($0, at + length(from)) }
            print out $0
        }' "$1" >"$1.staged"
        mv -f -- "$1.staged" "$1"
    done <"$WORK/files"
}

validate() {
    lines "$WORK/role" validation >"$WORK/validations"
    while IFS="$TAB" read -r va_name va_limit va_script; do
        at_stage "$WORK/role/$va_script"
        ! limited "$va_limit" sh -eu "$WORK/role/$va_script" >"$WORK/log" 2>&1 || continue
        tail -n 40 "$WORK/log" >&2 || :
        die 65 "$va_name refused the new configuration; the host is as it was and its services serve on"
    done <"$WORK/validations"
}

switch_booleans() {
    command -v selinuxenabled >/dev/null 2>&1 || return 0
    selinuxenabled || return 0
    lines "$WORK/role" boolean >"$WORK/booleans"
    while IFS= read -r sb_name; do limited "$STEP_LIMIT" setsebool -P "$sb_name" on; done <"$WORK/booleans"
}

first_state() { # unit: the activity that it had before the role came
    awk -F '\t' -v unit="$1" '$1 == unit { print $2 "\t" $3; exit }' "$WORK/units.known"
}

swap() {
    while IFS= read -r sw_unit; do # what the role no longer wants stops before its files go
        sw_state=$(first_state "$sw_unit")
        return_unit "$sw_unit" "${sw_state%"$TAB"*}" inactive stop
    done <"$WORK/leaving-units"
    while IFS= read -r sw_path; do
        mv -fT -- "$(staged "$sw_path")" "$sw_path"
        relabel "$sw_path"
    done <"$WORK/changed"
    while IFS= read -r sw_path; do
        restore "$JOURNAL/originals.index" "$JOURNAL/role/originals" "$sw_path"
    done <"$WORK/leaving"
    enable_units
    if [ -s "$WORK/enabled" ] || unit_files_changed "$WORK/touched"; then control daemon-reload; fi
    while IFS= read -r sw_unit; do
        sw_state=$(first_state "$sw_unit")
        [ "${sw_state#*"$TAB"}" != active ] || control reload-or-restart -- "$sw_unit"
    done <"$WORK/leaving-units"
}

wanted_verb() { # unit: restart, reload, or start where nothing that concerns it changed
    awk -F '\t' -v unit="$1" '
        FILENAME == ARGV[1] { changed[$0]; next }
        ($1 == "reload" || $1 == "restart") && $2 == unit && $3 in changed { wanted[$1] }
        END { print "restart" in wanted ? "restart" : "reload" in wanted ? "reload" : "start" }
    ' "$WORK/changed" "$WORK/role/manifest"
}

enable_units() { # in one call, and without the reload of systemd that each would bring
    while IFS= read -r eu_unit; do
        control is-enabled -q -- "$eu_unit" 2>/dev/null || printf '%s\n' "$eu_unit"
    done <"$WORK/units" >"$WORK/enabled"
    [ -s "$WORK/enabled" ] || return 0
    limited "$STEP_LIMIT" xargs -a "$WORK/enabled" systemctl --no-ask-password -q enable --no-reload -- ||
        die 70 "could not enable $(tr '\n' ' ' <"$WORK/enabled")"
}

start_units() {
    while IFS= read -r su_unit; do
        su_verb=$(wanted_verb "$su_unit")
        if control is-active -q -- "$su_unit"; then
            [ "$su_verb" != start ] || continue
        else
            su_verb=restart
        fi
        if ! control "$su_verb" -- "$su_unit" >"$WORK/log" 2>&1; then
            ! tries_again "$su_unit" || continue
            cat "$WORK/log" >&2 || :
            show_unit "$su_unit"
            die 70 "could not $su_verb $su_unit"
        fi
        say "  $su_verb $su_unit"
    done <"$WORK/units"
}

show_unit() { control status --no-pager --lines 20 -- "$1" >&2 || :; }

run_checks() { # record directory
    lines "$1" check >"$WORK/checks"
    while IFS="$TAB" read -r ck_name ck_limit ck_script; do
        ck_end=$(($(date +%s) + ck_limit))
        until limited "$ck_limit" sh -eu "$1/$ck_script" >"$WORK/log" 2>&1; do
            if [ "$(date +%s)" -ge "$ck_end" ]; then
                tail -n 20 "$WORK/log" >&2 || :
                die 70 "not healthy within $ck_limit s: $ck_name"
            fi
            sleep 0.1
        done
    done <"$WORK/checks"
    lines "$1" unit >"$WORK/unit-names"
    while IFS= read -r ck_unit; do
        control is-active -q -- "$ck_unit" || {
            show_unit "$ck_unit"
            die 70 "not active: $ck_unit"
        }
    done <"$WORK/unit-names"
}

change() {
    create
    stage
    validate
    : >"$JOURNAL/swapping"
    persist "$JOURNAL/swapping" "$JOURNAL"
    switch_booleans
    swap
    start_units
    run_checks "$WORK/role"
}

apply() { # role
    lock
    recover ""
    receive "$1"
    plan "$1"
    bring_packages "$1"
    compare "$1"
    begin "$1"
    attempt change
    if [ "$STATUS" = 0 ]; then
        commit "$1"
        while IFS= read -r ap_path; do say "  wrote $ap_path"; done <"$WORK/changed"
        while IFS= read -r ap_path; do say "  returned $ap_path"; done <"$WORK/leaving"
        note "$1: applied, $(grep -c . "$WORK/touched" || :) files changed"
        return 0
    fi
    ap_status=$STATUS
    attempt roll_back ""
    [ "$STATUS" = 0 ] || die 71 "$1: the rollback is incomplete, see the message above; the next run tries again"
    if [ -f "$JOURNAL/swapping" ] && [ -f "$STATE/roles/$1/manifest" ]; then
        attempt run_checks "$STATE/roles/$1"
        [ "$STATUS" = 0 ] || note "$1: everything is put back, but the old service is not healthy either"
    fi
    rm -rf -- "$JOURNAL"
    die "$ap_status" "$1: failed and put back; the host is as it was before"
}

# --- delete ------------------------------------------------------------------------------------------------------

# A user, directory or package that this role brought and another role on the host asks for becomes that role's to undo.
inherited() { # role kind name
    for ih_other in "$STATE"/roles/*/; do
        ih_other=${ih_other%/}
        [ -f "$ih_other/manifest" ] && [ "$ih_other" != "$STATE/roles/$1" ] || continue
        lines "$ih_other" "$2" | cut -f1 | grep -Fx -e "$3" >/dev/null || continue
        say "$ih_other"
        return 0
    done
    return 1
}

hand_over() { # role kind record: leaves in $WORK/ours what nobody else asks for
    : >"$WORK/ours"
    while IFS= read -r ho_name; do
        if ho_heir=$(inherited "$1" "$2" "$ho_name"); then
            printf '%s\n' "$ho_name" >>"$ho_heir/$3"
        else
            printf '%s\n' "$ho_name" >>"$WORK/ours"
        fi
    done <"$STATE/roles/$1/$3"
}

return_role() { # role: what was there before it came; each step can be repeated
    rr_record=$STATE/roles/$1
    touch -- "$rr_record/units" "$rr_record/users" "$rr_record/directories" "$rr_record/packages" "$rr_record/originals.index"
    while IFS="$TAB" read -r rr_unit rr_enabled rr_active; do
        [ "$rr_active" = active ] || return_unit "$rr_unit" "$rr_enabled" inactive stop
    done <"$rr_record/units"
    cut -f2 "$rr_record/originals.index" >"$WORK/paths"
    while IFS= read -r rr_path; do restore "$rr_record/originals.index" "$rr_record/originals" "$rr_path"; done <"$WORK/paths"
    fresh_units "$WORK/paths"
    while IFS="$TAB" read -r rr_unit rr_enabled rr_active; do
        [ "$rr_active" != active ] || return_unit "$rr_unit" "$rr_enabled" active reload-or-restart
    done <"$rr_record/units"
    hand_over "$1" package packages
    remove_packages "$WORK/ours"
    hand_over "$1" directory directories
    lines "$rr_record" discard >"$WORK/discard" 2>/dev/null || :
    while IFS= read -r rr_path; do # whoever made it: the role was told that all of it may go
        inherited "$1" directory "$rr_path" >/dev/null || rm -rf -- "$rr_path"
    done <"$WORK/discard"
    sort -r "$WORK/ours" | while IFS= read -r rr_path; do rmdir -- "$rr_path" 2>/dev/null || :; done
    hand_over "$1" user users
    while IFS= read -r rr_user; do drop_user "$rr_user"; done <"$WORK/ours"
    rm -rf -- "$rr_record"
    note "$1: deleted, the host is as it was before"
}

delete() { # role
    lock
    recover ""
    [ -d "$STATE/roles/$1" ] || {
        note "$1: nothing to delete"
        return 0
    }
    return_role "$1"
}

delete_all() {
    lock
    recover ""
    find "$STATE/roles" -name sequence | while IFS= read -r da_file; do
        printf '%s\t%s\n' "$(cat "$da_file")" "$(basename "$(dirname "$da_file")")"
    done | sort -rn | cut -f2 >"$WORK/roles"
    while IFS= read -r da_role; do return_role "$da_role"; done <"$WORK/roles"
    for da_record in "$STATE"/roles/*/; do [ ! -d "$da_record" ] || return_role "$(basename "$da_record")"; done
    control -q disable -- "${RECOVERY##*/}" 2>/dev/null || :
    rm -rf -- "$RECOVERY" "$LIBRARY" "$STATE" "$WORK"
    control daemon-reload
    note "the runtime is gone from this host"
}

# --- install -----------------------------------------------------------------------------------------------------

install_runtime() {
    for ir_tool in awk base64 cmp flock getent sha256sum stat sync systemctl tar timeout; do
        command -v "$ir_tool" >/dev/null 2>&1 || die 69 "this host has no $ir_tool: install it first"
    done
    lock
    mkdir -p -- "$LIBRARY"
    chmod 0755 "$LIBRARY"
    cp -- "$0" "$RUNTIME.new"
    chmod 0755 "$RUNTIME.new"
    sync -- "$RUNTIME.new"
    mv -fT -- "$RUNTIME.new" "$RUNTIME"
    relabel "$LIBRARY" "$RUNTIME"
    cat >"$RECOVERY.new" <<UNIT
[Unit]
Description=Roll back a change of sealed-data-tier that was cut off
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target
ConditionPathExistsGlob=$JOURNAL*

[Service]
Type=oneshot
ExecStart=$RUNTIME recover --boot

[Install]
WantedBy=sysinit.target
UNIT
    chmod 0644 "$RECOVERY.new"
    mv -fT -- "$RECOVERY.new" "$RECOVERY"
    control -q enable --no-reload -- "${RECOVERY##*/}" # nobody needs it before the next boot
    recover ""
    note "installed $(sha256sum <"$RUNTIME" | cut -c 1-12) on a host of the family $FAMILY"
}

case ${1:-}:$# in
install:1) install_runtime ;;
apply:2) apply "$2" ;;
delete:2) delete "$2" ;;
delete-all:1) delete_all ;;
recover:1) lock && recover "" ;;
recover:2) lock && recover boot ;;
*) die 64 "usage: runtime install | apply ROLE | delete ROLE | delete-all | recover [--boot]" ;;
esac
