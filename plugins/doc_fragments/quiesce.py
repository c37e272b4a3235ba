# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that bring the users of a volume to rest while its data is read or written."""

from __future__ import annotations


class ModuleDocFragment:
    """The documentation fragment `voltainer.volumes.quiesce`."""

    DOCUMENTATION = r"""
options:
  quiesce:
    description:
      - What to do with containers of this engine that have the volume mounted and run, while its data is worked with.
        They are brought back afterwards, whatever happens; only those that ran are, and as they were.
      - V(none) lets them go on. What they write meanwhile may be in the copy in part.
      - V(pause) freezes them and lets them go on afterwards. It takes no time, and what they had not written yet is not
        in the volume.
      - V(stop) stops them, the youngest first, and starts them again in the opposite order. It is the only way in which
        they can finish what they write. Containers with C(--rm) are refused, since they would be gone.
      - Tasks of services are refused, since the swarm would start others for them; see O(services).
      - A run that is killed in the middle leaves a volume behind, named like this one with C(.voltainer-quiesce) at its
        end, which says who is at rest. The next task that uses the data of any volume of this engine brings them back
        first, and removes it.
    type: str
    choices: [none, pause, stop]
    default: none
  services:
    description:
      - What to do with services of the swarm that mount a volume of this name, while its data is worked with. It takes
        an engine that is a manager.
      - V(none) lets them go on.
      - V(scale) scales replicated services to 0, and afterwards back to what they had; global services get a placement
        constraint that no node meets, which is taken from them afterwards. All else that somebody changes meanwhile
        stays changed, and so do replicas that are not 0 any more. Jobs that run are refused.
      - A volume of this name on another node, which may be another one, has no users meanwhile, either.
      - After that, C(docker service rollback) would go back to no tasks, since it knows the last update only.
    type: str
    choices: [none, scale]
    default: none
  quiesce_timeout:
    description:
      - How many seconds each container has to stop, and all tasks of services together to be gone.
      - A container that has not stopped by then is killed, and the task warns of it. Where tasks are not gone by then,
        all are brought back, and the task fails.
    type: int
    default: 60
"""
