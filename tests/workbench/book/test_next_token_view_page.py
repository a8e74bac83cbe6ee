"""The view of next tokens in a browser, opened from disk with the network off, computes what transformers computes."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopPLogitsWarper

from largemodels.figures.next_token_view import EXACT, NextTokenView

SIZE = 3000
IDS = [5, 17, 5, 400, 2999, 1]
LOGITS = (
    torch.randn(len(IDS), SIZE, generator=torch.Generator().manual_seed(0))
    * torch.tensor([3, 1, 2, 4, 0.3, 6])[:, None]
)
BEGIN = 2


@pytest.fixture
def page(browser, tmp_path):
    """A page that holds nothing but the view; its visit must end without an error."""
    file = tmp_path / "view.html"
    body = NextTokenView(IDS, LOGITS, lambda token: f" t{token}", start=BEGIN)._repr_html_()
    head = "<!doctype html><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
    file.write_text(f"{head}<body>{body}</body>", encoding="utf-8")
    context = browser.new_context(offline=True)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert errors == []


def move(page, **values):
    """Set sliders as a hand does; gives the temperature that its slider stands at."""
    for name, value in values.items():
        setting = round(100 * math.log10(value)) if name == "temperature" else value
        page.locator(f"input[name={name}]").evaluate(
            "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(setting)
        )
    return min(3, 10 ** (int(page.input_value("input[name=temperature]")) / 100))


def tokens(page):
    return page.locator(".text button")


def said(page):
    return {name: float(value) for name, value in page.locator(".says").evaluate("says => ({...says.dataset})").items()}


def by_transformers(logits, temperature, top_p, min_p):
    """The probabilities after the cuts, and before them."""
    scores = TemperatureLogitsWarper(float(temperature))(None, logits[None]) if temperature != 1 else logits[None]
    whole = scores.softmax(-1)[0]
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(None, scores)
    if min_p > 0:
        scores = MinPLogitsWarper(min_p)(None, scores)
    return scores.softmax(-1)[0], whole


@pytest.mark.parametrize("place", range(len(IDS)))
def test_sampling_in_the_page_is_that_of_transformers(page, place):
    tokens(page).nth(place).click()
    logits = LOGITS[place].double()
    for temperature, top_p, min_p in [
        (1, 1, 0),
        (0.1, 1, 0),
        (3, 1, 0),
        (0.7, 0.9, 0),
        (2, 0.5, 0),
        (1, 1, 0.1),
        (1.5, 0.8, 0.02),
    ]:
        moved = move(page, temperature=temperature, top_p=top_p, min_p=min_p)
        expected, whole = by_transformers(logits, moved, top_p, min_p)
        found, case = said(page), (place, temperature, top_p, min_p)
        stay = int((expected > 0).sum())
        assert found["stay"] == pytest.approx(stay, abs=0.03 * stay if stay > EXACT else 0), case
        assert found["cut"] == pytest.approx(whole[expected == 0].sum().item(), abs=0.005), case
        assert found["entropy"] == pytest.approx(torch.special.entr(expected).sum().item() / math.log(2), abs=0.03), (
            case
        )
        assert found["sampled"] == pytest.approx(expected[IDS[place]].item(), abs=0.002), case
        bars = page.locator(".bars li").evaluate_all("bars => bars.map(bar => Number(bar.dataset.probability))")
        assert bars[:20] == pytest.approx(expected.sort(descending=True).values[:20].tolist(), abs=0.002), case


def test_the_likeliest_tokens_are_shown_with_the_texts_own_among_them_or_below(page):
    for place, token in enumerate(IDS):
        tokens(page).nth(place).click()
        names = page.locator(".bars li bdi").all_inner_texts()
        best = LOGITS[place].topk(20).indices.tolist()
        assert names[:20] == [f"·t{each}" for each in best]
        assert page.locator(".bars .actual bdi").all_inner_texts() == [f"·t{token}"]
        assert len(names) == 20 + (token not in best)


def test_keys_lead_through_the_text_and_no_further(page):
    def chosen():
        return page.locator(".text [aria-pressed=true]").evaluate_all(
            "all => all.map(one => one.tabIndex)"
        ), page.evaluate("[...document.querySelectorAll('.text button')].indexOf(document.activeElement)")

    page.keyboard.press("Tab")
    assert chosen() == ([0], BEGIN)
    for key, place in [
        ("ArrowRight", 3),
        ("ArrowLeft", 2),
        ("End", 5),
        ("ArrowRight", 5),
        ("Home", 0),
        ("ArrowLeft", 0),
    ]:
        page.keyboard.press(key)
        assert chosen() == ([0], place), key
    assert page.locator(".text button").nth(0).evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Tab")  # one stop for the whole text
    assert page.evaluate("document.activeElement.name") == "temperature"
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("input[name=temperature]", "aria-valuetext") == "0.98"


def test_cut_tokens_are_marked_and_the_reset_brings_them_back(page):
    move(page, temperature=0.7, top_p=0.3)
    assert page.locator(".bars .cut").count() > 0
    assert page.locator(".bars .cut .share").first.inner_text().startswith("cut, ")
    page.get_by_role("button", name="Reset").click()
    assert page.locator(".bars .cut").count() == 0
    assert page.input_value("input[name=top_p]") == "1"
    assert said(page)["stay"] == SIZE


def test_paper_has_a_table_of_the_chosen_place(page):
    tokens(page).nth(0).click()
    move(page, temperature=0.5)
    assert not page.is_visible("table.still")
    page.emulate_media(media="print")
    assert page.is_visible("table.still")
    assert not page.is_visible("input[name=temperature]")
    table = page.inner_text("table.still")
    assert "temperature 0.50, top-p 1.00, min-p 0.00" in table
    for token in LOGITS[0].topk(5).indices.tolist():
        assert f"·t{token}" in table


def test_a_phone_has_room_for_it_and_a_reader_without_script_has_the_table(page, browser):
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context = browser.new_context(java_script_enabled=False, offline=True)
    plain = context.new_page()
    plain.goto(page.url)
    assert plain.is_visible("table.still")
    assert not plain.is_visible("input[name=temperature]")
    context.close()
