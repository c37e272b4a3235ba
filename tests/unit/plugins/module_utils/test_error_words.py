# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors also tell what was done before them."""

from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, after


@pytest.mark.parametrize(
    ("done", "told"), [("The copy is undone now", " The copy is undone now."), ("", "")], ids=["something", "nothing"]
)
def test_what_was_done_before_is_told_with_the_error(done, told):
    with pytest.raises(RefusedError) as caught, after(done):
        raise RefusedError("Cannot copy", "it is there", "Set 'on_existing'")
    assert str(caught.value) == f"Cannot copy: it is there. Set 'on_existing'.{told}"
