# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from voltainer_lab.names import SUITES
from voltainer_lab.recipes import Recipe, host_recipe, services_recipe

RECIPE = Recipe(
    kind="host",
    suite="trixie",
    packages=("tar", "zstd"),
    dpkg_config="force-unsafe-io\n",
    install="true\n",
    finish="true\n",
)


def test_the_same_recipe_has_the_same_tag() -> None:
    assert RECIPE.digest == dataclasses.replace(RECIPE).digest
    assert RECIPE.reference == f"voltainer-lab-host:trixie-{RECIPE.digest}"


def test_the_order_of_packages_does_not_matter() -> None:
    assert dataclasses.replace(RECIPE, packages=("zstd", "tar")).digest == RECIPE.digest


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "services"},
        {"suite": "sid"},
        {"packages": ("tar", "zstd", "acl")},
        {"dpkg_config": ""},
        {"install": "false\n"},
        {"finish": "false\n"},
    ],
)
def test_every_part_of_a_recipe_counts(change: dict[str, Any]) -> None:
    assert dataclasses.replace(RECIPE, **change).digest != RECIPE.digest


def test_only_trixie_and_later_have_the_client_in_its_own_package() -> None:
    assert {suite: "docker-cli" in host_recipe(suite).packages for suite in SUITES} == {
        "bookworm": False,
        "trixie": True,
        "sid": True,
    }


def test_all_images_differ() -> None:
    references = [host_recipe(suite).reference for suite in SUITES] + [services_recipe().reference]
    assert len(set(references)) == len(references)
