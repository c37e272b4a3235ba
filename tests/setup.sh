#!/bin/sh
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Set up what the commands of the Makefile need; safe to repeat, and quick when there is nothing to do.
#   tests/setup.sh venv    .venv with the locked tools, and git
#   tests/setup.sh sanity  what ansible-test uses beside that: shellcheck
#   tests/setup.sh programs  what unit tests of archives and file systems need: age, restic, zstd, ...
#   tests/setup.sh lab     .venv, and ssh to reach the lab's hosts with
#   tests/setup.sh lock    requirements/dev.txt anew from requirements/dev.in
# As root on Debian, missing packages are installed, and said so. Otherwise they are named.
set -eu
cd "$(dirname "$0")/.."
LOCK=requirements/dev.txt
STAMP=.venv/.installed
UV=uv==0.13.9 # resolves the lock; lives in a folder of its own, since nothing else needs it
# The Makefile puts .venv first; what makes .venv must not come from it.
PATH=$(echo "$PATH" | sed "s|$PWD/.venv/bin:||g")

say() { echo "setup: $*"; }
fail() {
    echo "setup: $*" >&2
    exit 1
}
can_install() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }
apt_install() { DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes apt-get -qq -y install --no-install-recommends "$@"; }

# need PACKAGE...: install Debian packages, or say that they are missing.
need() {
    can_install || fail "these Debian packages (or their like) are missing: $*. Install them, or run this as root on Debian."
    say "installing Debian packages: $*"
    # The package lists may be absent or old, so a second try follows an update.
    apt_install "$@" >/dev/null 2>&1 && return
    apt-get -qq update || fail "apt-get update failed; these packages are missing: $*"
    apt_install "$@" >/dev/null || fail "apt-get could not install: $*"
}

# The tools run on Python 3.11 to 3.13. A command of the right name need not be one: version managers put shims on PATH.
fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; }
makes_venvs() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }
pythons() {
    for name in ${PYTHON:-} python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        command -v "$name" || :
    done
}
find_python() {
    for candidate in $(pythons); do
        if fits "$candidate" && makes_venvs "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

install_python() {
    # Debian's package helps only where Debian's Python fits.
    if [ -x /usr/bin/python3 ] && ! fits /usr/bin/python3; then
        fail "no Python 3.11, 3.12 or 3.13 with venv was found among: $(pythons | tr '\n' ' '). Name one: PYTHON=/path/to/python3 make ..."
    fi
    need python3 python3-venv
}

# new_venv FOLDER: make a virtual environment with a Python that fits.
new_venv() {
    python=$(find_python)
    if [ -z "$python" ]; then
        install_python
        python=$(find_python)
        [ -n "$python" ] || fail "the packages python3 and python3-venv are installed, yet no Python 3.11 to 3.13 can make a venv"
    fi
    say "making $1 with $python, Python $("$python" -c 'import platform; print(platform.python_version())')"
    rm -rf "$1"
    "$python" -m venv "$1"
}

set_up_venv() {
    # The folder is part of it: a venv that was moved or copied along with its checkout does not work.
    wanted="$(sha256sum "$LOCK" | cut -d ' ' -f 1) $PWD"
    if [ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    new_venv .venv
    say "installing the $(grep -c == "$LOCK") packages of $LOCK, which takes a minute or less"
    # --no-deps: the lock is complete, and what is not in it is not wanted. `pip check` proves that it is.
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r "$LOCK" ||
        fail "pip could not install the packages of $LOCK, see above. It asks the index of its own settings (\`pip config list\`)"
    .venv/bin/python -m pip check >/dev/null || fail "$LOCK is not complete: $(.venv/bin/python -m pip check | tr '\n' ';')"
    echo "$wanted" >"$STAMP"
}

# The engine and what its images are built with, the lab installs itself, where they are missing.
set_up_lab() { command -v ssh >/dev/null || need openssh-client; }

set_up_sanity() {
    if ! command -v shellcheck >/dev/null; then
        if can_install; then need shellcheck; else say "without the package shellcheck, ansible-test skips the test of that name"; fi
    fi
}

# What archives and file systems are made with: tests of a program that is missing are skipped.
set_up_programs() {
    missing=""
    for pair in age:age bzip2:bzip2 gpg:gnupg mkfs.btrfs:btrfs-progs restic:restic rsync:rsync xz:xz-utils zstd:zstd; do
        command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
    done
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # several packages
    if can_install; then need $missing; else say "these packages are missing, and tests of them are skipped:$missing"; fi
}

lock() {
    new_venv .cache/lock
    .cache/lock/bin/python -m pip install -qq --disable-pip-version-check "$UV"
    .cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
        requirements/dev.in -o "$LOCK"
    sed -i "1i # Written by \`make lock\` from dev.in; the complete set of tools, for Python 3.11 to 3.13." "$LOCK"
    say "wrote $LOCK: $(grep -c == "$LOCK") packages"
}

[ "${1:-}" = lock ] || command -v git >/dev/null || need git ca-certificates
case "${1:-}" in
    venv) set_up_venv ;;
    sanity) set_up_sanity ;;
    programs) set_up_programs ;;
    lab) set_up_venv; set_up_lab ;;
    lock) lock ;;
    *) fail "usage: tests/setup.sh venv|sanity|programs|lab|lock" ;;
esac
