"""``trilemma test`` passes on the shipped policy and fails on a test that does not hold."""

from pathlib import Path

import pytest

from trilemma.cli import regotests
from trilemma.cli.failure import Stop
from trilemma.errors import SpecError

RULE = 'package organisation\n\ndeny contains "no_mail" if input.tool.name == "send_mail"\n'
GOOD = 'test_mail if "no_mail" in o.deny with input as {"tool": {"name": "send_mail"}}\n'
WRONG = 'test_other if "no_mail" in o.deny with input as {"tool": {"name": "read_file"}}\n'
NOTHING_REACHED = "test_nothing if true\n"


@pytest.fixture(autouse=True)
def without_opa(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def organisation(folder: Path, *tests: str) -> Path:
    (folder / "mail.rego").write_text(RULE)
    header = "package organisation_test\n\nimport data.organisation as o\n\n"
    (folder / "mail_test.rego").write_text(header + "\n".join(tests))
    return folder


def test_the_shipped_policy_passes(capsys: pytest.CaptureFixture[str]) -> None:
    regotests.command(threshold=98)
    out = capsys.readouterr().out
    assert "pass  data.trilemma.grants_test." in out
    assert "opa is not on the PATH" in out


def test_an_organisations_tests_run_over_the_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    regotests.command(organisation(tmp_path, GOOD), threshold=100)
    assert "1 tests; 100.0 %" in capsys.readouterr().out


def test_a_test_that_is_not_true_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stop, match="1 of 2 tests did not pass") as stop:
        regotests.command(organisation(tmp_path, GOOD, WRONG))
    assert stop.value.status == 1
    assert "fail  data.organisation_test.test_other" in capsys.readouterr().out


def test_too_few_lines_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stop, match="100 % is asked"):
        regotests.command(organisation(tmp_path, NOTHING_REACHED), threshold=100)
    assert "not reached: organisation/mail.rego: 3" in capsys.readouterr().out


def test_a_folder_without_tests_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "mail.rego").write_text(RULE)
    with pytest.raises(SpecError, match="no Rego test"):
        regotests.command(tmp_path)
