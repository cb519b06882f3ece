#!/bin/sh
# A benchmark host's start state:  start.sh remember | reset | without-package | facts
#
# remember: keep what `reset` puts back; the first call counts. reset: take back what the role's end state consists of, whoever brought it.
# without-package: also the package is not there. facts: print all that has to be the same before every run.
set -eu
LC_ALL=C
export LC_ALL
KEPT=/var/tmp/benchmark-start
ACCOUNTS='passwd passwd- group group- shadow shadow- gshadow gshadow- subuid subuid- subgid subgid-'

remember() {
    [ ! -e $KEPT ] || return 0
    mkdir $KEPT
    for file in $ACCOUNTS haproxy/haproxy.cfg; do [ ! -e "/etc/$file" ] || cp -a "/etc/$file" $KEPT/; done
}

take_back() {
    systemctl disable --now --quiet haproxy.service 2>/dev/null || :
    rm -rf /etc/cache-probe /etc/systemd/system/haproxy.service.d /etc/haproxy/environment.cfg
    rm -rf /home/ops/.ansible /root/.ansible /tmp/pyinfra-* /home/ops/.cache
}

put_back() {
    for file in $ACCOUNTS; do
        if [ -e "$KEPT/$file" ]; then cp -a "$KEPT/$file" /etc/; else rm -f "/etc/$file"; fi
    done
    systemctl daemon-reload
    systemctl reset-failed
}

purge() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq purge --yes haproxy >/dev/null
    apt-get -qq autoremove --purge --yes >/dev/null
    apt-get clean
}

facts() {
    find /etc /home /opt /root /srv /usr/local /var/lib -xdev \
        \( -path /var/lib/systemd -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/private -o -path /var/lib/haproxy/dev \
        -o -path /etc/hosts -o -path /etc/hostname -o -path /etc/resolv.conf -o -name '*.lock' \) -prune \
        -o -type f -printf '%p %m %U:%G ' -exec sha256sum {} \; -o -printf '%p %m %U:%G %y %l\n' | sort
    dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n'
    systemctl list-unit-files --no-legend --no-pager 'haproxy*' || :
    systemctl list-units --no-legend --no-pager --plain 'haproxy*'
}

case $1 in
remember) remember ;;
reset)
    take_back
    cp -a $KEPT/haproxy.cfg /etc/haproxy/
    put_back
    ;;
without-package)
    take_back
    purge
    put_back
    ;;
facts) facts ;;
*) exit 64 ;;
esac
