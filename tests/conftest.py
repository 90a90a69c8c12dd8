"""Settings for all tests."""

from __future__ import annotations

import signal

from hypothesis import settings

# A deadline for each example would measure the machine; pytest-timeout bounds the whole test.
settings.register_profile("eventwriter", deadline=None, print_blob=True)
settings.load_profile("eventwriter")

# A shell starts what runs in the background with Ctrl-C ignored, and children inherit that. Tests
# that press it need what a terminal gives.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
