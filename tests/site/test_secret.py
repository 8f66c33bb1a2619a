"""The secret is made once, for its owner alone, however many processes start at once."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from cenote.errors import StorageError
from cenote.site.secret import site_secret
from cenote.site.settings import SiteSettings

START = "from cenote.site.secret import site_secret; from cenote.site.settings import SiteSettings; import sys; "
READ = f"{START} sys.stdin.read(); print(site_secret(SiteSettings(home=sys.argv[1])))"


def test_it_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    secret = site_secret(SiteSettings(home=home))
    assert len(secret) >= 64
    assert site_secret(SiteSettings(home=home)) == secret
    assert stat.S_IMODE((home / "secret").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["secret"]
    assert site_secret(SiteSettings(home=tmp_path / "other")) != secret


def test_processes_that_start_at_once_have_the_same(tmp_path: Path) -> None:
    # All wait, with everything imported, for the end of their input.
    started = [
        subprocess.Popen([sys.executable, "-c", READ, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    said = {process.communicate()[0] for process in started}
    assert len(said) == 1
    assert said == {(tmp_path / "secret").read_bytes()}


def test_one_that_others_made_first_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "secret").chmod(0o600)
    with monkeypatch.context() as patch:
        # As if the file had come between looking for it and making it.
        patch.setattr(Path, "exists", lambda self: False)
        assert site_secret(SiteSettings(home=tmp_path)) == "s" * 40
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENOTE_SECRET", "e" * 32)
    assert site_secret(SiteSettings(home=tmp_path)) == "e" * 32
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("CENOTE_SECRET", "e" * 31)
    with pytest.raises(ValidationError, match="at least 32 characters"):
        SiteSettings()


@pytest.mark.parametrize(("content", "mode", "said"), [
    ("s" * 40, 0o640, "can be read by others .mode 0640.; run: chmod 600"),
    ("short", 0o600, "is damaged"),
    ("", 0o600, "is damaged"),
    ("\x00" * 64, 0o600, "is damaged"),
])  # fmt: skip
def test_a_bad_one_is_refused(tmp_path: Path, content: str, mode: int, said: str) -> None:
    (tmp_path / "secret").write_text(content)
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(StorageError, match=said):
        site_secret(SiteSettings(home=tmp_path))


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be made or read"):
        site_secret(SiteSettings(home=tmp_path / "file"))
