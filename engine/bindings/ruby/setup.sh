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

# shellcheck source=../apt.sh
. "$(dirname "$0")/../apt.sh"

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

# The packages' names are words of their own.
# shellcheck disable=SC2086
apt_install $packages ||
    say "this did not work; as root, run: apt-get install -y --no-install-recommends $packages"

missing || exit 0
say "missing for handlers in Ruby: $packages"
! $required || exit 3
