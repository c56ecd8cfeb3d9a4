"""The command line: ``trilemma run``, ``workspace``, ``audit``, ``doctor`` and the rest."""

from trilemma.cli.failure import guarded


def main() -> None:
    """Entry point of the ``trilemma`` command."""

    def run(arguments: list[str]) -> None:
        # Late, so that a failing import is one clear line as well.
        from trilemma.cli.app import app

        app(args=arguments, prog_name="trilemma")

    guarded(run)
