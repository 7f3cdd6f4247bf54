"""What can go wrong with a simulator, each in one sentence for the person who started it."""

from __future__ import annotations

import errno
import socket
from gettext import gettext as _


class SimulatorError(Exception):
    """The simulator cannot start or go on; the message says what to change."""


class PortInUse(SimulatorError):
    """Somebody else listens on a port that the simulator was told to use; choose another, or 0 for any."""


def claim(host: str, port: int) -> None:
    """See that a port can be listened on, before anything costly is started.

    Raises PortInUse, or SimulatorError when the address itself is not this machine's.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(_("port {port} on {host} is in use").format(port=port, host=host)) from error
            message = _("cannot listen on {host}:{port}: {reason}")
            raise SimulatorError(message.format(host=host, port=port, reason=error.strerror or error)) from error
