"""Faults as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vavasms.sandbox.faults import Fault, FaultKind, FaultPlan, Moment, SandboxError

# A script may have thousands of steps; whoever looks at it sees the next ones.
_STEPS_SHOWN = 20
_TIMED = frozenset({FaultKind.REFUSE, FaultKind.STALL})
_WITH_STATUS = frozenset({FaultKind.STATUS, FaultKind.RATE_LIMIT, FaultKind.REDIRECT})

_TYPES: Mapping[str, tuple[type, ...]] = {
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
_KINDS = "one of " + ", ".join(kind.value for kind in FaultKind)


def parse_fault(value: object) -> Fault:
    """Return the fault of a JSON value: `{"kind": "status", "status": 503, "moment": "after_accepting"}`.

    The names are those of `Fault`; `headers` is an object of texts, `body` a text.
    """
    if not isinstance(value, dict) or "kind" not in value:
        raise SandboxError(f'a fault is an object with a "kind": {_KINDS}')
    for name, option in value.items():
        # `True` is an int to Python and nonsense as a number of bytes.
        if name not in _TYPES or type(option) not in _TYPES[name]:
            raise SandboxError(f"a fault has no {name!r} like {option!r}")
    return Fault(**{name: _convert(name, option) for name, option in value.items()})


def _convert(name: str, option: Any) -> Any:
    """Return what `Fault` holds for a JSON value."""
    try:
        match name:
            case "kind":
                return FaultKind(option)
            case "moment":
                return Moment(option)
            case "headers":
                if not all(isinstance(text, str) for text in option.values()):
                    raise ValueError
                return tuple(option.items())
            case "body":
                return option.encode()
    except ValueError:
        known = f": {_KINDS}" if name == "kind" else ""
        raise SandboxError(f"a fault has no {name} {option!r}{known}") from None
    return option


def parse_path(value: object) -> str | None:
    """Return the path of a step; None: any."""
    if value is None:
        return None
    # Half a character is in no path, and could not be shown.
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise SandboxError("the path of a step is a text")
    return value


def parse_step(step: object) -> tuple[Fault | None, str | None]:
    """Return the step of a JSON value: null, or a fault with an optional `path`."""
    if step is None:
        return None, None
    if not isinstance(step, dict):
        raise SandboxError("a step of the script is null or a fault")
    path = parse_path(step.get("path"))
    options = {name: option for name, option in step.items() if name != "path"}
    return (parse_fault(options) if options else None), path


def parse_rate(value: object) -> tuple[Fault, float]:
    """Return the fault of a JSON value, and its `rate`."""
    if not isinstance(value, dict) or type(value.get("rate")) not in {int, float}:
        raise SandboxError('each of the rates is a fault with a "rate"')
    options = {name: option for name, option in value.items() if name != "rate"}
    # Whatever is beyond 1 is refused with the sum of all; some whole numbers are beyond any float.
    return parse_fault(options), float(min(max(value["rate"], -1), 2))


def describe_fault(fault: Fault) -> dict[str, object]:
    """Return what matters of a fault: kind and moment, seconds or status where they mean something."""
    return {
        "kind": fault.kind.value,
        "moment": fault.moment.value,
        **({"seconds": fault.seconds} if fault.kind in _TIMED else {}),
        **({"status": fault.status} if fault.kind in _WITH_STATUS else {}),
    }


def describe_faults(plan: FaultPlan) -> dict[str, object]:
    """Return what is planned: the number of steps pending, the first 20 of them, and the rates."""
    script = [
        (None if fault is None else describe_fault(fault)) if path is None else _with_path(fault, path)
        for fault, path in plan.steps(_STEPS_SHOWN)
    ]
    rates = [{**describe_fault(fault), "rate": rate} for fault, rate in plan.rates.items()]
    return {"pending": plan.pending, "script": script, "rates": rates}


def _with_path(fault: Fault | None, path: str) -> dict[str, object]:
    return {**({} if fault is None else describe_fault(fault)), "path": path}
