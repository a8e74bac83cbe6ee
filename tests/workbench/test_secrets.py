"""Secrets stay out of kernels and files."""

from __future__ import annotations

import json

from workbench.secrets import REDACTED, Secrets

ENVIRONMENT = {
    "HF_TOKEN": "hf_abcdefghij",
    "AWS_SECRET_ACCESS_KEY": 'a"b\\c<d>e',
    "MY_PASSWORD": "x",
    "PATH": "/bin",
    "TOKENIZERS_PARALLELISM": "false",
}


def test_a_kernel_gets_the_environment_without_its_secrets():
    kernel = Secrets(ENVIRONMENT).kernel_environment()
    assert "HF_TOKEN" not in kernel
    assert "AWS_SECRET_ACCESS_KEY" not in kernel
    assert kernel["PATH"] == "/bin"
    assert kernel["TOKENIZERS_PARALLELISM"] == "false"
    assert kernel["PYTHONHASHSEED"] == "0"


def test_secrets_are_redacted_also_as_json_and_html_spell_them():
    secrets = Secrets(ENVIRONMENT)
    for text in ("hf_abcdefghij", json.dumps(ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]), "a&quot;b\\c&lt;d&gt;e"):
        assert REDACTED in secrets.redact(text)


def test_a_very_short_value_is_left_alone():
    assert Secrets(ENVIRONMENT).redact("x marks the spot") == "x marks the spot"
