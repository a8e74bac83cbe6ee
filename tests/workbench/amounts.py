"""Amounts and texts so small that a chapter runs within seconds: nothing has to be learnt, whatever the models are."""

from __future__ import annotations

import random
from pathlib import Path

GENERATION = {
    "vocabulary_size": 280,
    "hidden_size": 32,
    "inner_size": 32,
    "max_length": 64,
    "batch_tokens": 256,
    "steps": 3,
    "held_out": 20,
    "written": 8,
    "networks": 2,
    "toy_steps": 2,
    "induction_steps": 2,
    "summary_steps": 1,
    "summary_questions": 20,
    "copies": [1],
    "planted": 2,
    "planting_steps": 8,
    "shots": 1,
}
COMPRESSION = {
    "held_out": 20,
    "calibration": 10,
    "networks": 2,
    "network_steps": 3,
    "rank": 2,
    "lora_steps": 1,
    "labelled": 60,
    "asked": 40,
    "epochs": 1,
    "student_layers": 1,
    "students": 2,
    "repetitions": 2,
}
SCALING = {
    "speed_widths": [32, 64],
    "product_sizes": [64],
    "repetitions": 3,
    "held_out": 20,
    "ladder_vocabulary": 280,
    "ladder_window": 32,
    "ladder_widths": [8, 12, 16, 20, 24],
    "ladder_tokens": 2048,
    "ladder_seeds": 2,
    "seeds_up_to": 8,
    "ladder_batch": 256,
    "budget_widths": [12],
    "repeats": [2, 4],
    "repeat_width": 8,
    "resamples": 10,
}
THINGS = ("strap", "hinge", "lens", "case", "screen", "cable", "lid", "dial")
SAID = {"keep": ("works well", "is lovely", "still holds"), "send back": ("broke early", "fell off", "is useless")}


def write_data(folder: Path) -> None:
    """Reviews, letters and a text of letters, of which no chapter knows anything."""
    draw = random.Random(0)
    for name, days in (("reviews", range(1, 6)), ("letters", range(6, 11))):
        sentences = [
            (f"The {thing} {phrase} after {day} days of {draw.choice(('rain', 'snow', 'use'))}.", label)
            for day in days
            for thing in THINGS
            for label, phrases in SAID.items()
            for phrase in phrases
        ]
        rows = "".join(f'"{sentence}",{label}\n' for sentence, label in sentences)
        (folder / f"{name}.csv").write_text(f"said,verdict\n{rows}")
        lines = (" ".join(sentence for sentence, _ in draw.sample(sentences, 4)) for _ in range(300))
        (folder / f"{name}.txt").write_text("\n".join(lines))
