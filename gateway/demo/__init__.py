"""The demo: a simulated factory, a simulated market, a technician and the gateway, each a process of its own.

It stands in the gateway because it wires all packages together; nothing of a real site imports it. Its processes share
one compressed plant clock and speak over the same protocols as the real ones would.
"""

from gateway.options import DemoOptions


def run(options: DemoOptions) -> int:
    """Run the demo, or recordings in place of its factory, and return the exit code."""
    if options.replay is not None:
        from gateway.demo.replay import run as play

        return play(options)
    from gateway.demo.session import run as begin

    return begin(options)
