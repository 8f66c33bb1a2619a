"""Starting the server: what it loads, and what it says where it cannot start."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cenote.errors import ArgumentError
from cenote.site.serving import serve

NOT_AT_START = {
    "alembic",
    "mako",
    "pygments",
    "onnxruntime",
    "tokenizers",
    "httpx",
    "httpcore",
    "defusedxml",
    "psycopg",
}
"""What a start with a store of this version's form leaves to whoever needs it first."""

HEAVY = {"torch", "transformers", "scipy", "sklearn", "matplotlib", "pandas", "numba", "torchvision"}

LOADED = """
import json, sys
from pathlib import Path
from fastapi.testclient import TestClient
from cenote.site.app import create_app
from cenote.site.settings import SiteSettings
with TestClient(create_app(SiteSettings(home=Path(sys.argv[1])))) as client:
    for address in ("/", "/papers/2412.06097", "/search?q=pooling", "/methods", "/claims"):
        assert client.get(address).status_code == 200
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_web_process_loads_nothing_heavy(tmp_path: Path) -> None:
    call = [sys.executable, "-c", LOADED, str(tmp_path)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert "fastapi" in loaded
    assert not loaded & HEAVY


STARTED = """
import json, sys
from pathlib import Path
from cenote.cli import main
from cenote.site import serving
from cenote.site.app import create_app, open_site
from cenote.site.settings import SiteSettings
with open_site(SiteSettings(home=Path(sys.argv[1]))) as site:
    create_app(site=site)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_second_start_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    first, second = (
        set(json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout))
        for call in [[sys.executable, "-c", STARTED, str(tmp_path)]] * 2
    )
    assert "alembic" in first  # which made the tables
    assert {"fastapi", "sqlalchemy", "uvicorn"} <= second
    assert not second & (NOT_AT_START | HEAVY)


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ArgumentError, match=f"cannot listen on 127.0.0.1, port {port}: address already in use"):
            serve("127.0.0.1", port, on_ready=lambda address: None)


def test_a_host_that_is_none_is_one_sentence() -> None:
    with pytest.raises(ArgumentError, match="host must be an address of this machine, got 'no host'"):
        serve("no host", 0, on_ready=lambda address: None)


def test_a_setting_that_is_not_allowed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENOTE_DATABASE_URL", "mysql://x/y")
    with pytest.raises(ArgumentError, match="CENOTE_DATABASE_URL: it must begin with sqlite or postgresql, not mysql"):
        serve("127.0.0.1", 0, on_ready=lambda address: None)
