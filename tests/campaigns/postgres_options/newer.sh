#!/bin/sh
# Packages of this host once more, as a version that is newer: newer.sh PACKAGE…
# They are in a source of their own for apt. pgBackRest says that it is of another version, too: the hosts of a pair need
# the same one.
set -eu
HERE=/opt/newer

rm -rf "$HERE"
mkdir -p "$HERE"
cd "$HERE"
for name in "$@"; do
    apt-get -qq download "$name=$(dpkg-query -W -f '${Version}' "$name")" 2>/dev/null
    dpkg-deb -R "$name"_*.deb tree
    rm "$name"_*.deb
    sed -i '/^Version:/s/$/+lab1/' tree/DEBIAN/control
    if [ "$name" = pgbackrest ]; then
        version=$(pgbackrest version | sed 's/.* //')
        # In as many characters: it is a word in a program.
        LC_ALL=C sed -i "s/$(printf %s "$version" | sed 's/\./\\./g')/$(printf %s "$version" | sed 's/.$/x/')/g" tree/usr/bin/pgbackrest
    fi
    dpkg-deb -Znone -b tree "$name.deb" >/dev/null
    rm -rf tree
    {
        dpkg-deb -f "$name.deb"
        printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' \
            "$name" "$(stat -c %s "$name.deb")" "$(sha256sum "$name.deb" | cut -d ' ' -f 1)"
    } >>Packages
done
echo "deb [trusted=yes] file:$HERE ./" >/etc/apt/sources.list.d/newer.list
