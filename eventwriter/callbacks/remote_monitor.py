"""Sends the metrics of every epoch to a server."""

from __future__ import annotations

import json
import math
import urllib.parse
from typing import TYPE_CHECKING, Any

from eventwriter._imports import importing
from eventwriter._warn import warn_caller
from eventwriter.errors import ArgumentValueError
from eventwriter.training.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventwriter.training.metrics import Logs


class RemoteMonitor(Recorder):
    """Posts the number and the metrics of every epoch, as JSON.

    JSON has neither NaN nor infinity: such a number is sent as null. Arrays are sent as lists. If
    that fails, a warning says so once, and training goes on.

    Args:
        root: The address of the server, with http:// or https://.
        path: The rest of the address.
        field: The field of the form that holds the JSON.
        headers: More headers of the request.
        send_as_json: Whether the JSON is the body of the request. Otherwise it is in a form.
        timeout_secs: The longest time in seconds that training waits for the server, at the end of
            every epoch.

    Raises:
        ArgumentValueError: `root` begins with neither http:// nor https://.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
        timeout_secs: float = 1,
    ) -> None:
        if urllib.parse.urlsplit(root).scheme not in {"http", "https"}:
            raise ArgumentValueError(
                f"RemoteMonitor: root: expected http:// or https://, got {root!r}. "
                "Begin the address with one of them."
            )
        self._url = root + path
        self._field = field
        self._headers = dict(headers or {})
        self._as_json = send_as_json
        self._timeout_secs = timeout_secs
        self._has_warned = False

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Send the metrics of the epoch."""
        # This brings http, ssl and email, which only this callback needs.
        with importing():
            import urllib.request  # noqa: PLC0415

        metrics = {name: logs.exact(name) for name in logs}
        body = json.dumps(_sendable({"epoch": epoch, **metrics}), default=str, allow_nan=False)
        kind = "application/json"
        if not self._as_json:
            body = urllib.parse.urlencode({self._field: body})
            kind = "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind, **self._headers}
        # The constructor has checked the scheme.
        request = urllib.request.Request(self._url, body.encode(), headers)  # noqa: S310
        try:
            urllib.request.urlopen(request, timeout=self._timeout_secs).close()  # noqa: S310
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                warn_caller(f"RemoteMonitor: {self._url}: {error}. Training goes on.")


def _sendable(value: Any) -> Any:
    """Return a value without NaN and infinity, at any depth."""
    if isinstance(value, dict):
        return {str(name): _sendable(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sendable(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
