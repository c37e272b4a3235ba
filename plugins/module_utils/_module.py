# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only file that touches AnsibleModule: connection options, error boundary, diff, results, secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib
from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Connection
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import SdkMissingError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Facts, Outcome
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import address_secrets, leaves, secret_values

Wanted = TypeVar("Wanted")
AnyEngine = TypeVar("AnyEngine")

_NOT_SHOWN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"  # Ansible's own word for it

CONNECTION_SPEC: dict[str, dict[str, Any]] = {
    "docker_host": {
        "type": "str",
        "default": "unix:///var/run/docker.sock",
        "fallback": (env_fallback, ["DOCKER_HOST"]),
        "aliases": ["docker_url"],
    },
    "tls_hostname": {"type": "str", "fallback": (env_fallback, ["DOCKER_TLS_HOSTNAME"])},
    "api_version": {
        "type": "str",
        "default": "auto",
        "fallback": (env_fallback, ["DOCKER_API_VERSION"]),
        "aliases": ["docker_api_version"],
    },
    "timeout": {"type": "int", "default": 60, "fallback": (env_fallback, ["DOCKER_TIMEOUT"])},
    "ca_path": {"type": "path", "aliases": ["ca_cert", "tls_ca_cert", "cacert_path"]},
    "client_cert": {"type": "path", "aliases": ["tls_client_cert", "cert_path"]},
    "client_key": {"type": "path", "aliases": ["tls_client_key", "key_path"]},
    "tls": {"type": "bool", "default": False, "fallback": (env_fallback, ["DOCKER_TLS"])},
    "use_ssh_client": {"type": "bool", "default": False},
    "validate_certs": {
        "type": "bool",
        "default": False,
        "fallback": (env_fallback, ["DOCKER_TLS_VERIFY"]),
        "aliases": ["tls_verify"],
    },
}


@dataclass(frozen=True)
class SecretsOf:
    """A dict option of which some values are secret, and the option that lists the keys of those.

    Both may also stand in the items of the list option `items`, whose default for `keys` is the task's.
    """

    values: str
    keys: str
    items: str | None = None


@dataclass(frozen=True)
class ContentsOf:
    """A list option whose items have a secret `content`: nothing of it is shown, and no secret in it anywhere else."""

    items: str


@dataclass(frozen=True)
class AddressOf:
    """The suboption `address` of the dict option `option`: it is shown, without the passwords that stand in it."""

    option: str
    address: str


def run_module(
    spec: Mapping[str, Mapping[str, Any]],
    parse: Callable[[Mapping[str, Any]], Wanted],
    converge: Callable[[AnyEngine, Wanted, bool], Outcome | Facts],
    connect: Callable[[Connection], AnyEngine],
    secrets: Sequence[SecretsOf | ContentsOf | AddressOf] = (),
    **rules: Any,
) -> None:
    """Run a module: `parse` its options, `connect`, `converge` (engine, wanted, check mode), exit with the outcome.

    Options that `secrets` names as values or addresses must have `no_log` in `spec`, so that nothing of them is logged
    at start.
    `rules` are those of AnsibleModule between options, such as mutually_exclusive.
    """
    module = AnsibleModule(
        argument_spec={**CONNECTION_SPEC, **spec},
        supports_check_mode=True,
        required_together=[("client_cert", "client_key")],
        **rules,
    )
    params = dict(module.params)
    _keep_secrets(module, secrets)
    try:
        wanted = parse(params)
        outcome = converge(connect(_connection(module.params)), wanted, module.check_mode)
    except SdkMissingError as exc:
        library = "docker (Docker SDK for Python: python3-docker on Debian)"
        module.fail_json(msg=missing_required_lib(library), exception=exc.trace)
    except VolumesError as exc:
        module.fail_json(msg=_printable(str(exc)), **exc.details)
    _exit(module, outcome)


def _exit(module: AnsibleModule, outcome: Outcome | Facts) -> None:
    if isinstance(outcome, Facts):
        _warn(module, outcome.warnings)
        module.exit_json(changed=False, **outcome.values)
        return
    plan = outcome.plan
    _warn(module, plan.warnings)
    result = {
        "changed": bool(plan.steps),
        "actions": [step.words for step in plan.steps],
        "diff": {"before": dict(plan.before), "after": dict(plan.after)},
        **outcome.values,
    }
    if outcome.failure:
        module.fail_json(msg=str(outcome.failure), **result, **outcome.failure.details)
    module.exit_json(**result)


def _printable(text: str) -> str:
    """Return the text without what would move a terminal's cursor; names of files may have anything in them."""
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text)


def _warn(module: AnsibleModule, warnings: Iterable[str]) -> None:
    for warning in warnings:
        module.warn(_printable(warning))


def _keep_secrets(module: AnsibleModule, options: Sequence[SecretsOf | ContentsOf | AddressOf]) -> None:
    """Narrow `no_log` from all that secret options hold to what is secret.

    With all of it, every "1" and "true" in a result would be blotted out.
    """
    dicts = [option for option in options if isinstance(option, SecretsOf)]
    contents = [option.items for option in options if isinstance(option, ContentsOf)]
    addresses = [one for one in options if isinstance(one, AddressOf)]
    aside = {*contents, *(option.values for option in dicts), *(one.address for one in addresses)}
    inside = {secret for name in contents for secret in _taken_out(module, name)}
    for one in addresses:
        given = str((module.params[one.option] or {}).get(one.address) or "")
        module.no_log_values.discard(given)
        inside |= address_secrets(given)
    for option in dicts:
        for holder in _holders(module, option):
            module.no_log_values.difference_update(leaves(holder[option.values] or {}))
    # Only now: what is no secret in one option or item may be one in another, or the password of a third.
    module.no_log_values.update(value for value in _not_logged(module.argument_spec, module.params, aside) if value)
    for option in dicts:
        for holder in _holders(module, option):
            listed = module.params[option.keys] if holder[option.keys] is None else holder[option.keys]
            values = module.params[option.values] if holder[option.values] is None else holder[option.values]
            module.no_log_values.update(secret_values(values or {}, listed or ()))
    module.no_log_values.update(inside)


def _not_logged(spec: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any], aside: set[str]) -> Iterator[str]:
    """Yield the values of all options with `no_log`, those inside of others too, but none that is put aside."""
    for name, option in spec.items():
        value = None if name in aside else given.get(name)
        if option.get("no_log"):
            yield from leaves(value)
        elif value and option.get("options"):
            for one in value if isinstance(value, list) else [value]:
                yield from _not_logged(option["options"], one, aside)


def _holders(module: AnsibleModule, option: SecretsOf) -> list[Mapping[str, Any]]:
    return [module.params, *((module.params[option.items] or ()) if option.items else ())]


def _taken_out(module: AnsibleModule, name: str) -> set[str]:
    """Take the contents of an option out of what is returned as the task's arguments; return the secrets in them."""
    entries = module.params[name]
    if not entries:
        return set()
    # Not for every task: it brings the readers of all formats along.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_config  # noqa: PLC0415

    module.no_log_values.difference_update(leaves(entries))
    module.params[name] = [
        {**entry, **({} if entry.get("content") is None else {"content": _NOT_SHOWN})} for entry in entries
    ]
    return _plugin_config.secrets_of(entries)


def _connection(params: Mapping[str, Any]) -> Connection:
    folder = os.environ.get("DOCKER_CERT_PATH")
    files = {"ca_path": "ca.pem", "client_cert": "cert.pem", "client_key": "key.pem"}
    paths: dict[str, Any] = {
        option: params[option] or (os.path.join(folder, file) if folder else None) for option, file in files.items()
    }
    others = {option: params[option] for option in CONNECTION_SPEC if option not in files}
    return Connection(**others, **paths)
