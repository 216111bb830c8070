"""What holds of any contact list: each row is kept, refused or counted, and nothing of a number is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from attrs import frozen

from tests.fuzz.laws.sentences import check_sentence
from vavasms.campaigns.planning.contacts import ContactList, Judge
from vavasms.campaigns.planning.contacts.columns import NO_VALUES
from vavasms.campaigns.planning.planner import Planner
from vavasms.campaigns.planning.template import parse_template
from vavasms.errors import InvalidInputError, InvalidMessageError
from vavasms.ledger.models import NewBatch

#: How a list is opened anew: it can be read once.
Open = Callable[[], ContactList]
_PLAIN = "Bonjour"
_BATCH = 3
_OPTED_OUT = frozenset({2250709000009})


@frozen
class Options:
    """How a list is judged."""

    region: str | None = None
    repair: bool = False
    #: A column is filled into the message, where the list has one.
    is_personal: bool = False


def read_rows(open_list: Open) -> list[tuple[int, str, tuple[str, ...]]] | None:
    """Return the rows of a list, read in both ways; None where it is refused."""
    try:
        with open_list() as contacts:
            rows = [line for chunk in contacts.chunks(2) for line in chunk]
            names = contacts.columns
    except InvalidInputError as error:
        check_sentence(error)
        return None
    assert len(set(names)) == len(names)
    with open_list() as contacts:
        assert [(contact.row, contact.phone, contact.cells) for contact in contacts] == rows
    _check_rows(rows, contacts.phone_index)
    return rows


def _check_rows(rows: list[tuple[int, str, tuple[str, ...]]], phone: int | None) -> None:
    numbers = [row for row, _, _ in rows]
    assert numbers == sorted(numbers)
    if phone is None:
        return
    read: Counter[int] = Counter()
    held = {}
    for row, text, cells in rows:
        read[row] += _count_digits(text)
        held[row] = 0 if cells[phone].strip() in NO_VALUES else _count_digits(cells[phone])
    assert read == Counter(held)


def _count_digits(text: str) -> int:
    return sum(map(str.isdecimal, text))


def check_plan(open_list: Open, options: Options) -> None:
    """Plan a list, and hold the plan to its rows."""
    rows = read_rows(open_list)
    if rows is None:
        return
    with open_list() as contacts:
        template = parse_template(_write_message(contacts.columns) if options.is_personal else _PLAIN)
        left_out: list[str] = []
        planner = Planner(
            judge=Judge(region=options.region, repair=options.repair, opted_out=_OPTED_OUT),
            template=template.bind(contacts.columns),
            batch_size=_BATCH,
            is_plain=template.is_plain,
            on_left_out=lambda _row, reason: left_out.append(reason),
        )
        batches = [batch for ready in planner.plan(contacts) for batch in ready]
        plan = planner.result(contacts.phone_column)
    assert plan.kept + plan.duplicates + plan.opted_out + plan.refused == plan.numbers == len(rows)
    assert plan.rows == len({row for row, _, _ in rows})
    assert len(left_out) == plan.numbers - plan.kept
    assert sum(example.count for example in plan.refusals.values()) == plan.refused
    assert (plan.recipients, plan.requests) == (plan.kept, len(batches))
    _check_batches(batches, plan.kept, plan.segments)


def _write_message(names: tuple[str, ...]) -> str:
    """Return a message with the first column in it that a message can name."""
    for name in names:
        try:
            # Alone: where its cell is empty, so is the text, and the row is refused.
            if parse_template(f"{{{name}}}").columns == (name,):
                return f"{{{name}}}"
        except InvalidMessageError:
            continue
    return _PLAIN


def _check_batches(batches: list[NewBatch], kept: int, segments: int) -> None:
    recipients = [number for batch in batches for number in batch.recipients]
    assert len(recipients) == len(set(recipients)) == kept
    for number in recipients:
        assert number.isascii()
        assert number.isdigit()
        assert 8 <= len(number) <= 15
        assert int(number) not in _OPTED_OUT
    assert all(1 <= len(batch.recipients) <= _BATCH for batch in batches)
    assert [batch.number for batch in batches] == list(range(len(batches)))
    assert sum(batch.segments * len(batch.recipients) for batch in batches) == segments
    for batch in batches:
        batch.message.encode()
