# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages that are made from the presets and the role's argument specs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import role_docs
import yaml
from ansible_collections.voltainer.volumes.plugins.module_utils._config_file import problems

LOADED = role_docs.presets()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Needed where O(state) is V(present).", "Needed where `state` is `present`."),
        ("V(0) or V(true) or O(state=absent)", "`0` or `true` or `state=absent`"),
        ("M(a.b.c) and P(a.b.c#filter) and RV(x) and E(HOME)", "`a.b.c` and `a.b.c` and `x` and `HOME`"),
        ("B(bold) and I(slanted)", "**bold** and *slanted*"),
        (r"C(f(x\)) and C(a\\b)", r"`f(x)` and `a\b`"),
        ("U(https://example.com/) and L(words,https://example.com/a)", "<https://example.com/> and [words](https://example.com/a)"),
        ("C(a`b)", "`` a`b ``"),
        ("no markup: SO(x), f(x)", "no markup: SO(x), f(x)"),
    ],
)  # fmt: skip
def test_markup(text: str, shown: str) -> None:
    assert role_docs.markdown(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("enabled", "`enabled`"),
        ("0600", '`"0600"`'),
        ("true", '`"true"`'),
        ("", '`""`'),
        (True, "`true`"),
        (0, "`0`"),
        ([], "`[]`"),
        (None, "`null`"),
        ({"a": [1]}, "`{a: [1]}`"),
        ("a*", "`a*`"),
        ("a: b", "`a: b`"),
    ],
)
def test_code(value: object, shown: str) -> None:
    assert role_docs.code(value) == shown


def test_a_cell_stays_in_its_cell() -> None:
    assert role_docs.table(("A",), [("x|y\nz",)]) == "| A |\n| --- |\n| x\\|y z |"


OPTIONS = {
    "state": {"type": "str", "default": "up", "choices": ["up", "down"], "description": ["One.", "V(up) is two."]},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "description": "Files.",
        "options": {
            "path": {"type": "str", "required": True, "description": "Where."},
            "more": {"type": "dict", "description": "More.", "options": {"x": {"type": "int", "description": "X."}}},
        },
    },
}


def test_variables_and_their_keys() -> None:
    assert role_docs.variables(OPTIONS).split("\n") == [
        "| Variable | Type | Default | Choices | What it is |",
        "| --- | --- | --- | --- | --- |",
        "| `state` | `str` | `up` | `up`, `down` | One. `up` is two. |",
        "| `files` | `list` of `dict` | `[]` |  | Files. Its keys are [below](#files). |",
        "",
        "### `files`",
        "",
        "| Key | Type | Default | Choices | What it is |",
        "| --- | --- | --- | --- | --- |",
        "| `path` | `str` | required |  | Where. |",
        "| `more` | `dict` |  |  | More. Its keys are [below](#filesmore). |",
        "",
        "### `files.more`",
        "",
        "| Key | Type | Default | Choices | What it is |",
        "| --- | --- | --- | --- | --- |",
        "| `x` | `int` |  |  | X. |",
    ]


def test_only_what_is_between_the_markers_is_written() -> None:
    old = f"before\n{role_docs.BEGIN}\nold\n{role_docs.END}\nafter\n"
    new = role_docs.with_variables(old, OPTIONS)
    assert new.startswith(f"before\n{role_docs.BEGIN}\n\n| Variable")
    assert new.endswith(f"X. |\n\n{role_docs.END}\nafter\n")
    assert role_docs.with_variables(new, OPTIONS) == new
    with pytest.raises(SystemExit, match="markers"):
        role_docs.with_variables("no markers", OPTIONS)


@pytest.mark.parametrize("name", LOADED)
def test_a_page_tells_all_that_a_preset_has(name: str) -> None:
    preset = LOADED[name]
    page = role_docs.preset_page(name, preset)
    assert page.startswith(f"# {preset['title']}\n")
    for key in ("settings", "volume_options"):
        assert all(f"| {role_docs.code(one)} |" in page for one in preset.get(key, {}))
    for one in preset.get("notes", []):
        assert f"- {one}\n" in page
    for one in preset.get("sources", []):
        assert f"<{one}>" in page
    for file in preset.get("config_files", []):
        assert f"## Config file `{file['path']}`" in page
    assert "None" not in page
    assert "\n\n\n" not in page


@pytest.mark.parametrize("name", LOADED)
def test_the_playbook_of_a_page_can_be_read_and_its_config_is_valid(name: str) -> None:
    found = re.search("```yaml\n(- name: .*?)```", role_docs.preset_page(name, LOADED[name]), re.DOTALL)
    assert found is not None
    (play,) = yaml.safe_load(found.group(1))
    (role,) = play["roles"]
    given = role["vars"]
    assert given["storage_plugin_preset"] == name
    assert ("storage_plugin_remote" in given) != ("remote" in LOADED[name])
    assert ("storage_plugin_privileges" in given) != ("privileges" in LOADED[name])
    for file in LOADED[name].get("config_files", []):
        content = {"content": given["storage_plugin_config"]}
        assert problems([{key: file[key] for key in ("path", "format", "schema")} | content]) == []


def test_keys_of_a_schema() -> None:
    schema = {
        "required": ["a"],
        "anyOf": [{"required": ["b", "c"]}, {"required": ["d"]}],
        "properties": {
            "a": {"type": "array", "items": {"properties": {"x": {"enum": ["up", "1"]}}}},
            "b": {"type": "string", "minLength": 1, "pattern": "^[0-9]+$"},
            "d": {"const": 1, "description": "One."},
            "e": {"type": "object", "additionalProperties": {"properties": {"y": {"type": "integer"}}}},
        },
    }
    assert list(role_docs.schema_rows(schema)) == [
        ("`a`", "list", "yes", ""),
        ("`a[].x`", 'one of `up`, `"1"`', "", ""),
        ("`b`", "string, not empty like `^[0-9]+$`", "one of `b and c`, `d`", ""),
        ("`d`", "`1`", "one of `b and c`, `d`", "One."),
        ("`e`", "mapping", "", ""),
        ("`e.*`", "", "", ""),
        ("`e.*.y`", "whole number", "", ""),
    ]


def test_the_pages_are_current() -> None:
    assert role_docs.differences(role_docs.pages()) == ""


def test_what_is_not_current_is_shown_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(role_docs.checkout, "ROOT", tmp_path)
    monkeypatch.setattr(role_docs, "PAGES", tmp_path / "docs")
    wanted = {tmp_path / "docs" / "new.md": "# New\n"}
    monkeypatch.setattr(role_docs, "pages", lambda: wanted)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "gone.md").write_text("# Gone\n")
    monkeypatch.setattr("sys.argv", ["role_docs.py", "--check"])
    assert role_docs.main() == 1
    shown = capsys.readouterr().out
    assert "-# Gone\n" in shown
    assert "+# New\n" in shown
    assert "make docs" in shown
    monkeypatch.setattr("sys.argv", ["role_docs.py"])
    assert role_docs.main() == 0
    assert [path.name for path in (tmp_path / "docs").iterdir()] == ["new.md"]
    monkeypatch.setattr("sys.argv", ["role_docs.py", "--check"])
    assert role_docs.main() == 0
    monkeypatch.setattr("sys.argv", ["role_docs.py", "--what"])
    with pytest.raises(SystemExit, match="usage"):
        role_docs.main()
