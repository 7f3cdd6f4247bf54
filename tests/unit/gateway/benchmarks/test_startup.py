import os
import subprocess
import sys

import pytest

from gateway import config
from gateway.benchmarks import startup as benchmark
from gateway.benchmarks.startup import BenchmarkFailed, command_ms, installed_size


def test_what_is_installed_is_counted_without_extras():
    packages, size = installed_size("toolcrib")
    assert 30 <= packages <= 60
    assert 50e6 <= size <= 260e6


def test_an_extra_that_a_requirement_asks_for_is_counted():
    alone, _bytes = installed_size("greenlet")
    assert alone == 1
    assert benchmark._Requirement.parse("sqlalchemy[asyncio]<2.2,>=2.1").extras == {"asyncio"}
    assert benchmark._Requirement.parse('pytest>=8; extra == "dev"').under == "dev"
    assert benchmark._Requirement.parse("typing_extensions>=4.4").name == "typing-extensions"


def test_a_command_that_fails_is_not_measured():
    with pytest.raises(BenchmarkFailed, match="'toolcrib nonsense' failed"):
        command_ms(["nonsense"], 1)


def test_the_site_that_is_measured_is_a_valid_one_with_a_thousand_tags(tmp_path):
    from connectors.simulator.factory import Addresses
    from connectors.simulator.machines import wiring

    plan = benchmark._machine()
    machines = {"machine": {"connection": "opcua", "tags": wiring(plan)}}
    addresses = Addresses("opc.tcp://127.0.0.1:4840/", "sha256:" + "ab" * 32, "", 0, {}, machines)
    path = tmp_path / "toolcrib.yaml"
    path.write_text(benchmark._lines(benchmark._config(addresses)))
    loaded = config.load(path)
    assert len(loaded.tags) == benchmark.TAGS
    assert loaded.warnings == ()


def test_the_memory_of_a_process_is_read():
    assert 20 <= benchmark.resident_mb(os.getpid()) <= 2_000


def test_a_process_that_has_ended_has_no_memory():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        process.wait()
    with pytest.raises(BenchmarkFailed):
        benchmark.resident_mb(process.pid)
