# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic, by outputs of 0.14.0 (Debian bookworm) and 0.18.0 (trixie), and by the program where it is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _restic
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import Origin
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Repository, parse_repository
from hypothesis import given
from hypothesis import strategies as st

OLD, NEW = (0, 14, 0), (0, 18, 0)
GIVEN = {"location": "/srv/restic", "password_file": "/root/pw", "cache_dir": None, "host": None, "environment": None}
HERE = Repository("/srv/restic", "/root/pw")
ORIGIN = Origin("pgdata", "local", {}, (), {}, "7a1c", "v1:ab")


def exit_error(code, message):
    """Return the last line of 0.18's output, and its exit code."""
    return code, json.dumps({"message_type": "exit_error", "code": code, "message": message})


@pytest.mark.parametrize(
    ("changes", "repository"),
    [
        ({}, HERE),
        (
            {"init": True, "prune": False, "host": "db1"},
            Repository("/srv/restic", "/root/pw", None, "db1", {}, True, False),
        ),
        ({"location": "sftp:backup@nas:/srv/restic"}, Repository("sftp:backup@nas:/srv/restic", "/root/pw")),
        ({"location": "s3:https://s3.example.com/bucket"}, Repository("s3:https://s3.example.com/bucket", "/root/pw")),
        ({"location": "rclone:nas:restic"}, Repository("rclone:nas:restic", "/root/pw")),
        (
            {"environment": {"AWS_ACCESS_KEY_ID": "a", "AWS_USE": True}},
            Repository("/srv/restic", "/root/pw", environment={"AWS_ACCESS_KEY_ID": "a", "AWS_USE": "true"}),
        ),
    ],
)
def test_the_option(changes, repository):
    assert parse_repository({**GIVEN, **changes}) == repository


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"location": ""}, r"'repository\.location' has the invalid value ''"),
        ({"location": "backups"}, "neither an absolute path nor an address"),
        ({"location": "local:backups"}, "neither an absolute path nor an address"),
        ({"location": "-o"}, "neither an absolute path nor an address"),
        ({"location": "s3:"}, "neither an absolute path nor an address"),
        ({"location": "/srv/a\nb"}, "neither an absolute path nor an address"),
        ({"location": "rest:https://user:hunter2@host/"}, "has a password in it"),
        ({"password_file": "pw"}, r"'repository\.password_file' has the invalid value 'pw'"),
        ({"cache_dir": "cache"}, r"'repository\.cache_dir' has the invalid value 'cache'"),
        ({"host": " "}, r"'repository\.host' is empty"),
        ({"environment": {"A B": "c"}}, "has the invalid key 'A B'"),
        ({"environment": {"": "c"}}, "has the invalid key ''"),
        ({"environment": {"A": "hunter2\0"}}, "has the invalid key 'A'"),
        ({"environment": {"A": ["hunter2"]}}, "is of type list"),
        ({"environment": {"RESTIC_PASSWORD": "hunter2"}}, r"Use 'repository\.password_file'"),
        ({"environment": {"RESTIC_REPOSITORY": "x"}}, r"Use 'repository\.location'"),
    ],
)
def test_what_the_option_must_not_say(changes, words):
    with pytest.raises(InvalidInputError, match=words) as caught:
        parse_repository({**GIVEN, **changes})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "folder"),
    [("/srv/restic", "/srv/restic"), ("local:/srv/restic", "/srv/restic"), ("sftp:nas:/srv", None), ("s3:x/y", None)],
)
def test_whether_it_is_on_this_host(location, folder):
    assert Repository(location, "/root/pw").folder == folder


def test_what_is_secret_goes_into_the_environment():
    repository = Repository("rest:https://nas/", "/root/pw", "/var/cache/r", None, {"AWS_SECRET_ACCESS_KEY": "hunter2"})
    base = {"PATH": "/usr/bin", "RESTIC_PASSWORD": "other", "RESTIC_REPOSITORY": "other", "LC_ALL": "de_DE.UTF-8"}
    assert _restic.environment(repository, base) == {
        "PATH": "/usr/bin",
        "LC_ALL": "C",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "RESTIC_REPOSITORY": "rest:https://nas/",
        "RESTIC_PASSWORD_FILE": "/root/pw",
        "RESTIC_CACHE_DIR": "/var/cache/r",
    }
    assert "hunter2" not in repr(repository)


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("rest:http://nas:8000/a", "rest:http://joe:p%40%2F%20w@nas:8000/a"),
        ("rest:https://nas/a@b", "rest:https://joe:p%40%2F%20w@nas/a@b"),
        ("rest:https://jim@nas/a", "rest:https://jim@nas/a"),
        ("s3:https://nas/a", "s3:https://nas/a"),
    ],
)
def test_the_password_of_a_rest_server_is_given_to_all_versions(location, address):
    given = {"RESTIC_REST_USERNAME": "joe", "RESTIC_REST_PASSWORD": "p@/ w"}
    repository = Repository(location, "/root/pw", environment=given)
    assert _restic.environment(repository, {})["RESTIC_REPOSITORY"] == address
    error = _restic.failure("Cannot look", repository, 1, "", f"Fatal: {address}: p@/ w")
    assert "p%40" not in str(error)
    assert "p@" not in str(error)


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("restic 0.14.0 compiled with go1.19.8 on linux/amd64", OLD),
        ("restic 0.18.0 compiled with go1.24.4 on linux/amd64\n", NEW),
        ("restic 0.17.3-dev (compiled manually)", (0, 17, 3)),
        ("bash: restic: command not found", None),
    ],
)
def test_versions(output, version):
    assert _restic.parse_version(output) == version


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (_restic.look_command(), "--no-lock cat config"),
        (_restic.look_command(lock=True), "cat config"),
        (_restic.init_command(), "init"),
        (_restic.backup_command("h", ["a=b", "c"], "_data"), "backup --host h --tag a=b --tag c -- _data"),
        (_restic.backup_command("h", [], "-x"), "backup --host h -- -x"),
        (_restic.check_command(lock=True), "check"),
        (_restic.check_command(lock=False), "--no-lock check"),
        (_restic.snapshots_command(), "--no-lock snapshots"),
        (_restic.snapshots_command("a/b", "h"), "--no-lock snapshots --tag voltainer.volume=a%2Fb --host h"),
        (_restic.forget_command(["ab", "cd"], prune=True), "forget --prune -- ab cd"),
        (_restic.forget_command(["ab"], prune=False), "forget -- ab"),
        (_restic.restore_command(OLD, "ab", "/t", verify=False), "restore --target /t -- ab"),
        (
            _restic.restore_command(NEW, "ab", "/t", verify=True),
            "restore --sparse --verify --target /t -- ab",
        ),
    ],
)
def test_commands(command, line):
    assert command == ["restic", "--json", *line.split()]


def test_nothing_is_forgotten_without_ids():
    # `restic forget` without IDs and with rules would be about all snapshots of all volumes.
    with pytest.raises(ValueError, match="without IDs"):
        _restic.forget_command([], prune=True)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FILLED = st.dictionaries(TEXTS, TEXTS, max_size=3)


@given(
    st.builds(
        Origin,
        volume=TEXTS.filter(bool),
        driver=TEXTS.filter(bool),
        options=FILLED,
        hidden_options=st.lists(TEXTS, max_size=2, unique=True).map(lambda keys: tuple(sorted(keys))),
        labels=FILLED,
        engine=TEXTS,
        content_digest=st.none() | st.just("v1:abcdef"),
    )
)
def test_tags_tell_how_the_volume_was_made(origin):
    tags = _restic.tags(origin)
    assert not any("," in tag or "\n" in tag for tag in tags)
    assert _restic.Snapshot("ab", datetime.now(timezone.utc), "h", (), tuple(sorted(tags))).origin == origin


@pytest.mark.parametrize(
    "tags", [(), ("daily",), ("voltainer.volume=",), ("voltainer.volume=a/b",), ("content-digest=v1:ab",)]
)
def test_snapshots_that_are_not_ours(tags):
    assert _restic.Snapshot("ab", datetime.now(timezone.utc), "h", (), tags).origin is None


SNAPSHOT_OLD = (
    '[{"time":"2026-11-28T05:38:04.523144382Z","tree":"9ab581d1acd1601d4716dee649599e7c1e3905972ec21c72e1528b00f3e778fd",'
    '"paths":["/srv/vols/pgdata/_data"],"hostname":"h","username":"root","tags":["voltainer.volume=pgdata",'
    '"content-digest=v1:ab"],"id":"65cc6f5c439070767ca1ea8593705b0d39d78277e6082f7586da4fe6cc159921",'
    '"short_id":"65cc6f5c"}]\n'
)
SNAPSHOT_NEW = SNAPSHOT_OLD.replace(
    '"id"', '"program_version":"restic 0.18.0","summary":{"files_new":1,"data_added":1060},"id"', 1
)


@pytest.mark.parametrize("output", [SNAPSHOT_OLD, SNAPSHOT_NEW])
def test_a_list_of_snapshots(output):
    (one,) = _restic.parse_snapshots(output, HERE)
    assert one.time == datetime(2026, 11, 28, 5, 38, 4, 523144, timezone.utc)
    assert (one.host, one.paths, one.short) == ("h", ("/srv/vols/pgdata/_data",), "65cc6f5c")
    assert one.origin == Origin("pgdata", "local", {}, (), {}, "", "v1:ab")
    assert _restic.restored_folders("/stage", one) == ["/stage/_data", "/stage/srv/vols/pgdata/_data"]


def test_snapshots_are_sorted_by_their_time_to_the_microsecond():
    record = json.loads(SNAPSHOT_OLD)[0]
    times = {
        "a": "2026-11-28T06:38:04.1+01:00",
        "b": "2026-11-28T05:38:04Z",
        "c": "2026-11-28T05:38:04.099999999Z",
        "d": "2025-01-01T00:00:00-02:00",
    }
    records = [{**record, "id": key * 8, "time": time} for key, time in times.items()]
    assert [one.id[0] for one in _restic.parse_snapshots(json.dumps(records), HERE)] == ["d", "b", "c", "a"]


@pytest.mark.parametrize("output", ["[]\n", "null"])
def test_no_snapshots(output):
    assert _restic.parse_snapshots(output, HERE) == []


@pytest.mark.parametrize(
    "output",
    [
        "",
        "{}x",
        "5",
        "[5]",
        '["a"]',
        "[{}]",
        "[" * 100_000,
        SNAPSHOT_OLD.replace("65cc6f5c4390", "--delete-all"),
        SNAPSHOT_OLD.replace("2026-11-28T", "2026-13-28T"),
        SNAPSHOT_OLD.replace('"h"', "5"),
        SNAPSHOT_OLD.replace('"content-digest=v1:ab"', "{}"),
    ],
)
def test_what_is_no_list_of_snapshots(output):
    with pytest.raises(VolumesError, match="Cannot list the snapshots in the repository at '/srv/restic'"):
        _restic.parse_snapshots(output, HERE)


STATUS = '{"message_type":"status","percent_done":0,"total_files":1,"total_bytes":3}\n'
SUMMARY_OLD = (
    '{"message_type":"summary","files_new":1,"files_changed":0,"files_unmodified":0,"dirs_new":2,"dirs_changed":0,'
    '"dirs_unmodified":0,"data_blobs":1,"tree_blobs":3,"data_added":1060,"total_files_processed":1,'
    '"total_bytes_processed":3,"total_duration":0.20714212,"snapshot_id":"65cc6f5c"}\n'
)
SUMMARY_NEW = SUMMARY_OLD.replace('"total_files_processed"', '"data_added_packed":842,"total_files_processed"')
UNREAD_OLD = (
    '{"message_type":"error","error":{"Op":"open","Path":"u/no","Err":13},"during":"archival","item":"/srv/u/no"}\n'
    '{"message_type":"error","error":{},"during":"archival","item":"u/secret"}\n'
    '{"message_type":"error","error":{},"during":"scan","item":"/srv/u/secret"}\n'
    "Warning: at least one source file could not be read\n"
)
UNREAD_NEW = (
    '{"message_type":"error","error":{"message":"openfile for readdirnames failed: open /srv/u/secret: permission'
    ' denied"},"during":"scan","item":"/srv/u/secret"}\n'
    '{"message_type":"error","error":{"message":"/srv/u/no: open u/no: permission denied"},"during":"archival",'
    '"item":"/srv/u/no"}\n'
    '{"message_type":"error","error":{"message":"openfile for readdirnames failed: open u/secret: permission denied"},'
    '"during":"archival","item":"u/secret"}\n'
    '{"message_type":"exit_error","code":3,"message":"Warning: at least one source file could not be read"}\n'
)
UNREAD = ("/srv/u/no", "u/secret")


@pytest.mark.parametrize(
    ("code", "output", "errors", "unread"),
    [
        (0, STATUS + SUMMARY_OLD, "", ()),
        (0, SUMMARY_NEW, "", ()),
        (0, SUMMARY_NEW, "nonesense\n{broken\n[1]\n", ()),
        (3, STATUS + SUMMARY_OLD, UNREAD_OLD, UNREAD),
        (3, SUMMARY_NEW, UNREAD_NEW, UNREAD),
    ],
)
def test_the_end_of_a_backup(code, output, errors, unread):
    done = _restic.parse_backup("Cannot back up", HERE, code, output, errors)
    assert done == _restic.BackedUp("65cc6f5c", 1, 3, 1060, unread)


@pytest.mark.parametrize(
    ("code", "output"), [(0, ""), (0, STATUS), (0, '{"message_type":"summary"}'), (1, SUMMARY_OLD), (3, "")]
)
def test_a_backup_without_a_snapshot_is_an_error(code, output):
    with pytest.raises(VolumesError, match="Cannot back up"):
        _restic.parse_backup("Cannot back up", HERE, code, output, "")


LOCKED = (
    "repository is already locked by PID 18228 on vm by root (UID 0, GID 0)\nlock was created at 2026-11-28 05:39:07"
    " (3.85762931s ago)\nstorage ID a8f02cb4\nthe `unlock` command can be used to remove stale locks"
)
NO_CONFIG = (
    "unable to open config file: stat /srv/restic/config: no such file or directory\nIs there a repository at the"
    " following location?\n/srv/restic"
)
REFUSED = 'Stat: Get "http://127.0.0.1:1/b/?location=": dial tcp 127.0.0.1:1: connect: connection refused'
NO_REPOSITORY = "there is no repository at '/srv/restic'"
DAMAGED = (
    "pack 3b2e07ec7e3922e08837a183315f0304ee3c96ffe39e673b73f7825a84955f8a: unexpected file size: got 0, expected 120"
)


@pytest.mark.parametrize(
    ("said", "words", "way_out"),
    [
        (
            (1, "Fatal: wrong password or no key found"),
            "does not open with the password in '/root/pw'",
            "password_file",
        ),
        (exit_error(12, "Fatal: wrong password or no key found"), "does not open with the password", "password_file"),
        (exit_error(12, "something else"), "does not open with the password", "password_file"),
        ((1, f"Fatal: {NO_CONFIG}"), NO_REPOSITORY, "repository.init"),
        (exit_error(10, f"Fatal: repository does not exist: {NO_CONFIG}"), NO_REPOSITORY, "repository.init"),
        ((1, f"unable to create lock in backend: {LOCKED}"), "is locked by PID 18228 on vm by root", "restic unlock"),
        (
            exit_error(11, f"unable to create lock in backend: {LOCKED}"),
            "is locked by PID 18228 on vm",
            "restic unlock",
        ),
        (
            (1, "Fatal: config or key 31673f543c157be097cf022c4fde1db0 is damaged: ciphertext verification failed"),
            "its config and its keys do not belong together",
            "run_once",
        ),
        (
            (1, "Resolving password failed: Fatal: /root/pw does not exist"),
            "'/root/pw' cannot be read: /root/pw does not exist",
            "readable",
        ),
        (
            exit_error(1, "Fatal: Resolving password failed: Fatal: /root/pw does not exist\n"),
            "'/root/pw' cannot be read: /root/pw does not exist",
            "readable",
        ),
        ((1, "Fatal: an empty password is not a password"), "'/root/pw' is empty", "Put"),
        (exit_error(1, "Fatal: an empty password is not allowed by default. Pass"), "'/root/pw' is empty", "Put"),
        (
            (
                1,
                "subprocess ssh: ssh: Could not resolve hostname nohost.invalid: Name or service not known\nFatal:"
                " unable to open repository at sftp:nohost.invalid:/x: unable to start the sftp session, error: EOF",
            ),
            "cannot be reached: ssh: Could not resolve hostname nohost.invalid",
            "'sftp' gets there",
        ),
        (
            exit_error(
                1, "Fatal: unable to open repository at sftp:x:/: unable to start the sftp session, error: error"
            ),
            "cannot be reached: unable to open repository at sftp:x:/: unable to start the sftp session",
            "'sftp' gets there",
        ),
        (
            (
                1,
                f"Fatal: unable to open config file: {REFUSED}\nIs there a repository at the following location?\ns3:x",
            ),
            "cannot be reached: unable to open config file: Stat: Get",
            "address",
        ),
        (
            (
                1,
                "subprocess ssh: storage@nas: Permission denied (publickey,password).\nFatal: unable to open"
                " repository at sftp:nas:/x: unable to start the sftp session, error: EOF",
            ),
            "does not let us in: storage@nas: Permission denied (publickey,password).",
            "IdentityFile",
        ),
        (
            exit_error(1, "subprocess ssh: Host key verification failed.\nFatal: unable to start the sftp session"),
            "is on a host that ssh does not know",
            "known_hosts",
        ),
        (
            exit_error(1, "Fatal: unable to open repository at s3:x/b: s3.getCredentials: no credentials found. Use"),
            "does not let us in",
            "AWS_ACCESS_KEY_ID",
        ),
        (
            (
                1,
                "Fatal: unable to open config file: Stat: The Access Key Id you provided does not exist.",
            ),
            "does not let us in",
            "AWS_ACCESS_KEY_ID",
        ),
        (
            (1, "Fatal: unable to open repository at /srv/restic: ReadDir: open /srv/restic/keys: permission denied"),
            "is not accessible for the user",
            "become",
        ),
        (
            exit_error(1, "Fatal: unable to open config file: stat /srv/restic/config: permission denied\nIs there a"),
            "is not accessible for the user",
            "become",
        ),
        (
            (1, "Fatal: unable to save snapshot: write /srv/restic/data/65/65cb-tmp-1: no space left on device"),
            "has no space left",
            "restic prune",
        ),
        (
            (1, "Fatal: create repository at /srv/restic failed: config file already exists\n\n"),
            "is there already",
            "init",
        ),
        ((1, 'invalid id "deadbeef": no matching ID found for prefix "deadbeef"'), "has no such snapshot", "lists"),
        (
            (1, "latest snapshot for criteria not found: no snapshot found Paths:[] Hosts:[zz]"),
            "has no such snapshot",
            "lists",
        ),
        (
            exit_error(1, 'Fatal: failed to find snapshot: no matching ID found for prefix "deadbeef"'),
            "has no such snapshot",
            "lists",
        ),
        (
            (1, f"check all packs\n{DAMAGED}\ncheck snapshots\n\nFatal: repository contains errors"),
            f"is damaged: {DAMAGED}",
            "restic check",
        ),
        (exit_error(1, "Fatal: repository contains errors"), "is damaged", "restic check"),
        (
            (
                1,
                "Fatal: parsing repository location failed: invalid backend\nIf the repository is in a local directory",
            ),
            "restic knows no repositories such as '/srv/restic'",
            "sftp:",
        ),
        ((1, "Fatal: all target directories/files do not exist"), "all target directories/files do not exist", ""),
        ((2, "panic: runtime error: slice bounds out of range [16:1]"), "panic: runtime error", ""),
        ((137, ""), "it ended with the code 137", ""),
    ],
)
def test_errors(said, words, way_out):
    code, errors = said
    error = _restic.failure("Cannot back up the volume 'pgdata'", HERE, code, STATUS, errors)
    assert str(error).startswith("Cannot back up the volume 'pgdata': ")
    assert words in error.why
    assert way_out in error.way_out
    assert bool(way_out) == bool(error.way_out)


TRIED = (
    'Stat(<config/>) returned error, retrying after 1.492780464s: Stat: Get "http://nas:2/b/?location=": dial tcp'
    " 192.0.2.1:2: connect: connection refused\n"
)
NO_BUCKET = "Stat(<config/>) returned error, retrying after 968.033345ms: Stat: The specified bucket does not exist\n"


@pytest.mark.parametrize(
    ("errors", "seconds", "hopeless"),
    [
        ("", 50, False),
        (TRIED, 50, False),
        (TRIED * 3, 9, False),
        (TRIED * 3, 10, True),
        (NO_BUCKET, 0.5, True),
        ("Fatal: The specified bucket does not exist", 50, False),
    ],
)
def test_when_trying_again_is_in_vain(errors, seconds, hopeless):
    # What 0.19.1 says.
    assert _restic.is_hopeless(errors, seconds) is hopeless


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (TRIED, 'cannot be reached: Stat: Get "http://nas:2/b/?location=": dial tcp 192.0.2.1:2: connect: connection'),
        (TRIED.replace("connect: connection refused", "later"), "did not answer in time: Stat: Get"),
        ("", "the repository at '/srv/restic' did not answer in time"),
        (NO_BUCKET, NO_REPOSITORY),
        ("Fatal: what it says when it is ended", "the repository at '/srv/restic' did not answer in time"),
    ],
)
def test_the_error_where_there_was_no_answer(errors, words):
    error = _restic.failure("Cannot look", HERE, None, "", errors)
    assert words in error.why
    assert error.way_out
    assert isinstance(error, _restic.NoRepositoryError) == (errors == NO_BUCKET)


def test_a_repository_that_cannot_be_reached_is_not_one_that_is_not_there():
    # 0.14 asks whether there is one in any case.
    error = _restic.failure("Cannot look", HERE, 1, "", f"Fatal: {REFUSED}\nIs there a repository at the following loc")
    assert not isinstance(error, _restic.NoRepositoryError)
    assert isinstance(_restic.failure("", HERE, 1, "", f"Fatal: {NO_CONFIG}"), _restic.NoRepositoryError)
    assert isinstance(_restic.failure("", HERE, 1, "", LOCKED), _restic.RepositoryLockedError)
    assert isinstance(_restic.failure("", HERE, 1, "", "config file already exists"), _restic.AlreadyMadeError)


def test_an_error_hides_the_keys_of_the_storage():
    repository = Repository("s3:x/b", "/root/pw", environment={"AWS_SECRET_ACCESS_KEY": "hunter2", "N": "1"})
    error = _restic.failure("Cannot back up", repository, 1, "", "retrying after 1s\nFatal: hunter2 of 100 is wrong")
    assert error.why == "restic failed at the repository at 's3:x/b': ******** of 100 is wrong"


@pytest.fixture
def restic(tmp_path):
    """Return a function that runs restic on a repository in a folder of its own."""
    if not shutil.which("restic"):
        pytest.skip("restic is not installed")
    (tmp_path / "pw").write_text("secret")
    place = {"location": str(tmp_path / "repository"), "password_file": str(tmp_path / "pw")}
    repository = parse_repository({**GIVEN, **place, "cache_dir": str(tmp_path / "cache")})

    def run(command, repository=repository, cwd=tmp_path):
        environment = _restic.environment(repository, os.environ)
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=environment)
        return done.returncode, done.stdout, done.stderr

    version = _restic.parse_version(run(["restic", "version"])[1])
    return repository, version, run


def test_restic_takes_these_commands(restic, tmp_path):
    repository, version, run = restic
    assert NO_REPOSITORY.replace("/srv/restic", repository.location) in str(
        _restic.failure("Cannot look", repository, *run(_restic.look_command()))
    )
    assert run(_restic.init_command())[0] == 0
    assert run(_restic.look_command())[0] == 0
    folder = tmp_path / "volumes" / "pgdata" / "_data"
    folder.mkdir(parents=True, mode=0o750)
    (folder / "file").write_text("x" * 100)
    origin = Origin("nas/pg data", "local", {"o": "a=1,b=2"}, ("o",), {"team": "billing, sales"}, "7a1c", "v1:abcd")
    command = _restic.backup_command("host1", _restic.tags(origin), folder.name)
    done = _restic.parse_backup("Cannot back up", repository, *run(command, cwd=folder.parent))
    assert (done.files, done.content_bytes, done.unread) == (1, 100, ())
    (one,) = _restic.parse_snapshots(run(_restic.snapshots_command("nas/pg data", "host1"))[1], repository)
    assert (one.origin, one.host, one.paths) == (origin, "host1", (str(folder),))
    assert one.id.startswith(done.snapshot)
    assert datetime.now(timezone.utc) - one.time < timedelta(minutes=5)
    for other in (_restic.snapshots_command("nas"), _restic.snapshots_command(None, "host2")):
        assert _restic.parse_snapshots(run(other)[1], repository) == []
    target = tmp_path / "stage"
    assert run(_restic.restore_command(version, one.id, str(target), verify=True))[0] == 0
    restored = next(path for path in _restic.restored_folders(str(target), one) if os.path.isdir(path))
    assert restored == str(target / "_data")
    assert os.stat(restored).st_mode & 0o777 == folder.stat().st_mode & 0o777
    assert (target / "_data" / "file").read_text() == "x" * 100
    assert run(_restic.check_command(lock=True))[0] == 0
    assert run(_restic.forget_command([one.id], prune=True))[0] == 0
    assert _restic.parse_snapshots(run(_restic.snapshots_command())[1], repository) == []


def test_restic_with_a_wrong_password(restic, tmp_path):
    repository, _version, run = restic
    assert run(_restic.init_command())[0] == 0
    (tmp_path / "pw").write_text("wrong")
    error = _restic.failure("Cannot look", repository, *run(_restic.look_command()))
    assert "does not open with the password in" in error.why
