#!/bin/sh
# setup.sh [--require | --tools]: sees to it that there is a Python, and what tests and builds the
# package: pytest and maturin, in a folder of stepmark's cache. With all in place it looks at a few
# files and says nothing; --tools prints that folder, for PYTHONPATH.
#
# The Python is STEPMARK_PYTHON, else python3 of the PATH, 3.9 or newer. Exits 0 also when something
# is missing in the end, which it says with the command that mends it; with --require or --tools, 3.
set -eu
mode=${1-}
case $mode in
    '' | --require | --tools) ;;
    *)
        echo "usage: setup.sh [--require | --tools]" >&2
        exit 2
        ;;
esac

# shellcheck source=../apt.sh
. "$(dirname "$0")/../apt.sh"

missing() {
    say "$*"
    [ -n "$mode" ] && exit 3
    exit 0
}

python=${STEPMARK_PYTHON:-python3}
has_python() { "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; }
has_pip() { "$python" -m pip --version >/dev/null 2>&1; }

# Only the distribution's own can be installed; one that was told is the teller's.
if ! has_python && [ -z "${STEPMARK_PYTHON-}" ]; then
    apt_install python3 python3-pip || :
fi
has_python || missing "no Python 3.9 or newer ($python); as root, run: apt-get install -y python3"

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# The name tells what is in it: other versions make another folder.
tools=$cache/python$version-maturin-1.16.0-pytest-8.4.2
if [ ! -x "$tools/bin/maturin" ]; then
    if ! has_pip && [ -z "${STEPMARK_PYTHON-}" ]; then
        apt_install python3-pip || :
    fi
    has_pip || missing "$python has no pip; as root, run: apt-get install -y python3-pip"
    parent=${tools%/*}
    mkdir -p "$parent" || missing "cannot write $parent: set STEPMARK_CACHE to another directory"
    # Complete or absent, also when two runs do it at once.
    new=$(mktemp -d "$parent/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    install="$python -m pip install --quiet --disable-pip-version-check"
    install="$install --root-user-action=ignore --no-compile --only-binary=:all:"
    $install --target "$new" maturin==1.16.0 pytest==8.4.2 >&2 ||
        missing "this failed: $install --target DIRECTORY maturin==1.16.0 pytest==8.4.2"
    chmod -R a+rX "$new"
    mv -T "$new" "$tools" 2>/dev/null || [ -x "$tools/bin/maturin" ] ||
        missing "cannot write $tools"
fi
[ "$mode" != --tools ] || echo "$tools"
