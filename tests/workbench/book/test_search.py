"""The search page in a browser, opened from disk with the network off: what is found first, and what is shown of it."""

from __future__ import annotations

import pytest

from page_reader import DESKTOP, Reader

SUBJECTS = {
    "book/background": ("GPT-3", "LaMDA", "PaLM", "ELMo", "scaling laws", "word vectors"),
    "book/concepts": ("transfer", "compression", "generation"),
    "book/applications": (
        *("translation", "summarisation", "summarization", "question answering", "dialogue", "vision", "segmentation"),
        *("object detection", "drug discovery", "protein structure", "fraud", "risk"),
    ),
    "book/tools": ("Gym", "Gymnasium", "Papers with Code", "Hugging Face", "PyTorch", "TensorFlow", "JAX", "serving"),
    "book/outlook": ("multimodality", "interpretability", "energy", "bias", "robustness"),
    "book/questions": ("quantization", "how to choose a model", "how to evaluate a model", "pruning", "distillation"),
    "book/glossary": ("perplexity", "catastrophic forgetting", "calibration", "in-context learning"),
    "book/notation": ("notation",),
    "book/teachers": ("course",),
    "notebooks/attention": ("attention", "masks", "multi-head attention"),
    "notebooks/pretraining": ("pretraining", "next-sentence prediction"),
    "notebooks/generation": ("induction heads", "speculative decoding", "prompting", "contamination"),
    "notebooks/fine-tuning": ("fine-tuning", "LoRA", "choose a pretrained model"),
    "notebooks/domain-adaptation": ("domain adaptation",),
    "notebooks/evaluation": ("evaluation", "McNemar", "label smoothing"),
    "notebooks/compression": ("compression", "quantization", "pruning", "outlier channels", "GPTQ"),
    "notebooks/scaling": ("scaling law", "emergence", "Chinchilla", "carbon", "pipeline parallelism"),
}
"""What readers look for, by the page that has it."""


SEARCH = """query => new Promise(resolve => {
    document.getElementById("search-results").replaceChildren();
    Search.performSearch(query);
    const look = () => Search.title.innerText === "Search Results" ? resolve(links()) : setTimeout(look, 20);
    const links = () => [...document.querySelectorAll("#search-results li a")].map(link => link.getAttribute("href"));
    look();
})"""


@pytest.fixture(scope="module")
def reader(browser, book):
    """A reader, whose visit must end without an error or a request to another site."""
    context = browser.new_context(offline=True, viewport=DESKTOP)
    reader = Reader(context, book)
    yield reader
    context.close()
    assert reader.errors == []
    assert reader.off_site == []


def test_each_subject_is_among_the_first_three_results(reader):
    page = reader.open("search")
    found = {(place, query): page.evaluate(SEARCH, query)[:3] for place in SUBJECTS for query in SUBJECTS[place]}
    missed = {query: links for (place, query), links in found.items() if not any(place in link for link in links)}
    assert missed == {}


@pytest.mark.parametrize("asked", ["how to choose a model", "how to evaluate a model"])
def test_a_section_that_is_called_as_was_asked_comes_first(reader, asked):
    page = reader.open("search")
    first, *_ = page.evaluate(SEARCH, asked)
    assert first == f"book/questions.html#{asked.replace(' ', '-')}"


@pytest.mark.parametrize(("word", "place"), [("marsupials", "notebooks/toy"), ("fraud", "book/applications")])
def test_a_result_shows_the_sentence_around_the_hit_and_leads_to_its_section(reader, word, place):
    page = reader.open(f"search?q={word}")
    said = page.locator("#search-results p.context", has=page.locator("mark")).first
    said.wait_for()
    assert said.locator("mark").first.inner_text().lower().startswith(word[:8])
    assert len(said.inner_text()) < 300
    link = said.locator("xpath=../a").get_attribute("href")
    assert link.startswith(f"{place}.html#")
