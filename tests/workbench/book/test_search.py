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
    "book/questions": ("quantization", "how to choose a model", "pruning", "distillation"),
    "book/glossary": ("perplexity", "catastrophic forgetting", "calibration", "in-context learning"),
    "book/notation": ("notation",),
    "book/teachers": ("course",),
    "notebooks/attention": ("attention", "masks", "multi-head attention"),
    "notebooks/pretraining": ("pretraining", "next-sentence prediction"),
    "notebooks/fine-tuning": ("fine-tuning", "LoRA", "choose a pretrained model"),
    "notebooks/domain-adaptation": ("domain adaptation",),
    "notebooks/evaluation": ("evaluation", "McNemar", "label smoothing", "how to evaluate a model"),
}
"""What readers look for, by the page that has it."""


@pytest.fixture(scope="module")
def search(browser, book):
    """The function that searches on the one search page, and returns the first results as links and texts."""
    context = browser.new_context(offline=True, viewport=DESKTOP)
    reader = Reader(context, book)

    def search(query: str, count: int = 3) -> list[tuple[str, str]]:
        page = reader.open(f"search?q={query}")
        page.wait_for_function("document.querySelector('#search-results h2')?.innerText === 'Search Results'")
        results = page.locator("#search-results li").all()[:count]
        return [(result.locator("a").get_attribute("href"), result.inner_text()) for result in results]

    search.page = reader.page
    yield search
    context.close()
    assert reader.errors == []
    assert reader.off_site == []


@pytest.mark.parametrize("place", SUBJECTS)
def test_a_subject_is_among_the_first_three_results(search, place):
    found = {query: [link for link, _ in search(query)] for query in SUBJECTS[place]}
    missed = {query: links for query, links in found.items() if not any(place in link for link in links)}
    assert missed == {}


def test_a_result_shows_the_sentence_around_the_hit_and_leads_to_its_section(search):
    search("marsupial")
    result = search.page.locator("#search-results li", has_text="toy").first
    said = search.page.locator("#search-results p.context", has_text="marsupial").first
    said.wait_for()
    assert said.locator("mark").first.inner_text().lower().startswith("marsupial")
    assert len(said.inner_text()) < 300
    assert "#" in result.locator("a").get_attribute("href")


def test_a_section_that_is_called_as_was_asked_comes_first(search):
    ((link, _),) = search("how to choose a model", count=1)
    assert link == "book/questions.html#how-to-choose-a-model"
