# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_wanted import BackupWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import QuiesceWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Repository
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_wanted import RestoreWanted, check_source
from ansible_collections.voltainer.volumes.plugins.module_utils._retention import Keep

from .backups import REPOSITORY, wanted, wanted_back

KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
IN_REPOSITORY = {"path": None, "repository": REPOSITORY}
RESTIC = Repository("/srv/restic", "/root/pw")


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({}, {}),
        ({"name": "nas/reports"}, {"name": "nas/reports"}),
        ({"compression": "gzip"}, {"compression": "gzip", "level": 6}),
        ({"compression": "none", "level": 99}, {"compression": "none", "level": 0}),
        ({"level": 19, "threads": 2}, {"level": 19, "threads": 2}),
        ({"encryption": "age", "recipients": [KEY]}, {"encryption": "age", "recipients": (KEY,)}),
        ({"keep": {"last": 3}}, {"keep": Keep(last=3)}),
        ({"unless_changed": True, "verify": False}, {"unless_changed": True, "verify": False}),
        (IN_REPOSITORY, {"path": None, "repository": RESTIC}),
        (
            {"quiesce": "stop", "services": "scale", "quiesce_timeout": 10},
            {"quiesce": QuiesceWanted("stop", "scale", 10)},
        ),
        ({"secret_options": ["pin"], "timeout": 5}, {"secret_options": ("pin",), "timeout": 5}),
        ({"fetch_to": "backups"}, {}),
    ],
)
def test_a_backup(params, fields):
    assert wanted(**params) == BackupWanted(**{"name": "pgdata", "path": "/srv/backups", **fields})


@pytest.mark.parametrize(
    ("params", "programs"),
    [
        ({}, ("zstd",)),
        ({"compression": "gzip"}, ()),
        ({"compression": "none"}, ()),
        ({"encryption": "age", "recipients": [KEY]}, ("zstd", "age")),
        ({"encryption": "gpg", "recipients": ["x"], "compression": "none"}, ("gpg",)),
        (IN_REPOSITORY, ("restic",)),
    ],
)
def test_the_programs_of_a_backup(params, programs):
    assert wanted(**params).programs == programs


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": ""}, "'name' is empty"),
        ({"name": "a b"}, "invalid value 'a b'"),
        ({"name": "pgdata.voltainer-change"}, "staging volumes of this collection"),
        ({"path": None}, "None of the options 'path', 'repository' is given"),
        ({"repository": REPOSITORY}, "2 of the options 'path', 'repository' are given"),
        ({"path": ""}, "The option 'path' is empty"),
        ({"path": "backups"}, "'path' has the invalid value 'backups'"),
        ({"level": 20}, "zstd has the levels 1 to 19"),
        ({"quiesce_timeout": 0}, "'quiesce_timeout' is invalid"),
        ({"threads": -1}, "'threads' has the invalid value -1"),
        ({"keep": {"last": -1}}, "'keep.last' has the invalid value -1"),
        ({"keep": {"daily": 0}}, "'keep' keeps nothing"),
        ({"encryption": "age"}, "'recipients' is not given"),
        ({"encryption": "gpg", "recipients": []}, "'recipients' is not given"),
        ({"recipients": [KEY]}, "the archive would not be encrypted"),
        ({"encryption": "age", "recipients": [KEY, "-x"]}, "invalid value '-x'"),
        ({**IN_REPOSITORY, "encryption": "age", "recipients": [KEY]}, "restic encrypts all that is in a repository"),
        ({**IN_REPOSITORY, "fetch_to": "backups"}, "there is no archive that could be fetched"),
        ({"path": None, "repository": {**REPOSITORY, "location": "x"}}, "'repository.location' has the invalid value"),
    ],
)
def test_what_is_wrong_with_a_backup(params, words):
    with pytest.raises(InvalidInputError) as caught:
        wanted(**params)
    assert words in str(caught.value)
    assert caught.value.way_out


def test_all_errors_of_a_backup_are_told_at_once():
    with pytest.raises(VolumesError) as caught:
        wanted(name="", path=None, level=20, threads=-1, encryption="age", keep={"last": -1})
    assert "There are 6 errors" in str(caught.value)
    assert "Nothing was changed" in str(caught.value)
    assert len(caught.value.details["errors"]) == 6


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({}, {}),
        ({"snapshot": "20260101T000000Z"}, {"snapshot": "20260101T000000Z"}),
        (IN_REPOSITORY, {"path": None, "repository": RESTIC}),
        ({**IN_REPOSITORY, "snapshot": "1a2b3c4d"}, {"path": None, "repository": RESTIC, "snapshot": "1a2b3c4d"}),
        ({"backup_of": "nas/reports"}, {"backup_of": "nas/reports"}),
        ({"strip": "/backup/app/"}, {"strip": "backup/app"}),
        ({"strip": ""}, {"strip": ""}),
        ({"driver": "rclone", "name": "a/b"}, {"driver": "rclone", "name": "a/b"}),
        ({"driver_options": {"size": 25}, "labels": {}}, {"driver_options": {"size": "25"}, "labels": {}}),
        ({"identity_file": "/root/key"}, {"identity_file": "/root/key"}),
        ({"keep_previous": False, "confirm": "pgdata"}, {"keep_previous": False, "confirm": "pgdata"}),
        ({"on_existing": "fail", "allow_devices": True}, {"on_existing": "fail", "allow_devices": True}),
    ],
)
def test_a_restore(params, fields):
    assert wanted_back(**params) == RestoreWanted(**{"name": "pgdata", "path": "/srv/backups", **fields})


@pytest.mark.parametrize(("params", "backed_up"), [({}, "pgdata"), ({"backup_of": "old"}, "old")])
def test_the_volume_whose_backup_is_taken(params, backed_up):
    assert wanted_back(**params).backed_up == backed_up


@pytest.mark.parametrize(("confirm", "confirmed"), [(None, False), ("pgdata", True), ("pg*", False)])
def test_confirmation(confirm, confirmed):
    assert wanted_back(confirm=confirm).confirmed == confirmed


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "x", "driver": "local"}, "two or more characters"),
        ({"name": "a/b", "driver": "local"}, "invalid value"),
        ({"path": None}, "None of the options 'path', 'src', 'repository' is given"),
        ({"src": "x.tar"}, "2 of the options 'path', 'src', 'repository' are given"),
        ({"path": None, "src": "x.tar"}, "The file 'x.tar' of the controller is not on the host"),
        ({"path": "x.tar"}, "'path' has the invalid value 'x.tar'"),
        ({"snapshot": "yesterday"}, "it is no time as it stands in the names of archives"),
        ({"snapshot": "1a2b3c4d"}, "it is no time as it stands in the names of archives"),
        ({**IN_REPOSITORY, "snapshot": "20260101T000000Z"}, "it is no ID of a snapshot"),
        ({**IN_REPOSITORY, "snapshot": "--all"}, "it is no ID of a snapshot"),
        ({"backup_of": ""}, "'backup_of' is empty"),
        ({"strip": "../x"}, "'strip' has the invalid value '../x'"),
        ({"identity_file": "key"}, "'identity_file' has the invalid value 'key'"),
        ({"driver": " "}, "'driver' is empty"),
        ({"driver_options": {"a": None}}, "'a' in the option 'driver_options'"),
        ({"labels": {"a": True}}, "Put the value into quotes"),
        ({"labels": {"voltainer.volumes.protected": "true"}}, "come back with the backup"),
    ],
)
def test_what_is_wrong_with_a_restore(params, words):
    with pytest.raises(VolumesError) as caught:
        wanted_back(**params)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"src": "x.tar"}, None),
        ({"src": "x.tar", "snapshot": "latest"}, None),
        ({"src": "x.tar", "snapshot": "20260101T000000Z"}, "'src' is a single archive"),
        ({"src": "x.tar", "path": "/x"}, "2 of the options"),
        ({"src": ""}, "'src' is empty"),
        ({}, "None of the options"),
    ],
)
def test_what_the_action_plugin_checks_before_an_upload(params, words):
    if words is None:
        check_source(params)
    else:
        with pytest.raises(InvalidInputError, match=words):
            check_source(params)
