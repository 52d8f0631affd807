"""What is measured: cases in groups. The cases of a group alternate within each round, and are compared with each other only."""

from dataclasses import dataclass
from typing import Callable

H1, H2 = "HTTP/1.1", "HTTP/2"
OURS = "vestibule"


@dataclass
class Case:
    """One program under one load."""

    program_name: str
    scenario: str
    # () -> Program; started when it is first needed.
    program: Callable
    # (seconds) -> Load
    load: Callable
    # Raises Failed where the answers are not those that the scenario is about.
    check: Callable
    protocol: str = H1
    body: str = "1 KiB"
    # What has to happen once before it is measured, and is no check.
    prepare: Callable = lambda: None
    # URL, and headers or what makes them, where one request is enough to ask.
    request: tuple | None = None

    @property
    def key(self):
        return f"{self.program_name} | {self.scenario} | {self.protocol} | {self.body}"


@dataclass
class Group:
    name: str
    title: str
    # (world) -> list of Case; peers that are not there are left out.
    cases: Callable
    # One sentence for the page.
    note: str = ""
    # What is measured varies little from round to round: half of them are enough.
    is_brief: bool = False
