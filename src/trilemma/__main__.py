"""``python -m trilemma``: the same as the ``trilemma`` command."""

from trilemma.cli import main

if __name__ == "__main__":
    main()
