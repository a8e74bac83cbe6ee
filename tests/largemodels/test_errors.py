"""What a user gave and cannot be used is said in one sentence, without a traceback."""

import pytest

from largemodels.corpora import CorpusError
from largemodels.errors import InputError
from largemodels.hub import HubError
from largemodels.model_files import CheckpointError
from largemodels.tasks import TaskError


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (InputError, "Input error"),
        (CorpusError, "Corpus error"),
        (CheckpointError, "Checkpoint error"),
        (TaskError, "Task error"),
        (HubError, "Hub error"),
    ],
)
def test_jupyter_shows_the_sentence_alone(error, name):
    assert error("steps: 0 is too few")._render_traceback_() == [f"{name}: steps: 0 is too few"]
