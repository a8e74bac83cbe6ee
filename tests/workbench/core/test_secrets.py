"""Secrets stay out of kernels and files, and nothing else is touched on their account."""

from __future__ import annotations

import copy
import html
import json
import re
import shlex
import time
import urllib.parse

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
    "DB_PW",
    "ROOTPW",
    "DB_PASS2",
    "DB_PASS_PROD",
    "dbPass",
    "stripeKey",
    "MAILGUN_KEY_EU",
    "ENCRYPTION_KEYS",
    "SESSION_COOKIE",
]
OTHER_NAMES = [
    "HF_TOKEN_PATH",
    "TOKEN_LIMIT",
    "MAX_TOKEN_LENGTH",
    "GCM_CREDENTIAL_STORE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "SORT_KEY",
    "CACHE_KEY",
    "JIRA_PROJECT_KEY",
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
WEBHOOK = "https://hooks.example.com/services/T01/abcdef12ghijkl34"
WEB_TOKEN = "eyJhbGciOiJI1.eyJzdWIiOiIx.c2lnbmF0dXJl"
# Variables with ordinary names: the value, what of it is secret, and what a kernel gets.
VALUES = {
    "a database": ("postgres://app:s3cr3tpw@db:5432/app", "s3cr3tpw", f"postgres://app:{REDACTED}@db:5432/app"),
    "a cache": ("redis://:hunter22@cache/0", "hunter22", f"redis://:{REDACTED}@cache/0"),
    "an escaped password": ("https://me:p%40ssw0rd@index/", "p@ssw0rd", f"https://me:{REDACTED}@index/"),
    "a password with an @": ("amqp://me:pass@word1@queue", "pass@word1", f"amqp://me:{REDACTED}@queue"),
    "a short password": ("http://me:pw@proxy:8080", "//me:pw@", f"http:{REDACTED}proxy:8080"),
    "a token before a host": (
        "https://0123456789abcdef0123@host/1",
        "0123456789abcdef0123",
        f"https://{REDACTED}@host/1",
    ),
    "a connection string": ("AccountName=me;AccountKey=ab12cd34==;x=y", "ab12cd34==", None),
    "a signed address": ("https://store/blob?se=2027&sig=ab12%2Fcd34", "ab12/cd34", None),
    "an HTTP header": ("Authorization=Bearer abcd1234efgh", "abcd1234efgh", f"Authorization=Bearer {REDACTED}"),
    "a webhook": (WEBHOOK, WEBHOOK, REDACTED),
    "the end of a webhook": (WEBHOOK, "abcdef12ghijkl34", REDACTED),
    "a token of GitHub's": (f"ghp_{'a1' * 18}", f"ghp_{'a1' * 18}", REDACTED),
    "a JSON web token": (WEB_TOKEN, WEB_TOKEN, REDACTED),
    "a header with a key": ("x-api-key=k3y0f16l3tters", "k3y0f16l3tters", None),
    "a connection of libpq's": ("host=db password='hunter2hunter2'", "hunter2hunter2", None),
    "a password in braces": ("Driver=x;Pwd={hunter2;more}", "hunter2;more", None),
    "an option": ("--user me --password hunter2hunter2", "hunter2hunter2", None),
    "a proxy without a scheme": ("me:hunter22@proxy:3128", "me:hunter22", None),
    "a service account": (json.dumps({"id": "me", "client_secret": "ab12\ncd34ef"}), "cd34ef", None),
}
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIEabc/def+gh\nqrst\\uvwx==\n-----END PRIVATE KEY-----\n"
ORDINARY_VALUES = [
    "https://example.org/a:b@c/path",
    "https://example.org:8080/?page=2",
    "user@example.org",
    "bash -c 'basic checks'",
    "skip-ahead_and_read_everything",
    "Add a basic accuracy check, and basic statistics",
    "/data/hf_transformers_cache",
    "http://registry:4873/@scope/pkg",
    "https://my-organisation-name@dev.example.com/x",
    "https://docs.example.org/webhooks/introduction",
    "--eos_token=<|endoftext|>",
    "smtp://host:587?from=a@example.org",
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
    secrets = Secrets({name: "k3y-0f-16-l3tters"})
    assert name not in secrets.kernel_environment()
    assert secrets.redact("k3y-0f-16-l3tters") == REDACTED


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


@pytest.mark.parametrize("name", ["SORT_KEY", "ENABLE_AUTH", "TOKEN_TYPE", "HF_HUB_DISABLE_IMPLICIT_TOKEN"])
@pytest.mark.parametrize("value", ["accuracy", "disabled", "linux-py311", "1"])
def test_a_setting_is_no_secret(name, value):
    if name.endswith("TOKEN") and value not in ("1", "disabled"):
        return  # a token may be any word
    assert Secrets({name: value}).kernel_environment()[name] == value
    assert Secrets({name: value}).redact(f"the {value}") == f"the {value}"


def test_a_file_that_holds_a_secret_is_none_itself(tmp_path):
    assert Secrets({"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path)}).redact(str(tmp_path)) == str(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        '{"password": "a\\dbcdefg"}',
        "p\udce4ssword1",
        "[" * 10_000,
        "https://x.hook" * 6_000,
        "redis://host:6379," * 3_000,
    ],
    ids=["no JSON", "no UTF-8", "nested", "hooks", "addresses"],
)
def test_no_value_stops_a_command_or_takes_long(value):
    started = time.process_time()
    secrets = Secrets({"PASSWORD": value, "PLAIN": value})
    assert secrets.redact("nothing") == "nothing"
    assert time.process_time() - started < 2


def test_every_usual_spelling_is_redacted():
    secret = "it's my <secret>/+ \\pw é"
    spelled = [
        urllib.parse.quote(secret),
        urllib.parse.quote_plus(secret),
        re.sub("%..", lambda escape: escape[0].lower(), urllib.parse.quote(secret, safe="")),
        html.escape(secret).replace("&#x27;", "&#39;"),
        repr(f'{secret}"'),
        repr(secret.encode()),
        json.dumps(json.dumps(secret)),
        shlex.quote(secret),
    ]
    secrets = Secrets({"DB_PASSWORD": secret})
    for text in spelled:
        assert REDACTED in secrets.redact(text), text


def test_a_number_is_redacted_only_as_a_whole():
    assert Secrets({"PIN_PASSWORD": "100000"}).redact("0.1000001 and 100000.") == f"0.1000001 and {REDACTED}."


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


def test_a_secret_that_comes_in_two_pieces_of_a_stream_is_redacted_and_other_pieces_stay():
    pieces = ["it is hf_abc", "defghij\n"]
    divided = executed_notebook(*({"output_type": "stream", "name": "stdout", "text": text} for text in pieces))
    clean = without_secrets(divided, Secrets(ENVIRONMENT))
    (output,) = clean["cells"][1]["outputs"]
    assert nbformat.reads(nbformat.writes(clean), as_version=4).cells[1].outputs == [output]
    assert output["text"] == f"it is {REDACTED}\n"
    whole = executed_notebook(*({"output_type": "stream", "name": "stdout", "text": text} for text in "ab"))
    assert without_secrets(whole, Secrets(ENVIRONMENT))["cells"][1]["outputs"] == whole.cells[1].outputs


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
