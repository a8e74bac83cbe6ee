"""Plain sentences out of reStructuredText and Markdown, as docstrings carry them.

Code, doctests, tables and displayed formulas are dropped, inline markup is turned into the words it stands for, and
paragraphs are split into sentences. `largemodels.data.pydocs.docstrings` says which text goes in; only the standard
library is used.
"""

import re
from collections.abc import Iterator

MIN_WORDS, MAX_WORDS = 4, 60

# Stands before a word that was marked up as code, until sentences are split: "... is used. `axis` must be" has a
# sentence boundary before a small letter.
MARK = "\x01"
STAR = "\x02"  # an asterisk inside code, while emphasis is looked for


def indentation(line: str) -> int:
    """The number of spaces a line starts with."""
    return len(line) - len(line.lstrip(" "))


# Blocks

BULLET = re.compile(r"\s*(?:[-*+•]|\(?[a-zA-Z\d]{1,2}[.)]|#\.)\s+(?=\S)")
DIRECTIVE = re.compile(r"\.\. ?(?P<name>[\w:+-]+)::\s*(?P<rest>.*)")
TRANSPARENT = {"note", "warning", "important", "tip", "attention", "caution", "hint", "danger", "topic"}
RULE = re.compile(r"""\s*([=\-+~^*#"'`_|:.]{2,}[\s=\-+~^*#"'`_|:.]*|[$]{2})\s*""")
TABLE_ROW = re.compile(r"\s*\||.*[^\s.:!?] {2,}\S.* {2,}\S|.*[^\s.:!?,;] {3,}\S")
CODE = re.compile(  # at the start of a line
    "|".join(
        (
            r"import \w|from [\w.]+ import|def \w+\(|class \w+[(:]|return [\w.]+[(\[]",
            r"for \w+ in .*:$|while .*:$|with .* as \w+:$",
            r"@\w|[#$%!] ?\S|pip install|python |<[^>]*>$",
            r"[\w.,\[\]'\" ]+ [+\-*/]?= \S",  # assignment
            r"[\w.]+\([^)]*\)?;?$|\w+(?:\.\w+)+\(.*[(),]$|[)\]}]+,?$",  # call
            r"\w+: [\w.]+(?:\[.*\])?$",  # annotation
        )
    )
)
OPTION = re.compile(r":[\w-]+:(\s|$)")


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs and list items of a text as plain words; code words still carry `MARK`."""
    for lines in _prose_blocks(text):
        if not any(CODE.match(line) for line in lines):
            plain = plain_words(" ".join(lines))
            if plain:
                yield plain


def _prose_blocks(text: str) -> Iterator[list[str]]:
    """The lines of each paragraph or list item, stripped, leaving out what is not prose."""
    block: list[str] = []
    depth = 0  # indentation that the block goes on at
    skip: int | None = None  # leave out what is indented more than this
    fenced = doctest = False
    for line in [*text.splitlines(), ""]:
        stripped, indent = line.strip(), indentation(line)
        if stripped.startswith(("```", "~~~", "$$")) or stripped in (r"\[", r"\]"):
            one_line = stripped.startswith("$$") and stripped.endswith("$$") and len(stripped) > 3
            fenced, stripped = fenced if one_line else not fenced, ""
        elif fenced:
            continue
        doctest = bool(stripped) and (doctest or stripped.startswith(">>>"))
        if stripped and skip is not None:
            if indent > skip:
                continue
            skip = None
        bullet = BULLET.match(line)
        directive = DIRECTIVE.match(stripped)
        if directive or stripped.startswith((".. ", "__ ")) or stripped in ("..", "::"):
            transparent = directive is not None and directive["name"] in TRANSPARENT
            skip = None if transparent else indent
            stripped = directive["rest"] if directive is not None and transparent else ""
            bullet = None
        elif doctest or OPTION.match(stripped) or TABLE_ROW.match(line):
            stripped = ""
        elif RULE.fullmatch(line):
            block = block if len(block) > 1 else []  # a single line above a rule is a heading
            stripped = ""
        if block and (not stripped or bullet or (indent != depth and not _goes_on(block[-1], stripped))):
            yield block
            block = []
        if stripped:
            depth = bullet.end() if bullet and not block else indent if not block else depth
            block = [*block, line[bullet.end() :].strip() if bullet else stripped]
            if stripped.endswith("::"):
                skip = indent


def _goes_on(previous: str, line: str) -> bool:
    """Whether a line of another indentation still belongs to the sentence before it."""
    return not previous.endswith((".", ":", "!", "?")) and (line[0].islower() or line[0] in "`(:[*0123456789")


# Inline markup

_GREEK = "alpha beta gamma delta epsilon zeta eta theta kappa mu nu xi pi rho sigma tau phi chi psi omega Delta Sigma"
_NAMED = "log exp min max sin cos sum lambda"
_DRAWN = """
    times × cdot · pm ± ast * star * mid | ell l in ∈ infty ∞ approx ≈ sim ~ to → rightarrow →
    leq ≤ le ≤ geq ≥ ge ≥ lt < gt > neq ≠ ne ≠ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ ldots ... dots ... cdots ...
"""
SYMBOLS = {
    **dict(zip(_DRAWN.split()[::2], _DRAWN.split()[1::2], strict=True)),
    **{name: name for name in f"{_GREEK} {_NAMED}".split()},
    **dict.fromkeys(("left", "right"), ""),
    "quad": " ",
}


FONT = re.compile(r"\\(?:text|mathrm|mathbf|mathit|mathbb|mathcal|operatorname|bm|texttt)\{([^{}]*)\}")


def _formula(match: re.Match[str]) -> str:
    """Inline mathematics as words and symbols; what has no plain form keeps its backslashes or braces."""
    formula = FONT.sub(r"\1", match[1])
    formula = re.sub(r"\\([A-Za-z]+)", lambda m: SYMBOLS.get(m[1], m[0]), formula)
    formula = re.sub(r"([_^])\{(\w+)\}", r"\1\2", formula)
    return _marked(re.sub(r"\\[,;! ]", " ", formula))


def _marked(words: str) -> str:
    return MARK + words.replace("*", STAR)


def _role(match: re.Match[str]) -> str:
    """The words of a role: `:class:`~torch.nn.Linear`` is Linear, `:ref:`title <target>`` is its title."""
    text = match[1].strip()
    if target := re.fullmatch(r"(.*\S)\s*<[^<>]*>", text, re.DOTALL):
        text = target[1]
    return _marked(text.rpartition(".")[2] if text.startswith("~") else re.sub(r"^[!.](?=\w)", "", text))


INLINE = (
    (re.compile(r"</?(?:Tip|br|hfoptions?|small|b|i|em|strong|p|ul|li|kbd|code)\b[^<>]*>"), " "),
    # A citation beside the sentence goes; one that is part of it ("see [1]_ for details") leaves it unreadable.
    (
        re.compile(r"(?<!\bin)(?<!\bto)(?<!\bsee)(?<!\bof)(?<!\bby)(?<!\bfrom)(?<!\band)\s?\[(?:[\w#+.-]+|\*)\]_,?"),
        "",
    ),
    (re.compile(r"\(\s*,\s*"), "("),  # where a citation was: "([1]_, Eq. 2)" and "in ([1]_)"
    (re.compile(r"\s\(\s*\)"), ""),
    (re.compile(r":math:`([^`]*)`"), _formula),
    (re.compile(r"(?<![\w$\\])\$([^$\s](?:[^$]*[^$\s])?)\$(?!\w)"), _formula),
    (re.compile(r":[A-Za-z][\w:+.-]*:`([^`]+)`"), _role),
    (re.compile(r"``(.+?)``"), lambda match: _marked(match[1].strip())),
    (re.compile(r"`([^`<>]+?)\s*<[^`<>]+>`__?"), r"\1"),
    (re.compile(r"<(https?://[^>\s]*|mailto:[^>\s]*)>"), r"\1"),
    (re.compile(r"\[`([^`]+)`\](?:\([^()\s]*\))?"), _role),
    (re.compile(r"!?\[([^\[\]]+)\]\([^()\s]*\)"), r"\1"),
    (re.compile(r"`([^`]+)`__?(?!\w)"), r"\1"),
    (re.compile(r"`(~?[^`]+)`"), _role),
    (re.compile(r"\*\*(?=\S)([^*]+?)(?<=\S)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*]+?)(?<=[^\s*])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<=\w)__?(?=[\s.,;:)]|$)(?<=[a-z]{3}_)"), ""),
    (re.compile(r"\\([*_`|~'\"<>])"), r"\1"),
    (re.compile(r"\\ "), ""),
    (re.compile(r"&nbsp;"), " "),
    (re.compile(r"::(?=\s|$)"), ":"),
)
MARKED_UP = re.compile(r"[`*$\\<_&\[]|::|\(\s*[,)]")  # what any of these can begin with


def plain_words(text: str) -> str:
    """A paragraph with its inline markup turned into plain words; code words are preceded by `MARK`."""
    if MARKED_UP.search(text):
        for pattern, replacement in INLINE:
            text = pattern.sub(replacement, text)
    return re.sub(r"\s+", " ", text.replace(STAR, "*")).strip()


# Sentences

_ABBREVIATED = """
    e.g i.e eg ie cf vs al resp approx viz incl excl ca w.r.t wrt a.k.a aka
    fig figs eq eqs eqn ref refs sec sect ch chap no nos vol pp p
    dr mr mrs prof st jr ed eds dept univ proc trans int def
"""
ABBREVIATIONS = set(_ABBREVIATED.split())
BOUNDARY = re.compile(r"""(?P<stop>[.!?])["'”’)\]]*\s+(?=["'“‘(\[]*(?P<next>[^\s"'“‘(\[]+))""")


def split_sentences(paragraph: str) -> Iterator[str]:
    """The sentences of a paragraph, without `MARK`.

    A sentence ends at a full stop, exclamation or question mark before white space and a capital letter, a digit or
    a code word, unless the full stop belongs to an abbreviation ("e.g.", "Fig. 2") or to an initial ("J. Smith").
    """
    start = 0
    for match in BOUNDARY.finditer(paragraph):
        if _ends_sentence(paragraph[start : match.start()], match):
            yield paragraph[start : match.end()].replace(MARK, "").strip()
            start = match.end()
    if rest := paragraph[start:].replace(MARK, "").strip():
        yield rest


def _ends_sentence(before: str, match: re.Match[str]) -> bool:
    following = match["next"][0]
    identifier = "_" in match["next"]  # a name of Python's, although not marked up
    if not (following.isupper() or following.isdigit() or following == MARK or identifier):
        return False
    if match["stop"] != ".":
        return True
    last = before.rpartition(" ")[2].lstrip("([\"'“‘").replace(MARK, "")
    initial = len(last) == 1 and last.isupper() and following.isupper() and before.count(" ") > 0
    return not (last.lower() in ABBREVIATIONS or initial or last.endswith("."))


LEFTOVER = re.compile(
    "|".join(
        (
            r"[\\{}|`^#$]|\*\*|::|:\w+:|</?\w+|\[[\w#+.-]+\]_|\S_\s*$|\.\. \w",  # markup, mathematics
            r"%\(|>>>|->|=>|==|@\w|;\s*$|\w = [\w\[({'\"]",  # code, placeholders
            r"https?:|www\.|sphx_glr|\bTODO\b",
        )
    )
)
ITEM = re.compile(  # `name (type, optional): text` out of place
    r"\((?:[^()]*\W)?(?:optional|defaults to)\b|\s--(?:\s|$)|\w: .*, optional\b|^\([^:]*\):"
    r"|\w : (?:bool|int|float|str|array|array_like|ndarray|callable|object|dict|list|tuple)\b"
)
# What is left of a sentence that a formula, a table or an example interrupts.
BEGUN = re.compile(r"(?:where|which|is|are|and|or|than|of|then|except|will|\.\.\.|…)\s")
UNFINISHED = re.compile(
    r"(?:[:,(\[@>]|e\.g\.|i\.e\."
    r"|\b(?:and|or|the|a|an|of|by|is|are|as|that|if|where|than|when|even|such|see|which))$"
)
WORD = re.compile(r"[A-Za-z]{2,}")


def is_readable(sentence: str) -> bool:
    """Whether a sentence is prose of `MIN_WORDS` to `MAX_WORDS` words, and neither markup, code nor formula."""
    words = sentence.split()
    if not MIN_WORDS <= len(words) <= MAX_WORDS or sentence.count("(") != sentence.count(")"):
        return False
    if any(pattern.search(sentence) for pattern in (LEFTOVER, ITEM, UNFINISHED)) or BEGUN.match(sentence):
        return False
    spelled = sum(WORD.search(word) is not None for word in words)
    letters = sum(map(str.isalpha, sentence)) + sentence.count(" ")
    return spelled >= 3 and spelled >= 0.6 * len(words) and letters >= 0.75 * len(sentence)
