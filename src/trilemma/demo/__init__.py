"""``trilemma demo``: a hijacked model reads poisoned mail, with the gate on and with it off."""

from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Show it. Gives 0 where everything was stopped, and was not stopped without the gate.

    Raises:
        TrilemmaError: this machine cannot run it; the text says what is missing.
    """
    # Late: a machine that only asks for --help needs neither the engine nor the gateway.
    from trilemma.demo.options import read_options
    from trilemma.demo.show import Show

    options = read_options(argv)
    with Show.prepare(options) as show:
        return show.run()
