"""A training that is cut off after a step, for the tests of how it goes on."""

from transformers import TrainerCallback


class Interrupted(Exception):
    pass


class PullThePlug(TrainerCallback):
    """Ends a training after the step `at`, as a power cut would."""

    def __init__(self, at):
        self.at = at

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.at:
            raise Interrupted
