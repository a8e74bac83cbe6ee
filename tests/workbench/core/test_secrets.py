"""Secrets stay out of kernels and files, and nothing else is touched on their account."""

from __future__ import annotations

import copy
import json

import nbformat
import pytest

from workbench.core.secrets import REDACTED, Secrets
from workbench.runs.notebooks import without_secrets

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
    "MYSQL_PWD",
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
    "OLDPWD",
]
WEBHOOK = "https://hooks.example.com/services/T01/abcdefghijkl"
WEB_TOKEN = "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl"
# Variables with ordinary names: the value, what of it is secret, and what a kernel gets.
VALUES = {
    "a database": ("postgres://app:s3cr3tpw@db:5432/app", "s3cr3tpw", f"postgres://app:{REDACTED}@db:5432/app"),
    "a cache": ("redis://:hunter22@cache/0", "hunter22", f"redis://:{REDACTED}@cache/0"),
    "an escaped password": ("https://me:p%40ssw0rd@index/", "p@ssw0rd", f"https://me:{REDACTED}@index/"),
    "a password with an @": ("amqp://me:pass@word1@queue", "pass@word1", f"amqp://me:{REDACTED}@queue"),
    "a short password": ("http://me:pw@proxy:8080", "//me:pw@", f"http:{REDACTED}proxy:8080"),
    "a token before a host": ("https://0123456789abcdef@host/1", "0123456789abcdef", f"https://{REDACTED}@host/1"),
    "a connection string": ("AccountName=me;AccountKey=ab12cd34==;x=y", "ab12cd34==", None),
    "a signed address": ("https://store/blob?se=2027&sig=ab12%2Fcd34", "ab12/cd34", None),
    "an HTTP header": ("Authorization=Bearer abcd1234efgh", "abcd1234efgh", f"Authorization=Bearer {REDACTED}"),
    "a webhook": (WEBHOOK, WEBHOOK, REDACTED),
    "the end of a webhook": (WEBHOOK, "abcdefghijkl", REDACTED),
    "a token of GitHub's": (f"ghp_{'a1' * 18}", f"ghp_{'a1' * 18}", REDACTED),
    "a JSON web token": (WEB_TOKEN, WEB_TOKEN, REDACTED),
    "a service account": (json.dumps({"id": "me", "client_secret": "ab12\ncd34ef"}), "cd34ef", None),
}
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIEabc/def+gh\nqrst\\uvwx==\n-----END PRIVATE KEY-----\n"
ORDINARY_VALUES = [
    "https://example.org/a:b@c/path",
    "https://example.org:8080/?page=2",
    "user@example.org",
    "bash -c 'basic checks'",
    "skip-ahead_and_read_everything",
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


@pytest.mark.parametrize("kind", VALUES)
def test_a_secret_is_known_by_its_form_whatever_the_name_of_its_variable(kind):
    value, secret, in_kernel = VALUES[kind]
    secrets = Secrets({"PLAIN": value, "OTHER": "text"})
    for text in (value, f"it is {secret}.", json.dumps(value), repr({"value": value})):
        assert secret not in secrets.redact(text)
        assert REDACTED in secrets.redact(text)
    assert secret not in secrets.kernel_environment()["PLAIN"]
    assert in_kernel is None or secrets.kernel_environment()["PLAIN"] == in_kernel
    assert secrets.variable_in(["text", f"a {secret}"]) == "PLAIN"


@pytest.mark.parametrize("value", ORDINARY_VALUES)
def test_a_value_of_another_form_is_no_secret(value):
    secrets = Secrets({"PLAIN": value})
    assert secrets.redact(value) == value
    assert secrets.variable_in(value) is None


@pytest.mark.parametrize("name", ["DEPLOY_KEY", "PLAIN"])
def test_each_line_of_a_secret_is_redacted_in_every_spelling(name):
    secrets = Secrets({name: PRIVATE_KEY})
    for text in (PRIVATE_KEY, repr(PRIVATE_KEY), json.dumps(PRIVATE_KEY), *PRIVATE_KEY.splitlines()):
        redacted = secrets.redact(text)
        assert not any(part in redacted for part in ("MIIEabc", "qrst", "uvwx", "PRIVATE"))
    escaped = Secrets({name: PRIVATE_KEY.replace("\n", "\\n")})
    assert "MIIEabc" not in escaped.redact(PRIVATE_KEY)


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
