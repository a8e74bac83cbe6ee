"""Settings of the property tests of the subject."""

from hypothesis import settings

settings.register_profile("largemodels", deadline=None)  # a first call into PyTorch is slow, not wrong
settings.load_profile("largemodels")
