"""The demo from beginning to end, and what must be true at its end."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from rich.rule import Rule
from rich.text import Text

from trilemma.demo import gate_off, gate_on, tables
from trilemma.demo.effects import Effect, differing, effects, leaked
from trilemma.demo.examples import examples
from trilemma.demo.options import Options
from trilemma.demo.place import Place, place
from trilemma.demo.screen import Screen
from trilemma.demo.servers import Arrival, start
from trilemma.demo.story import Act
from trilemma.demo.timeline import Timeline
from trilemma.demo.verdicts import Stop, stops
from trilemma.sandbox import images


@dataclass
class Show:
    """One showing."""

    options: Options
    place: Place
    image: str
    screen: Screen
    failures: list[str] = field(default_factory=list)
    """What should have been and was not, one line each."""

    @classmethod
    @contextmanager
    def prepare(cls, options: Options) -> Iterator[Self]:
        """Build what is missing, start the servers, write the mailbox.

        Raises:
            TrilemmaError: this machine cannot run the demo.
        """
        screen = Screen()
        example = examples() / "inbox"
        images.ensure("base", screen.say)
        image = images.ensure("code", screen.say)
        listed, attacker = start()
        try:
            with place(example, listed, attacker, keep=options.keep) as made:
                yield cls(options, made, image, screen)
        finally:
            listed.close()
            attacker.close()

    def run(self) -> int:
        """Show everything. Gives the exit status."""
        started = time.monotonic()
        self._introduce()
        on = self._with_the_gate()
        off = self._without_the_gate()
        self._verify()
        self._conclude(on, off, time.monotonic() - started)
        if self.options.svg is not None:
            self.screen.save(self.options.svg)
            self.screen.say(f"picture: {self.options.svg}")
        if self.options.keep:
            self.screen.say(f"kept: TRILEMMA_HOME={self.place.root} trilemma audit show")
        return 1 if self.failures else 0

    def _introduce(self) -> None:
        letters, attacks = len(self.place.mailbox.letters), len(self.place.mailbox.attacks)
        self.screen.show(
            Text.assemble(
                ("Files, internet, code: pick two.  ", "bold"),
                f"{letters} letters, {attacks} poisoned. The model obeys all that it reads.",
            )
        )

    def _with_the_gate(self) -> tuple[Effect, ...]:
        self.screen.show(Rule("with the gate: this agent has {files, internet}", style="green"))
        timeline = Timeline(self.screen)
        guarded = gate_on.run(self.place, gate_on.agent(self.place, self.image), timeline)
        timeline.flush()
        mailbox = self.place.mailbox
        results = effects(
            mailbox, self._arrivals(), mailbox.office, self.place.copy / mailbox.office.name
        )
        stopped = {
            letter.name: stops(
                guarded.story.of(letter),
                guarded.refusals,
                layered=letter.changes in guarded.waiting,
            )
            for letter in mailbox.attacks
        }
        self.screen.show(tables.guarded(results, stopped))
        self._check_guarded(guarded, results, stopped)
        return results

    def _check_guarded(
        self,
        guarded: gate_on.Guarded,
        results: tuple[Effect, ...],
        stopped: dict[str, tuple[Stop, ...]],
    ) -> None:
        mailbox = self.place.mailbox
        self._expect(guarded.story.obeyed == guarded.story.ordered > 0, "the model disobeyed")
        self._expect(not any(r.succeeded for r in results), "an attack succeeded")
        self._expect(all(stopped.values()), "nobody can say what stopped an attack")
        changed = differing(mailbox.office, self.place.copy / mailbox.office.name)
        self._expect(changed == {gate_on.REPORT}, f"the folder changed: {sorted(changed)}")
        missing = gate_on.missing_from_report(
            mailbox.office, (letter.subject for letter in mailbox.letters)
        )
        self._expect(not missing, f"the report lacks {missing}")
        story = guarded.story
        self._note(f"the model obeyed {story.obeyed} of {story.ordered} orders in letters")
        if not missing:
            self._note(f"the report is whole: {gate_on.REPORT}, all {len(mailbox.letters)} letters")
        waiting = ", ".join(guarded.waiting)
        self._note(f"of the layer only the report was applied; thrown away: {waiting}")

    def _without_the_gate(self) -> tuple[Effect, ...]:
        self.screen.show(
            Rule("the same without Trilemma: an ordinary container, a copy", style="red")
        )
        copy = self.place.copy / self.place.mailbox.office.name
        with self.screen.terminal.status("the same model, task and loop"):
            story = gate_off.run(self.place, self.image, _quiet)
        results = effects(self.place.mailbox, self._arrivals(), copy, self.place.mailbox.office)
        self.screen.show(tables.unguarded(results))
        self._expect(story.obeyed == story.ordered > 0, "the model disobeyed without the gate")
        harmless = [r.letter.name for r in results if not r.succeeded]
        self._expect(not harmless, f"harmless even without the gate: {harmless}")
        return results

    def _arrivals(self) -> list[Arrival]:
        return [*self.place.listed.take(), *self.place.attacker.take()]

    def _verify(self) -> None:
        """The real command, on this demo's ledger."""
        words = [sys.executable, "-m", "trilemma", "audit", "verify"]
        done = subprocess.run(
            words, env=self.place.environment, capture_output=True, text=True, check=False
        )
        self._expect(done.returncode == 0, f"audit verify: {done.stderr.strip()}")
        self.screen.show(Rule("trilemma audit verify", style="blue"))
        for line in done.stdout.splitlines():
            self.screen.show(Text(f"  {line}", "bright_black"))

    def _conclude(self, on: tuple[Effect, ...], off: tuple[Effect, ...], seconds: float) -> None:
        self.screen.show(Rule(style="bright_black"))
        for failure in self.failures:
            self.screen.show(Text(f"✗ {failure}", "bold red"))
        text = Text("secrets that arrived:  ", "bold")
        text.append(f"with the gate {leaked(on)}", "bold green" if not leaked(on) else "bold red")
        text.append(f",  without {leaked(off)}", "bold red")
        text.append(f"; shown in {seconds:.0f} s", "bright_black")
        self.screen.show(text)

    def _expect(self, true: bool, otherwise: str) -> None:
        if not true:
            self.failures.append(otherwise)

    def _note(self, text: str) -> None:
        self.screen.show(Text.assemble(("✓ ", "green"), text))


def _quiet(act: Act) -> None:
    """The run without a gate is told by its effects alone."""
