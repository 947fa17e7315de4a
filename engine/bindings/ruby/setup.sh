#!/bin/sh
# setup.sh [--require]: sees to it that there is what the Ruby package is built and tested with:
# Ruby 3.1 or later with its headers and minitest, and libclang, which reads the headers. With all
# in place it says nothing.
#
# Without root and sudo it prints the command that root has to run. With --require, exits 3 when
# something is missing then.
set -eu
required=false
case ${1-} in
    '') ;;
    --require) required=true ;;
    *)
        echo "usage: setup.sh [--require]" >&2
        exit 2
        ;;
esac
ruby=${STEPMARK_RUBY:-ruby}

say() { echo "setup: $*" >&2; }

# The one that rb-sys finds, with the compiler's own headers beside it.
has_libclang() {
    [ -z "${LIBCLANG_PATH-}" ] || return 0
    for library in /usr/lib/llvm-*/lib/libclang*.so*; do
        for header in "${library%/*}"/clang/*/include/stddef.h; do
            [ -f "$library" ] && [ -f "$header" ] && return
        done
    done
    return 1
}

# The newest that this distribution has.
libclang_version() {
    newest=$(apt-cache pkgnames libclang1- 2>/dev/null | sed -n 's/^libclang1-\([0-9]*\)$/\1/p' |
        sort -n | tail -1)
    echo "${newest:-14}"
}

missing() {
    packages=
    command -v "$ruby" >/dev/null && "$ruby" -e 'exit RUBY_VERSION.to_f >= 3.1' || packages=ruby
    "$ruby" -e 'exit File.file?(File.join(RbConfig::CONFIG["rubyhdrdir"], "ruby.h"))' \
        2>/dev/null || packages="$packages ruby-dev"
    "$ruby" -e 'require "minitest"' 2>/dev/null || packages="$packages ruby-minitest"
    if ! has_libclang; then
        version=$(libclang_version)
        packages="$packages libclang1-$version libclang-common-$version-dev"
    fi
    packages=${packages# }
    [ -n "$packages" ]
}

missing || exit 0

# Package lists that are absent or out of date are the common reason for a failure.
install_packages() {
    say "installing $packages"
    for update in false true; do
        ! $update || $as_root apt-get update -q </dev/null
        # The packages' names are words of their own.
        ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
            --no-install-recommends -o DPkg::Lock::Timeout=300 $packages </dev/null || return 0
    done
    return 1
}

apt="apt-get install -y --no-install-recommends $packages"
if ! command -v apt-get >/dev/null; then
    say "there is no apt-get here; install Ruby 3.1 with its headers, minitest and libclang"
elif [ "$(id -u)" = 0 ]; then
    as_root=
    install_packages >&2 || say "this failed: $apt"
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root='sudo -n'
    install_packages >&2 || say "this failed: $apt"
else
    say "neither root nor sudo without a password; as root, run: $apt"
fi

missing || exit 0
say "missing for handlers in Ruby: $packages"
! $required || exit 3
