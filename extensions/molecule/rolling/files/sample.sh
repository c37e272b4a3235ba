#!/bin/sh
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Writes to the file $2, about twice a second, how many tasks of the service $1 run, until there is a file $2.stop.
while [ ! -e "$2.stop" ]; do
    docker service ps --format '{{.CurrentState}}' "$1" | grep -c '^Running' >>"$2"
    sleep 0.5
done
