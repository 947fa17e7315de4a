#!/bin/sh
# The start of a PostgreSQL container, as far as the public image's contract is used here:
# POSTGRES_USER with a database of that name, POSTGRES_PASSWORD, POSTGRES_HOST_AUTH_METHOD, and
# `postgres` with its arguments as command.
set -eu
data=/var/lib/postgresql/data
user=${POSTGRES_USER:-postgres}
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
[ "$1" = postgres ] && shift
mkdir -p "$data" /run/postgresql
chown postgres:postgres "$data" /run/postgresql
chmod 700 "$data"
if [ ! -e "$data/PG_VERSION" ]; then
    file=$(mktemp)
    chown postgres "$file"
    printf '%s\n' "$POSTGRES_PASSWORD" >"$file"
    as_postgres initdb -D "$data" -U "$user" -E UTF8 --locale=C --no-sync \
        --auth-local=trust --pwfile="$file"
    rm "$file"
    [ "$user" = postgres ] || echo "CREATE DATABASE \"$user\"" |
        as_postgres postgres --single -D "$data" postgres
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    echo "host all all all $method" >>"$data/pg_hba.conf"
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups \
    postgres -D "$data" -c listen_addresses='*' "$@"
