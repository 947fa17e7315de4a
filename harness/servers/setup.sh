#!/bin/sh
# setup.sh [--require] [--test]: sees to it that PostgreSQL and RabbitMQ are installed, as programs
# only: the distribution's own servers are neither started nor enabled, and servers that were there
# before are left as they are. With all in place it looks at a few files and says nothing.
# With --test also Docker, unless a daemon answers, its compose, and the packages of Ruby and Python
# that the tests' images are made of; not when STEPMARK_TEST_DOCKER is off. The tests start a daemon
# of their own.
#
# Without root and sudo it prints the command that root has to run, and fetches an embedded
# PostgreSQL instead. Exits 0 also when RabbitMQ is missing then; with --require, 3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
required=false
for_tests=false
for argument in "$@"; do
    case $argument in
        --require) required=true ;;
        --test) for_tests=true ;;
        *)
            echo "usage: setup.sh [--require] [--test]" >&2
            exit 2
            ;;
    esac
done

say() { echo "setup: $*" >&2; }

has_postgresql() {
    [ -n "${STEPMARK_PG_BIN-}" ] && [ -x "$STEPMARK_PG_BIN/postgres" ] && return
    for program in /usr/lib/postgresql/*/bin/postgres; do
        [ -x "$program" ] && return
    done
    initdb=$(command -v initdb) && [ -x "$(dirname "$(readlink -f "$initdb")")/postgres" ]
}

has_rabbitmq() {
    [ -n "${STEPMARK_RABBITMQ_SERVER-}" ] && [ -x "$STEPMARK_RABBITMQ_SERVER" ] && return
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && [ -x /usr/bin/epmd ]
}

tests_docker() { $for_tests && [ "${STEPMARK_TEST_DOCKER-}" != off ]; }

needs_docker() {
    tests_docker || return 1
    ! { command -v dockerd && command -v ip && command -v unshare; } >/dev/null || return 1
    ! docker version >/dev/null 2>&1
}

needs_compose() {
    tests_docker || return 1
    ! command -v docker-compose >/dev/null && ! docker compose version >/dev/null 2>&1
}

# Interpreters from elsewhere make no image.
needs_interpreters() { tests_docker && ! dpkg -s ruby python3 >/dev/null 2>&1; }

missing() {
    packages=
    has_postgresql || packages=postgresql
    has_rabbitmq || packages="$packages rabbitmq-server"
    ! needs_docker || packages="$packages docker.io iproute2"
    ! needs_compose || packages="$packages docker-compose"
    ! needs_interpreters || packages="$packages ruby python3"
    packages=${packages# }
    [ -n "$packages" ]
}

missing || exit 0

# As root: puts up what keeps servers from starting, installs, and takes it down again.
install_packages() {
    say "installing $packages"
    $as_root sh -s -- "$packages" <<'ROOT'
set -eu
export DEBIAN_FRONTEND=noninteractive
packages=$1
policy=/usr/sbin/policy-rc.d
no_cluster=/etc/postgresql-common/createcluster.d/stepmark.conf
had_erlang=false
[ -x /usr/bin/epmd ] && had_erlang=true
had_containerd=false
command -v containerd >/dev/null && had_containerd=true

restore() {
    rm -f "$no_cluster"
    if [ -e "$policy.before-stepmark" ]; then
        mv -f "$policy.before-stepmark" "$policy"
    else
        rm -f "$policy"
    fi
}
trap restore EXIT
trap 'exit 1' HUP INT TERM
# What an interrupted run left there is ours, and not the original.
if [ -e "$policy" ] && ! grep -q stepmark "$policy"; then
    mv -f "$policy" "$policy.before-stepmark"
fi
printf '#!/bin/sh\n# While stepmark installs.\nexit 101\n' >"$policy"
chmod 755 "$policy"
mkdir -p "${no_cluster%/*}"
echo 'create_main_cluster = false' >"$no_cluster"

install() {
    # The packages' names are words of their own. Nothing may read this script from its input.
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        $packages </dev/null
}
# Package lists that are absent or out of date are the common reason.
install || { apt-get update -q </dev/null && install; }

# Not at the next start of the machine either. Only what came with this installation.
disable() {
    for unit in "$@"; do
        ! command -v systemctl >/dev/null || systemctl disable -q "$unit" 2>/dev/null || :
    done
}
case $packages in *postgresql*) disable postgresql.service ;; esac
case $packages in *rabbitmq*) disable rabbitmq-server.service ;; esac
$had_erlang || disable epmd.service epmd.socket
case $packages in *docker.io*)
    disable docker.service docker.socket
    $had_containerd || disable containerd.service
    ;;
esac
ROOT
}

apt="apt-get install -y --no-install-recommends $packages"
as_root=none
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root='sudo -n'
fi
if ! command -v apt-get >/dev/null; then
    say "there is no apt-get here; install PostgreSQL (with contrib) and RabbitMQ by other means"
elif [ "$as_root" = none ]; then
    say "neither root nor sudo without a password; as root, run: $apt"
elif ! install_packages >&2; then
    say "this failed: $apt"
fi

missing || exit 0
complete=true
if ! has_postgresql; then
    cache=${XDG_CACHE_HOME:-${HOME-}/.cache}/stepmark
    [ "$(id -u)" != 0 ] || cache=/var/cache/stepmark
    if bin=$(sh "$here/embed.sh" "${STEPMARK_CACHE:-$cache}"); then
        say "PostgreSQL is not installed: the embedded one is used ($bin)"
        say "it has no pg_stat_statements, which the accounting of work needs:"
        say "runs are marked incomplete"
    else
        say "PostgreSQL is missing: nothing can be run"
        complete=false
    fi
fi
if needs_docker || needs_compose || needs_interpreters; then
    say "Docker, or what images are made of, is missing: tests of it fail, unless"
    say "STEPMARK_TEST_DOCKER=off leaves them out"
    complete=false
fi
if ! has_rabbitmq; then
    say "RabbitMQ is missing: only PGMQ can be measured"
    complete=false
fi
! $required || $complete || exit 3
