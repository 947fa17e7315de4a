# Reads lines on standard input until its owner is gone (end of file) or sends USR1; then ends
# every process and removes every directory that the lines named.
#
#   pid N SIGNAL    end process N with SIGNAL, and with KILL when it does not go
#   dir PATH        remove PATH
#   forget-pid N    forget-dir PATH
set -f
trap '' HUP INT QUIT TERM
# Interrupts the reading, and nothing later.
trap : USR1
newline='
'
pids=
dirs=$newline

# Sets `start` to the start time of process $1: a number that comes back to the owner's process
# and not to another one of the same pid. Fails when the process is gone; a zombie is.
started() {
    { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    set -- ${stat##*) }
    case $1 in Z | X) return 1 ;; esac
    start=${20}
}

forget_pid() {
    kept=
    for watched in $pids; do
        case $watched in "$1":*) ;; *) kept="$kept $watched" ;; esac
    done
    pids=$kept
}

forget_dir() {
    line=$newline$1$newline
    case $dirs in *"$line"*) dirs=${dirs%%"$line"*}$newline${dirs#*"$line"} ;; esac
}

while IFS= read -r line; do
    rest=${line#* }
    case $line in
        'pid '*)
            pid=${rest%% *}
            started "$pid" && pids="$pids $pid:$start:${rest#* }"
            ;;
        'dir '*) dirs=$dirs$rest$newline ;;
        'forget-pid '*) forget_pid "$rest" ;;
        'forget-dir '*) forget_dir "$rest" ;;
    esac
done

trap '' USR1

# Keeps those of `pids` that still run; fails when there are none.
alive() {
    kept=
    for watched in $pids; do
        pid=${watched%%:*}
        rest=${watched#*:}
        started "$pid" && [ "$start" = "${rest%%:*}" ] && kept="$kept $watched"
    done
    pids=$kept
    [ -n "$pids" ]
}

# Waits up to $1 twentieths of a second; succeeds when all are gone.
gone_within() {
    left=$1
    while alive; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 0.05
    done
}

if alive; then
    for watched in $pids; do
        pid=${watched%%:*}
        signal=${watched##*:}
        kill -s "$signal" "$pid"
        # The whole group: what a server forked dies with it. Not for a gentler signal, which the
        # server itself passes on in its own order.
        [ "$signal" = KILL ] && kill -s KILL -- "-$pid"
    done
    gone_within 100 || {
        for watched in $pids; do
            pid=${watched%%:*}
            kill -s KILL "$pid"
            kill -s KILL -- "-$pid"
        done
        gone_within 100
    }
fi

IFS=$newline
for dir in $dirs; do
    # A process that is just dying may still write: try again.
    for attempt in 1 2 3 4 5 6 7 8 9 10; do
        rm -rf -- "$dir" && break
        sleep 0.1
    done
done
