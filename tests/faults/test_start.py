"""What keeps a gateway from starting: one clear sentence, the right exit code, and nothing lost or made anew."""

import json
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import control_client
from gateway.databases import spend_file

TOOLCRIB = Path(sys.executable).with_name("toolcrib")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write(tmp_path, port=0)


def write(home: Path, port: int) -> Path:
    document = {
        "schema": 1,
        "site": {
            "plant": "northworks",
            "gateway": "N1",
            "name": "Northworks",
            "time_zone": "Europe/Berlin",
            "currency": "EUR",
            "country": "DE",
        },
        "organisation": {"name": "Northworks", "ship_to": "Gate 4", "contact": "Maintenance"},
        "web": {"port": port},
    }
    path = home / "toolcrib.yaml"
    path.write_text(json.dumps(document))
    return path


def fails(config: Path, **how: object) -> tuple[int, str]:
    done = subprocess.run([TOOLCRIB, "run", config], capture_output=True, text=True, timeout=60, **how)
    sentences = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(sentences) == 1, done.stderr
    return done.returncode, sentences[0]


@dataclass
class Ran:
    """A gateway's config after it ran once, and what a second one on the same data said meanwhile."""

    config: Path
    refused: tuple[int, str] = (0, "")

    def run(self) -> None:
        """Run the gateway until it is ready, try to start a second one, and stop the first."""
        with subprocess.Popen([TOOLCRIB, "run", self.config], stderr=subprocess.PIPE) as process:
            try:
                control_client.wait_ready(self.config.parent / "data", 30)
                self.refused = fails(self.config)
            finally:
                process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert process.wait(10) == 0
            assert time.monotonic() - began < 5


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A gateway that ran once; what it has left is to be copied, not used."""
    ran = Ran(write(tmp_path_factory.mktemp("ran"), port=0))
    ran.run()
    return ran


@pytest.fixture
def left(ran: Ran, tmp_path: Path) -> Path:
    """The config beside what a gateway that ran has left, for one test."""
    return Path(shutil.copytree(ran.config.parent, tmp_path / "left")) / ran.config.name


def test_a_port_in_use_is_named(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, sentence = fails(write(tmp_path, port))
    assert code == 1
    assert str(port) in sentence
    assert "web.port" in sentence


def test_a_broken_database_is_named_and_kept(left: Path):
    path = spend_file(left.parent / "data")
    for stale in path.parent.glob("spend.db-*"):
        stale.unlink()
    path.write_bytes(b"scrambled" * 5000)
    code, sentence = fails(left)
    assert code == 1
    assert "spend.db" in sentence
    assert "buying is stopped" in sentence
    assert path.read_bytes().startswith(b"scrambled")


def test_a_lost_database_is_not_made_anew(left: Path):
    for path in (left.parent / "data").glob("spend.db*"):
        path.unlink()
    code, sentence = fails(left)
    assert code == 1
    assert "gone" in sentence
    assert not spend_file(left.parent / "data").exists()


def test_a_full_disk_is_named(config: Path):
    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    code, sentence = fails(config, preexec_fn=little_room)
    assert code == 1
    assert "buying is stopped" in sentence


def test_a_second_gateway_on_the_same_data_is_refused(ran: Ran):
    code, sentence = ran.refused
    assert code == 1
    assert "another gateway" in sentence


def test_mistakes_in_the_config_exit_with_two(config: Path):
    config.write_text(config.read_text().replace("Europe/Berlin", "Europe/Atlantis"))
    done = subprocess.run([TOOLCRIB, "run", config], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "site.time_zone" in done.stderr
