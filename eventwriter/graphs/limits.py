"""How much of a model the Graphs page can show so that a person can still read it."""

MAX_BOXES = 40
"""Boxes beside each other. A model with more of them is folded into larger boxes."""

MAX_SHOWN_ELEMENTS = 16
"""Elements of a constant whose value is shown. Of a larger one only shape and dtype are shown."""
