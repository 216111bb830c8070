"""Read faults from JSON and write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vavasms.sandbox.faults import Fault, FaultKind, FaultPlan, Moment, SandboxError

__all__ = ["describe_faults", "parse_fault", "parse_rate", "parse_step"]

# A script may have thousands of steps; whoever looks at it sees the next ones.
_STEPS_SHOWN = 20
_TIMED = frozenset({FaultKind.REFUSE, FaultKind.STALL})
_SPOKEN = frozenset({FaultKind.STATUS, FaultKind.RATE_LIMIT, FaultKind.REDIRECT})

_WORDS: Mapping[str, tuple[type, ...]] = {
    "kind": (str,),
    "moment": (str,),
    "seconds": (int, float),
    "status": (int,),
    "headers": (dict,),
    "body": (str,),
    "at": (int,),
    "in_head": (bool,),
    "retry_after": (str,),
    "location": (str,),
}


_KINDS = "one of " + ", ".join(each.value for each in FaultKind)


def parse_fault(value: object) -> Fault:
    """Read a fault from JSON: `{"kind": "status", "status": 503, "moment": "after_accepting"}`.

    The names are those of `Fault`; `headers` is an object of texts, `body` a text.
    """
    if not isinstance(value, dict) or "kind" not in value:
        raise SandboxError(f'a fault is an object with a "kind": {_KINDS}')
    for name, word in value.items():
        # `True` is an int to Python and nonsense as a number of bytes.
        if name not in _WORDS or type(word) not in _WORDS[name]:
            raise SandboxError(f"a fault has no {name!r} like {word!r}")
    return Fault(**{name: _word(name, word) for name, word in value.items()})


def _word(name: str, word: object) -> Any:
    """Turn one JSON value into what `Fault` holds."""
    try:
        if name == "kind":
            return FaultKind(word)
        if name == "moment":
            return Moment(word)
    except ValueError:
        known = f": {_KINDS}" if name == "kind" else ""
        raise SandboxError(f"a fault has no {name} {word!r}{known}") from None
    if isinstance(word, dict):
        return tuple((str(key), str(one)) for key, one in word.items())
    return word.encode() if name == "body" and isinstance(word, str) else word


def parse_step(step: object) -> tuple[Fault | None, str | None]:
    """Read a step of the script: null, or a fault with an optional `path`."""
    if step is None:
        return None, None
    if not isinstance(step, dict):
        raise SandboxError("a step of the script is null or a fault")
    path = step.get("path")
    if not isinstance(path, str | None):
        raise SandboxError("the path of a step is a text")
    rest = {name: word for name, word in step.items() if name != "path"}
    return (parse_fault(rest) if rest else None), path


def parse_rate(value: object) -> tuple[Fault, float]:
    """Read a fault with its `rate`."""
    if not isinstance(value, dict) or not isinstance(value.get("rate"), int | float):
        raise SandboxError('each of the rates is a fault with a "rate"')
    return parse_fault({name: word for name, word in value.items() if name != "rate"}), float(value["rate"])


def describe_fault(fault: Fault) -> dict[str, object]:
    """Write what matters of a fault: kind and moment, seconds or status where they mean something."""
    words: dict[str, object] = {"kind": fault.kind.value, "moment": fault.moment.value}
    if fault.kind in _TIMED:
        words["seconds"] = fault.seconds
    if fault.kind in _SPOKEN:
        words["status"] = fault.status
    return words


def describe_faults(plan: FaultPlan) -> dict[str, object]:
    """Write what is planned: the number of steps pending, the first 20 of them, and the rates."""
    script = [
        (None if fault is None else describe_fault(fault)) if path is None else _with_path(fault, path)
        for fault, path in plan.steps(_STEPS_SHOWN)
    ]
    rates = [{**describe_fault(fault), "rate": rate} for fault, rate in plan.rates.items()]
    return {"pending": plan.pending, "script": script, "rates": rates}


def _with_path(fault: Fault | None, path: str) -> dict[str, object]:
    return {**({} if fault is None else describe_fault(fault)), "path": path}
