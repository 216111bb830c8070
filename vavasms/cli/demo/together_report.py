"""What the demonstration with several workers says, within 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from vavasms.campaigns.policy import Policy
from vavasms.campaigns.takeover import REAP_AFTER
from vavasms.cli import show
from vavasms.cli.demo import report
from vavasms.cli.demo.crew import CONCURRENCY, Worker
from vavasms.cli.demo.watching import Killing


@frozen(kw_only=True)
class PlayedTogether:
    """What it came to."""

    played: report.Played
    #: The recipients of each worker, by its number.
    carried: Mapping[int, int]
    #: None where the list was too short for that.
    killing: Killing | None


def show_crew(workers: Sequence[Worker], campaign_id: str, url: str) -> None:
    """Say who carries the campaign."""
    show.say(f"Campaign {campaign_id}, to the sandbox at {url}", style="bold")
    show.say(
        f"It is in a PostgreSQL database, and {len(workers)} workers share it: processes of\n"
        f"`vavasms worker`, each with up to {CONCURRENCY} requests under way."
    )
    for worker in workers:
        show.say(f"  worker {worker.no}: process {worker.pid}")


def show_killing(killing: Killing, workers: int) -> None:
    """Say who was killed, and what that leaves."""
    worker = killing.worker
    others = "The other one goes on" if workers == 2 else f"The other {workers - 1} go on"
    show.say(
        f"\nKilled on purpose at {killing.at:,}, by kill -9: worker {worker.no}, process {worker.pid}.",
        style="bold yellow",
    )
    show.say(
        f"It was waiting for {show.count(killing.requests, 'answer')}, on "
        f"{show.count(killing.recipients, 'recipient')}. Nobody knows whether\n"
        "the gateway took them: they become unknown, and no worker sends them again.\n"
        f"Real workers wait {REAP_AFTER:.0f} seconds for that; this stage knows who is dead.\n"
        f"{others} with what is still queued.\n"
    )


def show_report(played: PlayedTogether, policy: Policy) -> None:
    """Show what became of every recipient, by whom, and the journal's word on it."""
    report.show_report(played.played, policy, _tell_shares(played))


def print_json(played: PlayedTogether) -> None:
    """Print the same for programs."""
    killing = played.killing
    show.print_json(
        {
            **report.make_object(played.played),
            "workers": len(played.carried),
            "carried": [*played.carried.values()],
            "killed_worker": None if killing is None else killing.worker.no,
            "killed_at": None if killing is None else killing.at,
            "requests_of_killed": 0 if killing is None else killing.requests,
            "recipients_of_killed": 0 if killing is None else killing.recipients,
        }
    )


def _tell_shares(played: PlayedTogether) -> Iterator[str]:
    for no, recipients in played.carried.items():
        killed = played.killing is not None and played.killing.worker.no == no
        end = "; it was killed." if killed else "."
        yield f"Worker {no} carried {show.count(recipients, 'recipient')}{end}"
