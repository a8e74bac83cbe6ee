"""Twenty secrets in twenty places: none of them stands in a file or on the terminal, and nothing else is touched."""

from __future__ import annotations

import html
import json
import re
import secrets as randomness
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pyarrow.parquet as pq
import pytest

from toy_project import write_chapter
from workbench.book.publish import Edition, _build, _stage
from workbench.core.errors import RunError
from workbench.core.project import Project
from workbench.core.secrets import REDACTED, Secrets
from workbench.parameters.contract import load_contract
from workbench.runs.store import all_runs

HARMLESS = {"LLM_MAX_TOKENS": "100000", "GIT_AUTHOR_NAME": "kernel", "KEYBOARD": "us"}


def word(length: int = 24) -> str:
    """A password that no other text holds."""
    return randomness.token_hex(length)[:length]


def made_secrets() -> dict[str, tuple[str, str]]:
    """Variables as people have them: the value of each, and what of it is secret."""
    key = f"-----BEGIN PRIVATE KEY-----\n{word(64)}\n{word(30)}+/{word(32)}\n-----END PRIVATE KEY-----\n"
    plain = (
        "HF_TOKEN",
        "GITHUB_PAT",
        "MYSQL_PWD",
        "STRIPE_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "SMTP_PASS",
        "NPM_CONFIG__AUTH",
    )
    made = {name: (value, value) for name in plain for value in [word()]}
    made["PGPASSWORD"] = (value := f"{word(4)}\"<b>\\n%s&{{x}}'ß{word(4)}", value)
    made["DEPLOY_KEY"] = (key, key)
    made["SERVICE_ACCOUNT"] = (json.dumps({"type": "service_account", "private_key": (key := key.swapcase())}), key)
    for name, form in {
        "DATABASE_URL": "postgres://app:{}@db.example.org:5432/app",
        "REDIS_URL": "redis://:{}@cache.example.org:6379/0",
        "HTTPS_PROXY": "http://me:{}@localhost:9",
        "PIP_EXTRA_INDEX_URL": "https://me:{}@index.example.org/simple",
        "SENTRY_DSN": "https://{}@errors.example.org/1",
        "STORAGE": "AccountName=me;AccountKey={};EndpointSuffix=example.org",
        "BLOBS": "https://store.example.org/blob?se=2027&sig={}",
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer {}",
        "NOTIFY": "https://hooks.example.org/services/{}",
        "SESSION": "eyJhbGciOiJI.eyJzdWIi{}.c2lnbmF0dXJl",
    }.items():
        made[name] = (value := form.format(secret := word()), secret if name != "SESSION" else value)
    return made


SECRETS = made_secrets()
EDITION = Edition("toy", {}, ("toy",))
ENVIRONMENT = HARMLESS | {name: value for name, (value, _) in SECRETS.items()}


def parts_of(secret: str) -> Iterator[str]:
    """What must not be found of a secret: itself, its lines, and their beginnings, which a table may show."""
    for part in (secret, *secret.splitlines()):
        if len(part) >= 6:
            yield part
        if len(part) >= 24 and not part.startswith("-----"):
            yield part[:20]


PARTS = {name: list(parts_of(secret)) for name, (_, secret) in SECRETS.items()}
# Code for each place, run with every secret as `s`.
PLACES = {
    "printed": "print(s)",
    "printed in two parts": "print(s[:9], end=''); print(s[9:])",
    "printed with colours inside": "print(s[:9] + '\\x1b[31m' + s[9:] + '\\x1b[0m')",
    "its repr": "print(repr(s), ascii(s), [s])",
    "the value of a cell": "get_ipython().run_cell('s')",
    "raised": "try_to(raises, ValueError(s))",
    "the notes of an exception": "error = ValueError('of'); error.add_note(s); try_to(raises, error)",
    "the name of a class": "try_to(raises, type(s, (ValueError,), {})('of'))",
    "a line of a traceback": "try_to(get_ipython().run_cell, f'x = 0\\n1 / x, {s!r}')",
    "a comment of a traceback": "try_to(get_ipython().run_cell, '1 / 0  # ' + s.splitlines()[len(s) // 100])",
    "logged": "logging.warning('of %s', s)",
    "descriptor 2": "os.write(2, s.encode()); time.sleep(0.1)",
    "a child": "subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv); print(sys.argv[1])', s])",
    "the kernel's log": "log(s)",
    "a child's output in the kernel's log": "subprocess.run(['echo', s], stdout=sys.stderr._original_stdstream_copy)",
    "a thread at the end": "atexit.register(lambda s=s: run_thread(log, s))",
    "a warning": "warnings.warn(s)",
    "HTML": "display(HTML('<p>' + html.escape(s) + s), HTML('<b>' + html.escape(s[:9]) + '</b>' + html.escape(s[9:])))",
    "JSON": "display(JSON({'a': [{'b': s}]}))",
    "Markdown": "display(Markdown(s))",
    "a widget": "create_comm(target_name='jupyter.widget', data={'state': MODEL | {'value': s}}, metadata=VERSION)",
    "SVG": "display(SVG(data=f'<svg><text>{html.escape(s)}</text></svg>'))",
    "LaTeX": "display(Latex(s))",
    "a metric": "chapter.record(f'metric_{number}', s)",
    "a source": "chapter.record_source(s, {s: s})",
    "a claim": "chapter.claim(s, size, below=2)",
    "a table": "display(pd.DataFrame({'a': [s, s * 3]}))",
}
SETUP = """\
import atexit, html, json, logging, os, subprocess, sys, threading, time, warnings
from pathlib import Path

import pandas as pd
from comm import create_comm
from IPython.display import HTML, JSON, SVG, Latex, Markdown, display
from workbench.chapter import Chapter

MODEL = dict.fromkeys(["_model_module", "_model_module_version", "_model_name"], "1")
VERSION = {{"version": "2.1.0"}}
chapter, variables = Chapter({{}}), json.loads(Path({file!r}).read_text())
print(os.environ)


def raises(error):
    raise error


def try_to(function, *arguments):
    if size != 3:  # an error that is shown makes a run fail, and the points of the sweep are to complete
        return
    try:
        function(*arguments)
    except Exception:
        get_ipython().showtraceback()


def log(text):
    os.write(sys.stderr._original_stdstream_copy, text.encode() + b"\\n")


def run_thread(*arguments):
    thread = threading.Thread(target=arguments[0], args=arguments[1:])
    thread.start()
    thread.join()
"""
FAIL = """\
if size == 3:
    error = type(variables[0], (ValueError,), {})("\\n".join(variables))
    error.add_note("\\n".join(variables))
    raise error
"""


def secret_parts_in(text: str) -> set[str]:
    """The variables of which a secret, or a line of one, stands in a text."""
    return {name for name, parts in PARTS.items() if any(part in text for part in parts)}


def texts_of(path: Path) -> Iterator[str]:
    """What a file holds, as it is and as those read it who know its format."""
    yield path.read_bytes().decode("utf-8", errors="replace")
    texts = ()
    if path.suffix == ".parquet":
        texts = strings(pq.read_table(path).to_pylist())
    elif path.suffix in (".json", ".ipynb"):
        texts = strings(json.loads(path.read_text()))
    for text in texts:
        yield text
        yield html.unescape(re.sub(r"\x1b\[[\d;]*m|<[^<>]*>", "", text))


def strings(value: Any) -> Iterator[str]:
    """Every text of a value, keys too; lists of lines also as one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for item in value.items() for inner in item for text in strings(inner))
    elif isinstance(value, list):
        yield "".join(map(str, value))
        yield from (text for inner in value for text in strings(inner))


def told(project: Project) -> dict[str, set[str]]:
    """The files below the project's `runs`, `book` and `_build` in which a secret stands, with the variables."""
    files = [path for name in ("runs", "book", "_build") for path in (project.root / name).rglob("*") if path.is_file()]
    assert files
    found = {str(path.relative_to(project.root)): set().union(*map(secret_parts_in, texts_of(path))) for path in files}
    return {name: variables for name, variables in found.items() if variables}


def outputs_of(notebook: dict[str, Any]) -> str:
    return json.dumps([cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"])


@pytest.fixture
def told_everything(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose chapter shows every secret in every place, and whose book is there."""
    file = tmp_path_factory.mktemp("outside") / "secrets.json"
    file.write_text(json.dumps([secret for _, secret in SECRETS.values()]))
    loops = [f"for number, s in enumerate(variables):\n    {code}" for code in PLACES.values()]
    write_chapter(project.root, SETUP.format(file=str(file)), *loops, FAIL)
    (project.root / "book" / "editions").mkdir(parents=True)
    (project.root / "book" / "intro.md").write_text("# Toy\n")
    (project.root / "_config.yml").write_text("title: Toy\n")
    return project


def test_no_secret_reaches_a_file_or_the_terminal(told_everything, command, monkeypatch):
    project, said = told_everything, []
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # where it is set, ipykernel does not watch the descriptors

    def say(*arguments: str, code: int = 0) -> str:
        result = command(*arguments, **ENVIRONMENT)
        said.append(result.stdout + result.stderr)
        assert result.returncode == code, said[-1][-3000:]
        return result.stdout

    say("run", "toy", code=1)
    (failed,) = all_runs(project)
    assert failed.record["error"]["name"] == REDACTED, failed.record["error"]
    assert len(failed.record["metrics"]) == len(failed.record["claims"]) == len(SECRETS) == 20
    assert {metric["value"] for metric in failed.record["metrics"]} == {REDACTED}
    log = (failed.folder / "kernel.log").read_text()
    assert log.count(REDACTED) >= 3 * len(SECRETS)
    ran = json.loads(failed.notebook.read_text())
    shown = {place: json.dumps(cell["outputs"]) for place, cell in zip(PLACES, ran["cells"][4:-1], strict=True)}
    silent = {"the kernel's log", "a child's output in the kernel's log", "a thread at the end", "a widget"}
    assert {place for place, outputs in shown.items() if REDACTED not in outputs} == silent
    assert REDACTED in json.dumps(ran["metadata"]["widgets"])
    (project.root / SECRETS["HF_TOKEN"][1]).write_text("mode: slow\n")
    say("sweep", "toy", "-g", "size=1,2", "-f", SECRETS["HF_TOKEN"][1], "--workers", "2")
    (table,) = project.runs.glob("toy/sweeps/*/results.parquet")
    assert pq.read_table(table).column("text").to_pylist().count(REDACTED) == 2 * len(SECRETS)
    say("record", table.parent.name, "kept")
    for line in (("show", failed.id), ("show", failed.id, "--json"), ("runs",), ("runs", "--json"), ("recorded",)):
        say(*line)
    say("compare", *(run.id for run in all_runs(project)), "--all")
    say("show", ENVIRONMENT["HF_TOKEN"], code=2)
    say("run", "toy", "-p", ENVIRONMENT["STORAGE"][:70], code=2)
    assert told(project) == {}
    assert secret_parts_in("\n".join(said)) == set()


def test_no_secret_is_taken_as_a_parameter(told_everything, command):
    project = told_everything
    for name, (value, secret) in SECRETS.items():
        for given in {value, f"of {secret.splitlines()[0]}"}:
            values = project.root / "values.yml"
            values.write_text(json.dumps({"name": given}))
            quoted = json.dumps(given).replace("\\n", "\n") if '"' not in given else given
            edition = project.root / "book" / "editions" / "mine.yml"
            edition.write_text(json.dumps({"chapters": {"toy": {"name": given}}}))
            for line in (
                ("run", "toy", "-p", f"name={given}"),
                ("run", "toy", "-f", "values.yml"),
                ("sweep", "toy", "-g", f"name=other,{quoted}"),
                ("book", "--edition", "mine"),
            ):
                result = command(*line, **ENVIRONMENT)
                assert result.returncode == 2, (line, result.stderr)
                sentence = f"name: its value holds the secret of the environment variable {name}, which would stand in"
                assert sentence in result.stderr, (line, result.stderr)
                assert secret_parts_in(result.stdout + result.stderr) == set()
            edition.unlink()
    assert not project.runs.exists()


def test_no_secret_of_a_notebook_that_was_run_elsewhere_reaches_a_page(told_everything, monkeypatch):
    project = told_everything
    path = project.notebooks / "toy.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for _, secret in SECRETS.values():
        new = nbformat.v4.new_output
        notebook.cells[-1].outputs += [
            new("stream", name="stdout", text=secret),
            new("display_data", {"text/html": f"<b>{secret[:5]}</b>{secret[5:]}", "text/plain": repr(secret)}),
        ]
    nbformat.write(notebook, path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    _stage(project, EDITION, {"toy": json.loads(path.read_text())}, None, project.build / "stage")
    assert REDACTED in (project.build / "stage" / "notebooks" / "toy.ipynb").read_text()
    assert told(project) == {}


def test_no_secret_of_a_page_s_source_is_in_the_log_of_its_build(told_everything, monkeypatch, tmp_path_factory):
    project, token = told_everything, SECRETS["HF_TOKEN"][1]
    (project.root / "book" / "intro.md").write_text(f"# Toy\n\n[What is not there]({token}.md)\n")
    monkeypatch.setenv("HF_TOKEN", token)
    stage, log = tmp_path_factory.mktemp("stage") / "book", project.root / "built.log"
    _stage(project, EDITION, {"toy": load_contract(project, "toy").notebook}, None, stage)
    with pytest.raises(RunError) as failed:
        _build(stage, log)
    assert f"{REDACTED}.md" in str(failed.value)
    assert f"{REDACTED}.md" in log.read_text()
    assert token not in str(failed.value) + log.read_text()


def test_variables_that_hold_no_secret_change_nothing(project, run, monkeypatch):
    write_chapter(
        project.root,
        "from workbench.chapter import Chapter\nprint(100000, 'kernel', 'us', 'usual')",
        "Chapter({}).record('limit', 100000); Chapter({}).record('name', 'kernel')",
    )
    outcomes = []
    for environment in ({}, HARMLESS):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        done, _ = run(force=True)
        record = {
            part: done.record[part] for part in ("key", "status", "parameters", "metrics", "ingredients", "error")
        }
        outcomes.append((record, outputs_of(json.loads(done.notebook.read_text()))))
    assert outcomes[0] == outcomes[1]
    assert "100000 kernel us usual" in outcomes[0][1]
    assert Secrets(HARMLESS).kernel_environment().items() >= HARMLESS.items()
