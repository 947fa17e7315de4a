#!/bin/sh
# image.sh postgres|rabbitmq|base|ruby|python NAME: makes the container image NAME out of packages
# that are installed on this machine (Debian or Ubuntu), in some seconds and without any registry.
#
# `postgres` and `rabbitmq` take what the harness tells them as the public images of these names
# do: environment, arguments, files. `base` is what the engine's programs need to run, `ruby` and
# `python` are that with the interpreter.
set -eu
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
usage() {
    echo "usage: image.sh postgres|rabbitmq|base|ruby|python NAME" >&2
    exit 2
}
[ $# = 2 ] || usage
kind=$1 name=$2
base='base-files bash coreutils dash libc6 libgcc-s1 util-linux'
case $kind in
    postgres)
        bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
        version=${bin#/usr/lib/postgresql/}
        packages="postgresql-${version%/bin} bash coreutils dash grep util-linux tzdata"
        ;;
    rabbitmq) packages='rabbitmq-server bash coreutils dash grep procps sed util-linux' ;;
    base) packages=$base ;;
    ruby) packages="$base ruby" ;;
    python) packages="$base python3" ;;
    *) usage ;;
esac

# What packages ask for to be installed, set up and translated, and no server to run.
needless='^(adduser|apt|cdebconf|debconf|dpkg|gcc-.*-base|init-system-helpers|locales|libc-l10n'
needless="$needless|libjson-perl|libllvm.*|libwxgtk.*|libwxbase.*|libz3.*|logrotate|lsb-base"
needless="$needless|openssl|passwd|perl.*|postgresql.*-common|sensible-utils|socat"
needless="$needless|ssl-cert|systemd.*|sysvinit-utils|tar|ucf|usr-is-merged|usrmerge"
[ "$kind" = python ] || needless="$needless|python3.*"
needless="$needless)\$"
all=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts \
    --no-breaks --no-replaces --no-enhances $packages | grep '^[a-z]' | sed 's/:.*//' | sort -u)
kept=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $all 2>/dev/null |
    sed -n 's/^installed //p' | grep -Ev "$needless" | sort -u)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$root/usr" "$root/etc" "$root/root" "$root/run" "$root/proc" "$root/sys" "$root/dev" \
    "$root/tmp" "$root/var/tmp" "$root/usr/local/bin"
chmod 1777 "$root/tmp" "$root/var/tmp"
chmod 755 "$root"
ln -s ../run "$root/var/run"
for folder in bin lib lib64 sbin; do
    mkdir -p "$root/usr/$folder"
    ln -s "usr/$folder" "$root/$folder"
done
cat >"$root/etc/passwd" <<'TEXT'
root:x:0:0:root:/root:/bin/sh
postgres:x:70:70::/var/lib/postgresql:/bin/sh
rabbitmq:x:100:100::/var/lib/rabbitmq:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
TEXT
printf 'root:x:0:\npostgres:x:70:\nrabbitmq:x:100:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"

# Their files, with the folders' names that links stand for (/lib is /usr/lib).
dpkg -L $kept | grep '^/' |
    grep -Ev '^/usr/share/(doc|man|locale|lintian|bug|info|perl5)(/|$)|^/(etc|run|var)/' |
    grep -Ev 'llvmjit|/bitcode/|/pkgconfig/|^/usr/share/(bash-completion|gcc|i18n)(/|$)' |
    sed -E 's,^/(bin|lib|lib64|sbin)/,/usr/\1/,' | sort -u |
    while IFS= read -r file; do
        { [ ! -f "$file" ] && [ ! -L "$file" ]; } || printf '%s\n' "${file#/}"
    done >"$root/files"
tar -C / -c --no-recursion -T "$root/files" | tar -C "$root" -x
rm "$root/files"
# Programs with several providers, such as awk; links only.
tar -C / -c etc/alternatives | tar -C "$root" -x
ldconfig -r "$root"

import() { tar -C "$root" -c --numeric-owner . | docker import "$@" - "$name" >/dev/null; }
serve() {
    cp "$here/$kind.sh" "$root/usr/local/bin/entrypoint"
    chmod 755 "$root/usr/local/bin/entrypoint"
    import -c 'ENTRYPOINT ["/usr/local/bin/entrypoint"]' -c "CMD [\"$kind\"]" "$@"
}
path=/usr/local/bin:/usr/bin:/usr/sbin
case $kind in
    base | ruby | python) import -c 'CMD ["/bin/sh"]' ;;
    postgres) serve -c "VOLUME /var/lib/postgresql/data" -c "ENV PATH=$bin:$path" ;;
    rabbitmq)
        home=/var/lib/rabbitmq
        # For commands in the container too: where the cookie is, and who the node is.
        serve -c "VOLUME $home" -c "ENV PATH=/usr/lib/rabbitmq/bin:$path HOME=$home \
            LC_ALL=C.UTF-8 RABBITMQ_LOGS=- RABBITMQ_NODENAME=rabbit@localhost"
        ;;
esac
