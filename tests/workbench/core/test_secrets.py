"""Secrets stay out of kernels and files, and nothing else is touched on their account."""

from __future__ import annotations

import copy
import json

import nbformat
import pytest

from workbench.core.secrets import REDACTED, Secrets
from workbench.runs.engine import without_secrets

ENVIRONMENT = {
    "HF_TOKEN": "hf_abcdefghij",
    "AWS_SECRET_ACCESS_KEY": 'a"b\\c<d>e',
    "MY_PASSWORD": "x",
    "PATH": "/bin",
    "TOKENIZERS_PARALLELISM": "false",
}
SECRET_NAMES = [
    "HF_TOKEN",
    "GITHUB_TOKEN",
    "GITHUB_TOKEN2",
    "HF_TOKEN_PATH",
    "AUTHTOKEN",
    "npm_config__authToken",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "API_KEY",
    "OPENAI_API_KEY",
    "OPENAI_APIKEY",
    "API_KEY_2",
    "AZURE_OPENAI_KEY",
    "DJANGO_SECRET_KEY",
    "CLIENT_SECRET",
    "APP_SECRETS",
    "DATABASE_PASSWORD",
    "PGPASSWORD",
    "MYSQL_PASSWD",
    "SSH_PASSPHRASE",
    "SMTP_PASS",
    "SSHPASS",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "SLACK_WEBHOOK_URL",
    "DOCKER_AUTH_CONFIG",
    "NPM_CONFIG__AUTH",
    "GITHUB_PAT",
]
OTHER_NAMES = [
    "LLM_MAX_TOKENS",
    "TOKENIZERS_PARALLELISM",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "KEYBOARD",
    "XKB_KEYMAP",
    "SSH_AUTH_SOCK",
    "XAUTHORITY",
    "AUTHOR",
    "SECRETARY",
    "COMPASS",
    "BYPASS",
    "MONKEY",
    "PATH",
    "PATTERN",
    "PASSENGERS",
    "PWD",
]


def test_a_kernel_gets_the_environment_without_its_secrets():
    kernel = Secrets(ENVIRONMENT).kernel_environment()
    assert "HF_TOKEN" not in kernel
    assert "AWS_SECRET_ACCESS_KEY" not in kernel
    assert kernel["PATH"] == "/bin"
    assert kernel["TOKENIZERS_PARALLELISM"] == "false"
    assert kernel["PYTHONHASHSEED"] == "0"


@pytest.mark.parametrize(
    "name",
    SECRET_NAMES,
)
def test_a_variable_named_for_a_secret_holds_one(name):
    secrets = Secrets({name: "some value"})
    assert name not in secrets.kernel_environment()
    assert secrets.redact("some value") == REDACTED


@pytest.mark.parametrize(
    "name",
    OTHER_NAMES,
)
def test_a_variable_whose_name_only_contains_such_letters_holds_none(name):
    secrets = Secrets({name: "some value"})
    assert secrets.kernel_environment()[name] == "some value"
    assert secrets.redact("some value") == "some value"


def test_secrets_are_redacted_also_as_json_and_html_spell_them():
    secrets = Secrets(ENVIRONMENT)
    for text in ("hf_abcdefghij", json.dumps(ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]), "a&quot;b\\c&lt;d&gt;e"):
        assert REDACTED in secrets.redact(text)


def test_a_very_short_value_is_left_alone():
    assert Secrets(ENVIRONMENT).redact("x marks the spot") == "x marks the spot"


def executed_notebook(*outputs: dict) -> nbformat.NotebookNode:
    """A notebook whose one code cell has these outputs."""
    cell = nbformat.v4.new_code_cell(
        "limit = 100000", id="cell", outputs=[nbformat.from_dict(each) for each in outputs]
    )
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("Of 100000 or output", id="prose"), cell],
        metadata={"kernelspec": {"name": "kernel", "display_name": "kernel", "language": "python"}},
    )


def test_every_text_of_an_output_is_redacted_at_any_depth():
    notebook = executed_notebook(
        {"output_type": "stream", "name": "stdout", "text": "it is hf_abcdefghij\n"},
        {"output_type": "error", "ename": "E", "evalue": "hf_abcdefghij", "traceback": ["E: hf_abcdefghij"]},
        {
            "output_type": "display_data",
            "data": {"text/plain": "hf_abcdefghij", "application/json": {"a": [{"b": "hf_abcdefghij"}]}},
            "metadata": {"workbench": {"record": {"name": "token", "value": "hf_abcdefghij"}}},
        },
    )
    widget = {"model_name": "HTMLModel", "state": {"value": "<b>hf_abcdefghij</b>"}}
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"1": widget}}}
    written = nbformat.writes(without_secrets(notebook, Secrets(ENVIRONMENT)))
    assert "hf_abcdefghij" not in written
    assert written.count(REDACTED) == 7


@pytest.mark.parametrize("value", ["100000", "output", "stream", "stdout", "source", "kernel", "display_data"])
def test_whatever_a_secret_is_the_redacted_notebook_is_a_valid_one_with_its_numbers(value):
    metric = {"name": "limit", "value": 100000, "count": None, "n": 100000, "low": 99999.5, "high": 100000.5}
    notebook = executed_notebook(
        {"output_type": "stream", "name": "stdout", "text": f"{value}\n"},
        {
            "output_type": "display_data",
            "data": {"text/plain": "100000", "application/json": {value: 100000}},
            "metadata": {"workbench": {"record": metric}},
        },
    )
    before = copy.deepcopy(notebook)
    read = nbformat.reads(
        nbformat.writes(without_secrets(notebook, Secrets({"DATABASE_PASSWORD": value}))), as_version=4
    )
    nbformat.validate(read)
    assert notebook == before, "the notebook that is being executed stays as it is"
    assert read.metadata == before.metadata
    assert [cell.source for cell in read.cells] == [cell.source for cell in before.cells]
    printed, shown = read.cells[1].outputs
    assert (printed.output_type, printed.name, printed.text) == ("stream", "stdout", f"{REDACTED}\n")
    assert shown.data["application/json"] == {value: 100000}
    assert shown.metadata.workbench.record == metric
