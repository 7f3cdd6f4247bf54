"""The image and the compose file keep their promises, as far as one can tell without an engine."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
SERVICES = ("factory", "market", "setup", "gateway")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load((ROOT / "docker" / "compose.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, lines joined."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE.read_text()))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def last_stage(instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    starts = [index for index, (word, _rest) in enumerate(instructions) if word == "FROM"]
    return instructions[starts[-1] :]


def test_hadolint_finds_nothing():
    linted = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_base_is_pinned_by_a_tag_that_names_version_and_distribution(instructions):
    base = next(rest for word, rest in instructions if word == "ARG").partition("=")[2]
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base)
    assert [rest.split()[0] for word, rest in instructions if word == "FROM"] == ["${BASE}", "${BASE}"]


def test_the_process_is_not_root_and_says_so_by_number(instructions):
    user = [rest for word, rest in last_stage(instructions) if word == "USER"]
    assert user == ["10001:10001"]


def test_there_is_one_volume_a_health_check_and_no_shell_between_us_and_signals(instructions):
    stage = dict(last_stage(instructions))
    assert stage["VOLUME"] == '["/data"]'
    assert stage["HEALTHCHECK"].endswith('CMD ["toolcrib", "status"]')
    assert stage["ENTRYPOINT"] == '["toolcrib"]'
    assert stage["CMD"] == '["run", "/data/toolcrib.yaml"]'


def test_only_locked_wheels_are_installed_and_the_code_is_byte_compiled(instructions):
    text = DOCKERFILE.read_text()
    installs = re.findall(r"pip install [^&]*", re.sub(r"\\\n\s*", "", text))
    assert len(installs) == 3
    for install in installs:
        assert ("--require-hashes" in install and "--only-binary :all:" in install) or "--no-index" in install
    assert "compileall" in text


def test_everything_that_is_copied_is_there_and_let_through(instructions):
    allowed = {
        line[1:] for line in (ROOT / "docker/Dockerfile.dockerignore").read_text().splitlines() if line[0] == "!"
    }
    copied = [rest.split()[:-1] for word, rest in instructions if word == "COPY" and "--from" not in rest]
    for name in (each for names in copied for each in names):
        assert (ROOT / name).exists(), name
        assert name in allowed


def test_nothing_secret_is_built_in(instructions):
    for word, rest in instructions:
        assert not (word in ("ARG", "ENV") and re.search(r"(?i)token|secret|password|_key", rest))


def packages(lock: str) -> dict[str, set[str]]:
    """Return name to versions of a lock file, having seen that each has a hash."""
    found: dict[str, set[str]] = {}
    plain = "\n".join(line for line in lock.splitlines() if not line.lstrip().startswith("#"))
    for entry in re.split(r"\n(?=\S)", plain):
        name, version = re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", entry).groups()
        assert "--hash=sha256:" in entry, name
        found.setdefault(name, set()).add(version)
    return found


def test_the_runtime_lock_is_the_whole_locks_versions_without_what_only_developers_need():
    whole = packages((ROOT / "requirements.lock").read_text())
    runtime = packages((ROOT / "requirements.runtime.lock").read_text())
    assert {name: whole[name] for name in runtime} == runtime
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.match(r"[A-Za-z0-9.-]+", each)[0].lower().replace(".", "-") for each in project["dependencies"]}
    assert wanted <= runtime.keys()
    assert not {"pytest", "mypy", "ruff", "hatchling"} & runtime.keys()
    assert len(runtime) <= 60


@pytest.mark.parametrize("lock", ["requirements.runtime.lock", "docker/build.lock"])
def test_a_lock_names_no_index(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text


def test_the_builder_has_what_builds_our_wheel():
    assert "hatchling" in packages((ROOT / "docker/build.lock").read_text())


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_and_write_no_more_than_it_must(compose, name):
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert "user" not in service  # the image's own, which is not root
    assert [volume for volume in service["volumes"] if not volume.endswith(":ro")] == [f"{_volume(name)}:/data"]
    assert "environment" not in service


def _volume(name: str) -> str:
    return "gateway-data" if name == "setup" else f"{name}-data"


def test_only_the_page_is_published_and_only_on_this_computer(compose):
    published = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert published.pop("gateway") == ["127.0.0.1:8080:8080"]
    assert not any(published.values())
    assert compose["networks"]["plant"]["internal"] is True
    assert compose["services"]["factory"]["networks"] == compose["services"]["market"]["networks"] == ["plant"]


def test_the_gateway_sees_neither_the_factorys_nor_the_markets_volume(compose):
    assert compose["services"]["gateway"]["volumes"] == ["gateway-data:/data"]


def test_every_volume_and_network_that_is_used_is_declared(compose):
    for service in compose["services"].values():
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= compose["volumes"].keys()
        assert set(service.get("networks", [])) <= compose["networks"].keys()


def test_every_command_of_the_compose_file_is_one_that_we_have(compose):
    import typer

    from gateway.commands.application import application

    for service in compose["services"].values():
        command: Any = typer.main.get_command(application())
        words = [str(word) for word in service["command"]]
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= known, service["command"]


def test_a_health_check_of_the_gateway_is_the_images(compose):
    assert "healthcheck" not in compose["services"]["gateway"]
    for name in ("factory", "market"):
        assert compose["services"][name]["healthcheck"]["test"][0] == "CMD"
