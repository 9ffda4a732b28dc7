"""Dockerfile, compose.yaml, the systemd unit and .env.example: what they name is there, and what they must not do."""

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

from forensic_chat.cli.main import TERMINATED, app
from forensic_chat.settings import Settings

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
ENVIRONMENT = (ROOT / ".env.example").read_text("utf-8")
UNIT = (ROOT / "deploy" / "forensic-chat.service").read_text("utf-8")
FILES = {"Dockerfile": DOCKERFILE, "compose.yaml": (ROOT / "compose.yaml").read_text("utf-8")}
FILES |= {".env.example": ENVIRONMENT, "unit": UNIT}
FILES["docs"] = (ROOT / "docs" / "deployment.md").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split()))
        for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            found[rest.split(" AS ")[1]] = []
        list(found.values())[-1].append((word, rest))
    return found


def taken(arguments: list[str]) -> None:
    """Raises click's errors unless the command line takes the arguments; runs nothing."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("forensic-chat", list(arguments))
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        name, command, arguments = command.resolve_command(context, list(arguments))
        context = command.make_context(name, list(arguments), parent=context)


def test_the_check_of_arguments_can_fail() -> None:
    taken(["serve", "--port", "8000"])
    for wrong in (["serve", "--prt", "8000"], ["sserve"], ["serve", "--port", "x"], ["weights", "fetch"]):
        with pytest.raises(Exception, match=r"(?i)no such|valid integer"):
            taken(wrong)


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_a_target_starts_what_there_is_as_nobody(target: str) -> None:
    steps = stages()[target]
    last = dict(steps)
    assert json.loads(last["ENTRYPOINT"]) == ["forensic-chat"]
    taken(json.loads(last["CMD"]))
    assert re.fullmatch(r"[1-9]\d*", last["USER"]), "a number: engines can check that it is not root"
    after_user = [word for word, _ in steps[[word for word, _ in steps].index("USER") :]]
    assert "RUN" not in after_user
    test = last["HEALTHCHECK"].partition("CMD ")[2]
    probe = json.loads(test)
    assert probe[:2] == ["python", "-c"]
    compile(probe[2], "healthcheck", "exec")
    assert re.search(r":8000/health\b", probe[2])
    assert '"/health"' in (ROOT / "forensic_chat/api/server.py").read_text("utf-8")


def test_a_plain_build_makes_the_small_image() -> None:
    assert list(stages())[-1] == "cpu"
    pip = [rest for word, rest in stages()["cpu"] if word == "RUN"]
    assert "whl/cpu" in pip[0], "PyTorch for CPUs comes first, or pip takes the one for CUDA"


def test_the_dockerfile_keeps_the_rules() -> None:
    names = set(stages())
    for word, rest in instructions():
        if word == "FROM":
            image = rest.split(" AS ")[0]
            assert image in names or re.search(r":\d[\w.-]+$", image), "a fixed version"
        if word == "RUN" and "apt-get install" in rest:
            assert rest.startswith("apt-get update &&")
            assert "--no-install-recommends" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest
        if word == "COPY":
            *sources, _ = rest.split()
            assert all((ROOT / source).exists() for source in sources)
            assert all(f"!{source}\n" in (ROOT / ".dockerignore").read_text("utf-8") for source in sources)
        if word in ("ENV", "ARG"):
            assert not re.search(r"(?i)(api_keys|password|secret|token)\w*=", rest)
        assert word != "ADD"
        assert "sudo" not in rest
    assert "PIP_NO_CACHE_DIR=1" in DOCKERFILE


@pytest.mark.parametrize("name", FILES)
def test_every_variable_and_extra_is_ours(name: str) -> None:
    known = {f"FORENSIC_CHAT_{field.upper()}" for field in Settings.model_fields}
    named = set(re.findall(r"\bFORENSIC_CHAT_[A-Z_]+\b", FILES[name]))
    assert named
    assert named <= known
    for extras in re.findall(r"\"?\.\[([\w,-]+)\]", FILES[name]):
        assert set(extras.split(",")) <= set(EXTRAS)


@pytest.mark.parametrize("service", [name for name, told in SERVICES.items() if "build" in told])
def test_services_start_what_there_is(service: str) -> None:
    told = SERVICES[service]
    assert told["build"]["target"] in stages()
    match told.get("entrypoint"):
        case None:
            taken(told["command"])
        case ["sh", "-c"]:
            for part in re.split(r"\|\||&&", told["command"][0]):
                words = shlex.split(part)
                assert words[0] in ("test", "forensic-chat")
                if words[0] == "forensic-chat":
                    taken(words[1:])
        case other:
            assert other == ["python", "-m", "vllm.entrypoints.openai.api_server"]


def test_services_fit_together() -> None:
    for name, told in SERVICES.items():
        assert set(told["networks"]) <= set(COMPOSE["networks"])
        assert {volume.partition(":")[0] for volume in told["volumes"]} <= set(COMPOSE["volumes"])
        for other, on in told.get("depends_on", {}).items():
            healthy = "healthcheck" in SERVICES[other] or "build" in SERVICES[other]
            assert on["condition"] != "service_healthy" or healthy
        assert "privileged" not in told
        assert "no-new-privileges:true" in told["security_opt"]
        assert ("ports" in told) is (name == "app"), "only the API is published"
        assert "build" in told or re.search(r":\d[\w.-]+$", told["image"])
    assert COMPOSE["networks"]["inside"]["internal"]
    assert SERVICES["language"]["networks"] == SERVICES["database"]["networks"] == ["inside"]


def test_the_app_finds_its_language_model_and_its_database() -> None:
    given, language = SERVICES["app"]["environment"], SERVICES["language"]
    options = dict(option.lstrip("-").partition("=")[::2] for option in language["command"])
    assert given["FORENSIC_CHAT_VLLM_URL"] == f"http://language:{options['port']}"
    from forensic_chat.mllm.backends.vllm_server import MODEL, STRUCTURED

    assert given["FORENSIC_CHAT_VLLM_MODEL"] == options["served-model-name"] == MODEL
    assert json.loads(options["limit-mm-per-prompt"]) == {"image": 8}
    assert options["structured-outputs-config"] == STRUCTURED
    from sqlalchemy.engine import make_url

    filled = re.sub(r"\$\{[^}]+\}", "x", given["FORENSIC_CHAT_DATABASE_URL"])
    url, database = make_url(filled), SERVICES["database"]["environment"]
    assert (url.host, url.username, url.database) == (
        "database",
        database["POSTGRES_USER"],
        database["POSTGRES_DB"],
    )
    assert url.get_driver_name() == "psycopg"


def test_secrets_are_asked_for_and_not_given() -> None:
    given = dict(line.split("=", 1) for line in ENVIRONMENT.splitlines() if line and line[0] != "#")
    used = set(re.findall(r"\$\{(\w+)", FILES["compose.yaml"]))
    assert used == set(given)
    for name, value in given.items():
        if re.search("KEY|PASSWORD", name):
            assert value == ""
            assert f"${{{name}:?" in FILES["compose.yaml"], "compose says what is missing"
    assert given["PUBLISHED"].startswith("127.0.0.1:"), "others come through a proxy with TLS"
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").split()


def test_the_unit_starts_what_there_is_and_can_write_to_its_folder_only() -> None:
    lines = [line.partition("=")[::2] for line in UNIT.splitlines() if "=" in line and line[0] not in "#["]
    told = dict(lines)
    program, *arguments = shlex.split(told["ExecStart"])
    assert program == "/opt/forensic-chat/bin/forensic-chat"
    taken(arguments)
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"
    state = f"/var/lib/{told['StateDirectory']}/"
    variables = [value.split("=", 1) for name, value in lines if name == "Environment"]
    assert all(value.startswith(state) for _, value in variables)
    for name, value in {"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict"}.items():
        assert told[name] == value
    assert told["EnvironmentFile"].lstrip("-") in FILES["docs"]
    assert told["SuccessExitStatus"] == str(TERMINATED), "to be stopped is no failure"
