#!/bin/sh
# setup.sh: sees to it that there is what looks at report.html in the tests: Debian's Chromium, and
# in a folder of stepmark's cache pytest, Playwright, axe and a parser of OpenMetrics, all from PyPI.
# Prints that folder, for PYTHONPATH. No browser is downloaded: STEPMARK_CHROMIUM names another one.
# Exits 3, with the command that mends it, where something is missing in the end.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# shellcheck source=../../../engine/bindings/apt.sh
. "$here/../../../engine/bindings/apt.sh"

missing() {
    say "$*"
    exit 3
}

python=${STEPMARK_PYTHON:-python3}
sh "$here/../../../engine/bindings/python/setup.sh" --require

browser=${STEPMARK_CHROMIUM:-chromium}
has_browser() { command -v "$browser" >/dev/null; }
if ! has_browser && [ -z "${STEPMARK_CHROMIUM-}" ]; then
    apt_install chromium || :
fi
has_browser ||
    missing "no Chromium ($browser), which looks at report.html: as root, run: apt-get install -y chromium"

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
packages='pytest==8.4.2 playwright==1.65.2 axe-playwright-python==0.1.8 prometheus-client==0.26.0'
# The name tells what is in it: other versions make another folder.
tools=$cache/page-python$version-$(echo "$packages" | tr -d '=' | tr ' ' '-')
if [ ! -d "$tools" ]; then
    parent=${tools%/*}
    mkdir -p "$parent" || missing "cannot write $parent: set STEPMARK_CACHE to another directory"
    # Complete or absent, also when two runs do it at once.
    new=$(mktemp -d "$parent/.new.XXXXXX")
    trap 'rm -rf "$new"' EXIT
    install="$python -m pip install --quiet --disable-pip-version-check"
    install="$install --root-user-action=ignore --no-compile --only-binary=:all:"
    # shellcheck disable=SC2086 # the packages' names are words of their own
    $install --target "$new" $packages >&2 ||
        missing "this failed: $install --target DIRECTORY $packages"
    chmod -R a+rX "$new"
    mv -T "$new" "$tools" 2>/dev/null || [ -d "$tools" ] || missing "cannot write $tools"
fi
echo "$tools"
