# Sourced by the bindings' setup.sh: how it speaks, stepmark's cache folder, and packages by apt.
say() { echo "setup: $*" >&2; }

cache=${XDG_CACHE_HOME:-${HOME-}/.cache}/stepmark
[ "$(id -u)" != 0 ] || cache=/var/cache/stepmark
cache=${STEPMARK_CACHE:-$cache}

# apt_install PACKAGE...: as root, or through sudo without a password; fails where neither can be.
apt_install() {
    command -v apt-get >/dev/null || return 1
    as_root=
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root='sudo -n'
    fi
    say "installing $*"
    set -- env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@"
    # Package lists that are absent or out of date are the common reason for a failure.
    $as_root "$@" </dev/null >&2 ||
        { $as_root apt-get update -q </dev/null >&2 && $as_root "$@" </dev/null >&2; }
}
