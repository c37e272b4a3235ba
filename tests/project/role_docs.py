# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the pages that are made from the presets and from the role's argument specs.

Without an option the pages are written. `--check` writes nothing, shows what would differ, and fails if anything does.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import checkout
import yaml

sys.path.insert(0, str(checkout.link()))

from ansible_collections.voltainer.volumes.plugins.module_utils._config_file import render

ROLE = checkout.ROOT / "roles" / "storage_plugin"
PRESETS = ROLE / "vars" / "presets"
README = ROLE / "README.md"
PAGES = checkout.ROOT / "docs" / "presets"
BEGIN, END = "<!-- variables: begin -->", "<!-- variables: end -->"
MADE = "<!-- Written by `make docs` from {}; changes belong there. -->"
TO_BE_GIVEN = "to be given"

_MARKUP = re.compile(r"\b(O|V|C|M|P|RV|E|B|I|U|L)\(((?:\\.|[^\\)])*)\)")

_RESOLVER = yaml.SafeLoader("")
_TEXT = "tag:yaml.org,2002:str"

Row = tuple[str, ...]


# --- Markdown ----------------------------------------------------------------------------------------------------


def markdown(text: str) -> str:
    """Return a text with Ansible's markup as Markdown."""
    return _MARKUP.sub(_marked, text)


def _marked(found: re.Match[str]) -> str:
    kind, inner = found.group(1), re.sub(r"\\(.)", r"\1", found.group(2))
    if kind == "L":
        words, _comma, address = inner.rpartition(",")
        return f"[{words.strip()}]({address.strip()})"
    around = {"B": "**", "I": "*"}.get(kind)
    if around:
        return f"{around}{inner}{around}"
    return f"<{inner}>" if kind == "U" else _ticked(inner.split("#")[0] if kind == "P" else inner)


def code(value: object) -> str:
    """Return a value as Markdown shows code, and as YAML writes it where a text could be taken for something else."""
    if isinstance(value, str):
        kind = _RESOLVER.resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]  # PyYAML's own
        return _ticked(value if kind == _TEXT else f'"{value}"')
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return _ticked(text.removesuffix("\n").removesuffix("\n..."))


def _ticked(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def table(head: Row, rows: Iterable[Row]) -> str:
    """Return a Markdown table."""
    lines = [head, tuple("---" for _cell in head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def listed(words: Iterable[str]) -> str:
    """Return a Markdown list."""
    return "\n".join(f"- {one}" for one in words)


# --- variables of the role ---------------------------------------------------------------------------------------


def variables(options: Mapping[str, Any]) -> str:
    """Return the tables of the role's variables: one of all, and one under a heading of its own for each with keys."""
    return "\n\n".join(_option_tables("Variable", "", options)).lstrip()


def _option_tables(noun: str, name: str, options: Mapping[str, Any]) -> Iterator[str]:
    if name:
        yield f"### `{name}`"
    yield table(
        (noun, "Type", "Default", "Choices", "What it is"),
        (_option_row(key, spec, name) for key, spec in options.items()),
    )
    for key, spec in options.items():
        if spec.get("options"):
            yield from _option_tables("Key", f"{name}.{key}" if name else key, spec["options"])


def _option_row(key: str, spec: Mapping[str, Any], above: str) -> Row:
    description = spec.get("description", [])
    words = markdown(" ".join([description] if isinstance(description, str) else description))
    if spec.get("options"):
        full = f"{above}.{key}" if above else key
        words += f" Its keys are [below](#{full.replace('.', '')})."
    default = "required" if spec.get("required") else code(spec["default"]) if "default" in spec else ""
    kind = f"`{spec.get('type', 'str')}`" + (f" of `{spec['elements']}`" if "elements" in spec else "")
    return f"`{key}`", kind, default, ", ".join(code(one) for one in spec.get("choices", [])), words


def with_variables(readme: str, options: Mapping[str, Any]) -> str:
    """Return the README with the tables between its markers written anew."""
    before, begin, rest = readme.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{README}: the markers {BEGIN} and {END} are missing")
    return f"{before}{BEGIN}\n\n{variables(options)}\n\n{END}{after}"


# --- presets -----------------------------------------------------------------------------------------------------


def presets() -> dict[str, dict[str, Any]]:
    """Return all presets by name."""
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(PRESETS.glob("*.yml"))}


def preset_page(name: str, preset: Mapping[str, Any]) -> str:
    """Return the page of a preset."""
    parts = [
        f"# {preset['title']}",
        MADE.format(f"roles/storage_plugin/vars/presets/{name}.yml"),
        preset["about"],
        f"State of the plugin: {preset['maintenance']}.",
        *_example(name, preset),
        *_basics(name, preset),
        *_files(preset),
        *_settings(preset),
        *_host(preset),
        *_volumes(preset),
        *_list("What to know", preset.get("notes", [])),
        *_list("Sources", [f"<{address}>" for address in preset.get("sources", [])]),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def index_page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page that lists all presets."""
    rows = (
        (
            f"[`{name}`]({name}.md)",
            preset["title"],
            preset["maintenance"],
            code(preset["remote"]) if "remote" in preset else TO_BE_GIVEN,
            "known" if "privileges" in preset else TO_BE_GIVEN,
            ", ".join(code(file["path"]) for file in preset.get("config_files", [])),
        )
        for name, preset in found.items()
    )
    parts = [
        "# Presets",
        MADE.format("roles/storage_plugin/vars/presets"),
        "What the role `voltainer.volumes.storage_plugin` knows of storage plugins. A preset is chosen with "
        "`storage_plugin_preset`. What a playbook gives itself counts more than what the preset says. What no public "
        "source tells is left out of a preset, and has to be given.",
        table(("Preset", "Plugin", "State", "Reference", "Privileges", "Config file"), rows),
    ]
    return "\n\n".join(parts) + "\n"


def _list(heading: str, words: list[str]) -> list[str]:
    return [f"## {heading}", listed(words)] if words else []


def _example(name: str, preset: Mapping[str, Any]) -> list[str]:
    """Return a playbook that can be run as it stands, once addresses and secrets are the operator's own."""
    values: dict[str, Any] = {"storage_plugin_preset": name}
    if "remote" not in preset:
        values["storage_plugin_remote"] = f"registry.example.com/{name.replace('_', '-')}:1.0"
    if "privileges" not in preset:
        values["storage_plugin_privileges"] = "all"
    secrets = [key for key, spec in preset.get("settings", {}).items() if spec.get("secret")]
    if secrets:
        values["storage_plugin_settings"] = {key: f"{{{{ vault_{_variable(key)} }}}}" for key in secrets}
    for file in preset.get("config_files", []):
        values["storage_plugin_config"] = file["example"]
    play = {
        "name": f"Set up {preset['title']}",
        "hosts": "docker_hosts",
        "become": True,
        "roles": [{"role": "voltainer.volumes.storage_plugin", "vars": values}],
    }
    words = ["Keep secrets in vaulted variables."]
    if "privileges" not in preset:
        words.append(
            "`all` grants whatever the plugin asks for: replace it with the list that you have read and approve."
        )
    return ["## Example", _fenced("yaml", _yaml([play])), " ".join(words)]


def _variable(key: str) -> str:
    return re.sub(r"\W", "_", key).lower()


class _Dumper(yaml.SafeDumper):
    """Writes lists indented, as yamllint and ansible-lint want them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Never leave the indentation out."""
        super().increase_indent(flow, indentless=False)


def _yaml(data: object) -> str:
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=140
    )
    return text


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _basics(name: str, preset: Mapping[str, Any]) -> list[str]:
    rows = [("Preset", code(name))]
    rows += [(title, code(preset[key]) if key in preset else TO_BE_GIVEN) for title, key in _BASICS]
    parts = ["## What it sets", table(("What", "Value"), rows), "### Privileges"]
    if "privileges" not in preset:
        return [*parts, "Not known for certain, so they have to be given with `storage_plugin_privileges`."]
    listing = [(code(one["name"]), ", ".join(code(value) for value in one["value"])) for one in preset["privileges"]]
    return [*parts, table(("Name", "Value"), listing)]


_BASICS = (("Reference", "remote"), ("Alias", "alias"))


def _files(preset: Mapping[str, Any]) -> Iterator[str]:
    for file in preset.get("config_files", []):
        yield f"## Config file `{file['path']}`"
        how = f"Format {code(file['format'])}, strategy {code(file['strategy'])}."
        if file.get("initial"):
            keys = ", ".join(code(key) for key in file["initial"])
            how += f" Written only where they are missing, since the plugin renews them: {keys}."
        yield how
        yield table(("Key", "What it may be", "Needed", "What it is"), schema_rows(file["schema"]))
        yield "An example:"
        yield _fenced(file["format"], render(file["example"], file["format"], file["path"]))


def schema_rows(schema: Mapping[str, Any], above: str = "") -> Iterator[Row]:
    """Yield a row for each key that a schema describes: its place, what it may be, whether it is needed, what it is."""
    names = dict(schema.get("properties", {}))
    others = schema.get("additionalProperties")
    if isinstance(others, Mapping) and others.get("properties"):
        names["*"] = others
    for key, rules in names.items():
        place = f"{above}.{key}" if above else key
        yield _ticked(place), _kind(rules), _needed(key, schema), rules.get("description", "")
        yield from schema_rows(rules, place)
        if isinstance(rules.get("items"), Mapping):
            yield from schema_rows(rules["items"], f"{place}[]")


def _kind(rules: Mapping[str, Any]) -> str:
    if "enum" in rules:
        return "one of " + ", ".join(code(value) for value in rules["enum"])
    if "const" in rules:
        return code(rules["const"])
    words = str(_KINDS.get(rules.get("type", ""), rules.get("type", "")))
    if rules.get("minLength"):
        words += ", not empty"
    if "pattern" in rules:
        words += f" like {code(rules['pattern'])}"
    return words


_KINDS = {"object": "mapping", "array": "list", "integer": "whole number"}


def _needed(key: str, schema: Mapping[str, Any]) -> str:
    if key in schema.get("required", []):
        return "yes"
    alternatives = [branch["required"] for branch in schema.get("anyOf", []) if set(branch) == {"required"}]
    if any(key in names for names in alternatives):
        return "one of " + ", ".join(code(" and ".join(names)) for names in alternatives)
    return ""


def _settings(preset: Mapping[str, Any]) -> list[str]:
    if not preset.get("settings"):
        return []
    rows = (
        (
            code(key),
            code(spec["default"]) if "default" in spec else "",
            code(spec["example"]) if "example" in spec else "",
            "yes" if spec.get("secret") else "",
            spec["description"],
        )
        for key, spec in preset["settings"].items()
    )
    return ["## Settings", table(("Setting", "Default", "Example", "Secret", "What it is"), rows)]


def _host(preset: Mapping[str, Any]) -> list[str]:
    parts = []
    for title, key in (("Packages", "packages"), ("Services", "services")):
        if preset.get(key):
            rows = ((where, ", ".join(map(code, names))) for where, names in preset[key].items())
            parts.append(table(("Distribution", title), rows))
    if preset.get("kernel_modules"):
        parts.append(f"Kernel modules: {', '.join(map(code, preset['kernel_modules']))}.")
    if preset.get("directories"):
        rows = ((code(one["path"]), code(one["mode"]) if "mode" in one else "") for one in preset["directories"])
        parts.append(table(("Folder", "Mode"), rows))
    if preset.get("state_file"):
        state = preset["state_file"]
        place = f"{code(state['name'])} in the folder of the setting {code(state['folder_setting'])}"
        parts.append(f"The plugin keeps which volumes it has in the file {place}.")
    return ["## What the host needs", *parts] if parts else []


def _volumes(preset: Mapping[str, Any]) -> list[str]:
    parts = ["## Volumes"]
    if preset.get("volume_options"):
        rows = (
            (code(key), code(spec["example"]), spec["description"]) for key, spec in preset["volume_options"].items()
        )
        parts.append(table(("Driver option", "Example", "What it is"), rows))
    canary = preset["canary"]
    if not canary["enabled"]:
        return [*parts, "No test volume is made after a change."]
    words = "A test volume is made after each change, and removed again"
    options = canary.get("driver_options", {})
    if options:
        words += ", with " + ", ".join(code(f"{key}={value}") for key, value in options.items())
    words += "."
    if canary.get("required"):
        words += f" Its driver options have to be given: {', '.join(map(code, canary['required']))}."
    return [*parts, words]


# --- files -------------------------------------------------------------------------------------------------------


def pages() -> dict[Path, str]:
    """Return all pages that are made, by their paths."""
    found = presets()
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    made = {PAGES / f"{name}.md": preset_page(name, preset) for name, preset in found.items()}
    made[PAGES / "README.md"] = index_page(found)
    options = specs["argument_specs"]["main"]["options"]
    made[README] = with_variables(README.read_text(encoding="utf-8"), options)
    return made


def differences(wanted: Mapping[Path, str]) -> str:
    """Return what differs between the files and what they should be, as a diff. Pages of no preset are to go."""
    changes: list[str] = []
    for path in sorted({*wanted, *PAGES.glob("*.md")}):
        name = path.relative_to(checkout.ROOT).as_posix()
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = old.splitlines(keepends=True), wanted.get(path, "").splitlines(keepends=True)
        changes += difflib.unified_diff(*lines, f"{name} as it is", f"{name} as it should be")
    return "".join(changes)


def write(wanted: Mapping[Path, str]) -> None:
    """Bring the files to what they should be."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for path in set(PAGES.glob("*.md")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    print(f"{len(wanted)} pages are current")


def main() -> int:
    """Do what the command line asks for."""
    wanted = pages()
    match sys.argv[1:]:
        case []:
            write(wanted)
        case ["--check"]:
            found = differences(wanted)
            if found:
                print(f"{found}\nThese pages are not current: run `make docs`.")
                return 1
        case _:
            sys.exit(f"usage: {sys.argv[0]} [--check]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
