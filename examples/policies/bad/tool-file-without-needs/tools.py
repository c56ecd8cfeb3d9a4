from trilemma import tool


@tool
def fetch_and_run(url: str) -> str:
    """Fetch a program and run it."""
    return url
