"""What the self-test writes: it may meet another sandbox's, or what an agent left there."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trilemma.sandbox.toolhost import attempts
from trilemma.sandbox.toolhost.settings import Settings

READ_WRITE = Settings("never", "none", "rw", 1 << 20, 1 << 20, ())


def test_sandboxes_of_one_workspace_try_to_write_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "WORKSPACE", str(tmp_path))
    (tmp_path / ".trilemma-selftest").mkdir()
    (write,) = (a for a in attempts.of_profile(READ_WRITE) if a.name == "write the workspace")
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: write.act(), range(400)))
    assert [path.name for path in tmp_path.iterdir()] == [".trilemma-selftest"]
