#!/bin/sh
# Fetches the embedded ClickHouse engine, a library of 566 MB, into the cache:
# fetch.sh [--check]. Does nothing when it is there; any number may run at once.
# --check only says (by its exit code) whether it is there.
set -eu

version=26.7.3-stable.1 # Version in library.go
sha256=36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5
package=@chdb/lib-linux-x64-gnu
packed_mb=178
need_mb=1500 # package, npm's copy of it, library, and air

fail() {
	echo "analytics engine: $*" >&2
	exit 1
}

dir=${NGFW_CACHE:-${HOME:?}/.cache/ngfw}/chdb-$version
lib=$dir/libchdb.so

if [ -n "${NGFW_CHDB_LIB:-}" ]; then
	[ -r "$NGFW_CHDB_LIB" ] || fail "NGFW_CHDB_LIB names $NGFW_CHDB_LIB, which cannot be read"
	exit 0
fi
# It came here by rename after its hash was checked, so its presence is enough.
[ ! -e "$lib" ] || exit 0
[ "${1:-}" != --check ] || exit 1
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
	fail "there is no pinned build for $(uname -s) $(uname -m): name a ClickHouse server in the configuration (analytics.engine: server), or set NGFW_CHDB_LIB"
command -v npm >/dev/null || fail "npm is needed to fetch it: apt-get install npm"
command -v flock >/dev/null || fail "flock is needed to fetch it: apt-get install util-linux"

mkdir -p "$dir"
exec 9>"$dir/.lock"
flock 9
[ ! -e "$lib" ] || exit 0 # another run has just done it

free_mb=$(($(df -Pk "$dir" | awk 'NR == 2 { print $4 }') / 1024))
[ "$free_mb" -ge "$need_mb" ] || fail "$dir has $free_mb MB free, $need_mb MB are needed"

tmp=$(mktemp -d "$dir/.fetch-XXXXXX")
npm=
finish() {
	[ -z "$npm" ] || kill "$npm" 2>/dev/null || :
	rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

echo "analytics engine: fetching $package@$version ($packed_mb MB)" >&2
# A cache of its own, so that its growth is the progress. 9>&-: a child that
# outlives this script must not keep the lock.
(cd "$tmp" && exec npm pack --silent --cache "$tmp/npm" "$package@$version" >"$tmp/name" 2>"$tmp/log" 9>&-) &
npm=$!
while kill -0 "$npm" 2>/dev/null; do
	have=$(du -sm "$tmp" 2>/dev/null | cut -f1)
	[ "${have:-0}" -le "$packed_mb" ] || have=$packed_mb
	if [ -t 2 ]; then
		printf '\ranalytics engine: %s of %s MB ' "${have:-0}" "$packed_mb" >&2
		sleep 1
	else
		echo "analytics engine: ${have:-0} of $packed_mb MB" >&2
		sleep 5
	fi
done
[ ! -t 2 ] || echo >&2
wait "$npm" || {
	cat "$tmp/log" >&2
	fail "npm pack $package@$version failed: is the npm registry reachable?"
}
npm=
rm -rf "$tmp/npm"

tarball=$tmp/$(tail -n 1 "$tmp/name")
member=$(tar -tzf "$tarball" | grep '/libchdb\.so$' | head -n 1) || fail "the package holds no libchdb.so"
echo "analytics engine: unpacking" >&2
tar -xzf "$tarball" -O "$member" >"$tmp/libchdb.so"
echo "$sha256  $tmp/libchdb.so" | sha256sum -c --status || fail "the hash of libchdb.so is not the pinned one: refusing it"
chmod 0755 "$tmp/libchdb.so"
mv "$tmp/libchdb.so" "$lib"
echo "analytics engine: ready in $lib" >&2
