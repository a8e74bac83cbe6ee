"""What of an environment's variables is secret: by the words of a name, and by the form of a value."""

from __future__ import annotations

import contextlib
import html
import itertools
import json
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHORTEST = 6  # characters; a shorter value is no secret, and replacing it would damage ordinary text
_LONGEST = 2**16  # characters of a value in which secrets are looked for by their form

# Words of names, in upper case. A word is what stands between other characters, or begins with a capital.
_SECRET = re.compile(
    r"\w*(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|ROOTPW)|SECRETS|PASSWORDS|PASSCODE|(SSH)?PASS|PWD|PW|PAT"
    r"|CREDENTIALS?|APIKEYS?|COOKIE|WEBHOOK|AUTHORIZATION|SIGNATURE|SIG"
)
_BEFORE_KEY = re.compile(r"API|ACCESS|ACCOUNT|PRIVATE|SECRET|SIGNING|ENCRYPTION|DEPLOY|MASTER")
_UNSURE = re.compile(r"KEYS?|AUTH")  # a sort key, a cache key, or what opens a door: the value decides
_ABOUT = re.compile(  # as the last word, it says that the value is none: TOKEN_LIMIT, HF_TOKEN_PATH, CREDENTIAL_STORE
    r"FILE|PATH|DIR|DIRECTORY|STORE|TYPE|LIMIT|LENGTH|LEN|COUNT|SIZE|MAX|MIN|TTL|AGE|TIMEOUT|EXPIRY|EXPIRES|NAME"
    r"|USER|USERNAME|ENABLED|DISABLED|REQUIRED|HELPER|PROVIDER|ALGORITHM|METHOD|SOCK|FORMAT|HEADER|PROMPT|POLICY"
)
_WORKING_DIRECTORY = {"PWD", "OLDPWD"}
_NOT_SECRET = re.compile(r"|[01]|true|false|yes|no|on|off|none|enabled|disabled|required|bearer|basic", re.IGNORECASE)

_PASSWORD = [  # of an address; every pattern looks at bounded text, since people keep whole documents in variables
    re.compile(r"://[^\s:/?#@,]{0,100}:(?!\d{1,5}[?#])([^\s/@,\"']{6,200})@"),
    re.compile(r"://[^\s:/?#@,]{0,100}:(?!\d{1,5}[/?#])([^\s,\"']{6,100})@"),  # where it holds an @ or a / itself
    re.compile(r"(//[^\s:/?#@,]{0,100}:[^\s/@,\"']{1,5}@)(?![^\s,\"']{0,100}@)"),  # too short to be replaced alone
    re.compile(r"^([^\s:/?#@,]{1,100}:[^\s/@,\"']{6,200})@[\w.-]+:\d+$"),  # a proxy's without a scheme
]
_PAIR = re.compile(  # name=value, name: value; seen ahead, so that a value may hold pairs itself
    r"(?<![\w.-])(?=([A-Za-z][\w.-]{0,60})[\"']?\s{0,3}(=|:(?!//))\s{0,3}"
    r"(\"[^\"]{0,500}\"|'[^']{0,500}'|\{[^}]{0,500}\}|[^\s;&,\"'<]{1,500}))"
)
_OPTION = re.compile(r"--([a-z][\w-]{0,60})\s{1,3}([^\s\"'<-][^\s\"']{0,500})")
_HEADER = re.compile(r"(?:^|authorization\W{1,4})(?:bearer|basic|token)(?:\s|%20)+([\w+/=.~-]{8,})", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://[^\s\"',<>]{1,500}")
_USER = re.compile(r"://([^\s:/?#@,]{20,200})@")  # a token in the place of a user
_TOKEN = re.compile(
    r"(?<![\w/.-])((?:gh[pousr]_|github_pat_|glpat-|hf_|sk[-_]|rk_|xox[a-z]-|xapp-|pypi-|npm_|SG\.|AKIA|AIza)[\w.-]{16,200})"
    r"|(?<![\w/.-])(eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{0,2000})"
)
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")


def is_named_secret(name: str, value: str) -> bool:
    """Whether a variable's name says that its value as a whole is secret."""
    words = [word.upper() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    if not words or name in _WORKING_DIRECTORY or _ABOUT.fullmatch(words[-1]) or _NOT_SECRET.fullmatch(value):
        return False
    if value.startswith(("/", "~/")) and "\n" not in value and _is_here(value):
        return False  # the secret is in the file
    if any(map(_SECRET.fullmatch, words)):
        return True
    before_keys = [first for first, second in itertools.pairwise(words) if second in ("KEY", "KEYS")]
    return any(map(_BEFORE_KEY.fullmatch, before_keys)) or (any(map(_UNSURE.fullmatch, words)) and _looks_random(value))


def secrets_in(name: str, value: str) -> Iterator[str]:
    """The secrets in the value of a variable."""
    if is_named_secret(name, value):
        yield value
    value = value[:_LONGEST]
    for form in _PASSWORD:
        yield from form.findall(value)
    yield from filter(_looks_random, _USER.findall(value))
    yield from _HEADER.findall(value)
    for match in _TOKEN.finditer(value):
        if _looks_random(match[0]):
            yield match[0]
    for address in _ADDRESS.findall(value):
        end = address.rstrip("/").rpartition("/")[2]
        if "hook" in address.lower() and _looks_random(end):  # a webhook's address is its password
            yield from (address, end)
    for key, sign, text in _PAIR.findall(value):
        bare = text.strip("\"'{}")
        if is_named_secret(key, bare) and (sign == "=" or text[0] in "\"'{" or _looks_random(bare)):
            yield bare
    for key, text in _OPTION.findall(value):
        if is_named_secret(key, text):
            yield text
    for block in _KEY_BLOCK.finditer(value):
        end = re.compile(r"-----END [A-Z ]{0,40}-----").search(value, block.start())
        yield value[block.start() : end.end() if end else len(value)]
    if value.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):  # the other forms have seen it
            yield from _secrets_of_json(json.loads(value, strict=False))


def _secrets_of_json(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for inner_key, inner in value.items():
            yield from _secrets_of_json(inner, inner_key)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets_of_json(inner, key)
    elif isinstance(value, str) and is_named_secret(key, value):
        yield value


def spellings(secrets: set[str]) -> set[str]:
    """Secrets, and each of their lines, as text, JSON, Python, HTML and URLs spell them."""
    lines = {line.strip() for secret in secrets for line in re.split(r"[\r\n]+|\\r|\\n", secret)}
    texts = {text for text in secrets | lines if len(text) >= SHORTEST}
    texts |= {urllib.parse.unquote(text) for text in texts}
    return {spelling for text in texts for spelling in _spellings(text)}


def _spellings(text: str) -> Iterator[str]:
    yield text
    in_json = [json.dumps(text, ensure_ascii=ascii)[1:-1] for ascii in (True, False)]
    yield from in_json
    yield json.dumps(in_json[0])[1:-1]  # JSON in JSON
    yield re.sub("[<>&']", lambda match: f"\\u{ord(match[0]):04x}", in_json[0])  # JSON in HTML
    yield repr(text)[1:-1]
    yield text.replace("\\", "\\\\").replace("'", "\\'")  # in a longer text
    yield repr(text.encode("utf-8", "surrogateescape"))[2:-1]
    for quote in (True, False):
        yield html.escape(text, quote=quote)
    yield html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    yield text.replace("'", "'\"'\"'")  # a shell
    for safe in ("", "/"):
        quoted = urllib.parse.quote(text, safe=safe, errors="surrogateescape")
        yield from (quoted, quoted.replace("%20", "+"))
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)


def _looks_random(text: str) -> bool:
    """Whether a text is no word or sentence that a person would write: long, without spaces, with digits in it."""
    if "\n" in text:
        return "PRIVATE KEY" in text
    return len(text) >= 16 and not re.search(r"\s", text) and len(re.findall(r"\d", text)) >= 2


def _is_here(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False
