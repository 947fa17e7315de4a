#!/bin/sh
# The start of a PostgreSQL container, as far as the public image's contract is used here:
# POSTGRES_PASSWORD, POSTGRES_HOST_AUTH_METHOD, and `postgres` with its arguments as command.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
data=/var/lib/postgresql/data
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
[ "$1" = postgres ] && shift
mkdir -p "$data" /run/postgresql
chown postgres:postgres "$data" /run/postgresql
chmod 700 "$data"
if [ ! -e "$data/PG_VERSION" ]; then
    file=$(mktemp)
    chown postgres "$file"
    printf '%s\n' "$POSTGRES_PASSWORD" >"$file"
    as_postgres "$bin/initdb" -D "$data" -U postgres -E UTF8 --locale=C --no-sync \
        --auth-local=trust --pwfile="$file"
    rm "$file"
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    echo "host all all all $method" >>"$data/pg_hba.conf"
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups \
    "$bin/postgres" -D "$data" -c listen_addresses='*' "$@"
