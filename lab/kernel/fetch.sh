#!/bin/sh
# Fetches Debian's kernel of a series, such as 6.12, into the cache, with apt:
# fetch.sh [--check] SERIES. Does nothing when it is there. The cloud flavour has
# all that a router needs, but few drivers: 35 MB. --check only says (by its exit
# code) whether it is there.
set -eu

check=
[ "$1" != --check ] || { check=1; shift; }
series=${1:?a series, such as 6.12}

fail() {
	echo "kernel $series: $*" >&2
	exit 1
}

dir=${NGFW_CACHE:-${HOME:?}/.cache/ngfw}/kernels
# It comes here whole, by rename.
[ ! -e "$dir/$series" ] || exit 0
[ -z "$check" ] || exit 1
[ "$(uname -m)" = x86_64 ] || fail "only for x86-64"
for command in apt-get apt-cache dpkg-deb xz; do
	command -v $command >/dev/null || fail "$command is needed: this is for Debian and what descends from it"
done

newest() {
	apt-cache search --names-only "^linux-image-$(echo "$series" | sed 's/\./\\./g')\..*-cloud-amd64-unsigned$" | cut -d' ' -f1 | grep -v -- -rt- | sort -V | tail -n 1
}
package=$(newest)
if [ -z "$package" ]; then
	apt-get -q update >&2 || :
	package=$(newest)
	[ -n "$package" ] || fail "there is no linux-image-$series.…-cloud-amd64-unsigned package in what apt knows"
fi
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/.fetch-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
echo "kernel $series: fetching $package" >&2
download() { (cd "$tmp" && apt-get -q -o Acquire::Retries=3 -o APT::Sandbox::User=root download "$package" >&2); }
# The lists may be older than the archive.
download || { apt-get -q update >&2 && package=$(newest) && download; } || fail "cannot download $package: is the package mirror reachable?"
dpkg-deb -x "$tmp"/*.deb "$tmp/unpacked"
[ -d "$tmp/unpacked/lib/modules" ] || mv "$tmp/unpacked/usr/lib" "$tmp/unpacked/lib"
rm -rf "$tmp"/*.deb "$tmp/unpacked/usr" "$tmp"/unpacked/boot/System.map-*
# Another run may have been faster.
mv -T "$tmp/unpacked" "$dir/$series" 2>/dev/null || [ -e "$dir/$series" ] || fail "cannot write $dir/$series"
