#!/bin/sh
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: same.sh VOLUME [VOLUME [OPTION OF torture.py list]...]
# Prints how two volumes differ, and fails where they do; of one alone, all that there is to say of it. They are looked at in containers, as any application sees them.
set -eu
one=$1
other=${2:-}
shift $(($# > 1 ? 2 : 1))
lists=$(mktemp -d)
containers=''
trap 'docker rm --force $containers >/dev/null 2>&1; rm -rf "$lists"' EXIT

list() { # VOLUME FILE [OPTION]...
    container=$(docker run --detach --network=none --volume="$1:/data:ro" "$LAB_IMAGE" sleep 600)
    containers="$containers $container"
    pid=$(docker inspect --format '{{.State.Pid}}' "$container")
    file=$2
    shift 2
    python3 /opt/data/torture.py list "$@" "/proc/$pid/root/data" >"$lists/$file"
}

list "$one" one "$@"
if [ -z "$other" ]; then
    cat "$lists/one"
    exit
fi
list "$other" other "$@"
if ! cmp --silent "$lists/one" "$lists/other"; then
    diff "$lists/one" "$lists/other" | head -20
    exit 1
fi
