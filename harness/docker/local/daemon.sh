#!/bin/sh
# daemon.sh: a Docker daemon for tests, with folders, a socket, a bridge and a containerd of its own.
# It says where it listens, and stays until its standard input ends; then it is gone, with all of
# its containers and images. The machine's firewall and other daemons are left alone, so that its
# containers reach each other and this machine, and nothing beyond.
#
# Needs root, and the packages docker.io and iproute2.
set -eu
trap '' HUP INT TERM
fail() {
    echo "daemon.sh: $*" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || fail 'only root can start a Docker daemon'
for program in dockerd docker ip unshare; do
    command -v $program >/dev/null || fail "$program is missing: install docker.io and iproute2"
done
dir=$(mktemp -d "${STEPMARK_TMP:-/var/tmp}/stepmark-dockerd-XXXXXX")
# Of the range for benchmarks (RFC 2544), which is no one's network.
bridge=smk$$ network=198.$((18 + $$ % 2)).$(($$ / 2 % 256))
DOCKER_HOST=unix://$dir/docker.sock
export DOCKER_HOST
pid=

end() {
    if [ -n "$pid" ]; then
        timeout 20 docker ps -aq | timeout 20 xargs -r docker rm -fv >/dev/null || :
        kill "$pid" 2>/dev/null || :
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || :
    fi
    ip link delete "$bridge" 2>/dev/null || :
    rm -rf "$dir"
}
trap end EXIT

ip link add "$bridge" type bridge
ip address add "$network.1/24" dev "$bridge"
ip link set "$bridge" up
echo '{}' >"$dir/daemon.json"
# In a mount namespace of its own nothing stays mounted, and the system's containerd is out of sight.
env --default-signal=HUP,INT,TERM unshare --mount sh -c '
    mkdir -p /run/containerd && mount -t tmpfs tmpfs /run/containerd && exec dockerd "$@"
' sh --host "$DOCKER_HOST" --config-file "$dir/daemon.json" --pidfile "$dir/pid" \
    --data-root "$dir/data" --exec-root "$dir/exec" --bridge "$bridge" \
    --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
    >"$dir/log" 2>&1 </dev/null &
pid=$!
for _ in $(seq 300); do
    ! docker version >/dev/null 2>&1 || break
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
done
docker version >/dev/null 2>&1 || fail "dockerd does not start:
$(tail -5 "$dir/log")"
echo "$DOCKER_HOST"
while read -r _; do :; done
