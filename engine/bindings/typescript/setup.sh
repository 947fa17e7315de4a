#!/bin/sh
# setup.sh [--require | --print]: sees to it that Bun is there, with TypeScript's compiler for the
# check of types, and npm, which fetches them. With all in place it looks at a few files and says
# nothing. --print also prints the path of the Bun that is used, and the folder of the compiler.
#
# Bun is the one in STEPMARK_BUN, else one on the PATH that is new enough, else the one in the cache
# ($STEPMARK_CACHE, /var/cache/stepmark of root, ~/.cache/stepmark of others): bun-VERSION/bun. When
# something is missing after that it says which command helps, and exits 0; with --require or
# --print, 3.
set -eu
version=1.4.5
typescript=7.0.2
mode=${1-}
case $mode in
    '' | --require | --print) ;;
    *)
        echo "usage: setup.sh [--require | --print]" >&2
        exit 2
        ;;
esac

# shellcheck source=../apt.sh
. "$(dirname "$0")/../apt.sh"
missing() {
    say "$*"
    [ -z "$mode" ] || exit 3
    exit 0
}

home=$cache/bun-$version

# Whether a Bun is as new as the binding needs it.
is_new() {
    found=$("$1" --version 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$version" "$found" | sort -V | head -n 1)" = "$version" ]
}

find_bun() {
    if [ -n "${STEPMARK_BUN-}" ]; then
        bun=$STEPMARK_BUN
    elif bun=$(command -v bun) && is_new "$bun"; then
        :
    else
        bun=$home/bun
    fi
    [ -x "$bun" ]
}

# Complete or absent, also when two runs do it at once.
fetch() {
    case $(uname -m) in
        aarch64) platform=linux-aarch64 ;;
        *) platform=linux-x64 ;;
    esac
    if [ "$platform" = linux-x64 ] && ! grep -q -w avx2 /proc/cpuinfo; then
        platform=linux-x64-baseline
    fi
    mkdir -p "${home%/*}" || missing "cannot write ${home%/*} (set STEPMARK_CACHE)"
    new=$(mktemp -d "${home%/*}/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    packages="@oven/bun-$platform@$version typescript@$typescript @types/bun@$version"
    # shellcheck disable=SC2086 # the packages are words of their own
    npm install --prefix "$new" --silent --no-audit --no-fund --no-save --ignore-scripts \
        $packages >&2 || missing "npm could not fetch $packages"
    chmod +x "$new/node_modules/@oven/bun-$platform/bin/bun"
    ln -s "node_modules/@oven/bun-$platform/bin/bun" "$new/bun"
    chmod -R a+rX "$new"
    mv -T "$new" "$home" 2>/dev/null || [ -x "$home/bun" ] || missing "cannot write $home"
}

if ! [ -x "$home/bun" ]; then
    command -v npm >/dev/null || apt_install nodejs npm ||
        missing "npm is missing, for Bun; as root, run: apt-get install -y nodejs npm"
    fetch
fi
find_bun || missing "there is no Bun at $bun (STEPMARK_BUN)"
[ "$mode" != --print ] || printf '%s\n' "$bun" "$home"
