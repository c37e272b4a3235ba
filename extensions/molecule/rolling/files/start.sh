#!/bin/sh
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Starts the command given in a process group of its own, prints the number of that, and leaves it running.
setsid "$@" >/dev/null 2>&1 </dev/null &
echo $!
