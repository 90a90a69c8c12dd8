"""Messages of callbacks to the user, which leave progress bars whole."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Print a message. While a bar of tqdm is shown, tqdm writes the message above the bar.

    Args:
        message: A text. Line breaks at its beginning end the line of another bar, such as Keras's.
            tqdm needs none.
    """
    # Where nobody has imported tqdm, there is no bar.
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if tqdm is not None and getattr(tqdm, "_instances", None):
        tqdm.write(message.lstrip("\n"))
    else:
        print(message)
