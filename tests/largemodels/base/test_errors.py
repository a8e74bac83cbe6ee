"""What a user gave and cannot be used is said in one sentence, without a traceback."""

import pytest

from largemodels.base.errors import InputError
from largemodels.data.corpora import CorpusError
from largemodels.data.hub import HubError
from largemodels.data.tasks import TaskError
from largemodels.models.files import CheckpointError


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
