#!/bin/sh
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The demo on the hosts of the inventory $1: what would happen, then for real, then again, then what became of the data.
set -eu
inventory=$1
cd "$(dirname "$0")"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export ANSIBLE_CALLBACK_RESULT_FORMAT=yaml ANSIBLE_PIPELINING=1 ANSIBLE_DISPLAY_SKIPPED_HOSTS=0

step() {
    printf '\n=== %s ===\n' "$1"
    shift
    ansible-playbook --inventory "$inventory" "$@"
}

step "1. What would happen (--check --diff)" site.yml --check --diff
step "2. For real" site.yml
step "3. Again: nothing may change" site.yml | tee "$log"
if ! grep -q 'changed=0 ' "$log" || grep -qE '(changed|failed|unreachable)=[1-9]' "$log"; then
    echo "The second run was to change nothing." >&2
    exit 1
fi
step "4. The data outlives its containers" proof.yml
printf '\nThe host stays up, and the next "make demo" finds it. "make clean" takes everything away.\n'
