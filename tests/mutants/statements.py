"""The mutants of SQL: a condition left out, a comparison turned round, a number or a column's value changed.

By tokens, not by a parser: a statement that a library writes anew is another statement, and of SQLite's and
PostgreSQL's own words (`INDEXED BY`, plpgsql) no library knows all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from attrs import define, field, frozen

from tests.mutants.mutant import Kind, Mutant, describe

#: A file of queries has one below each such line.
QUERY = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
#: A migration has functions.
FUNCTION = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION \w+\.(\w+).*?^\$\$;$", re.MULTILINE | re.DOTALL)

_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*)|(?P<text>'(?:[^']|'')*')|(?P<word>%\(\w+\)s|:(?!=)(?!:)\w+|[A-Za-z_{][\w.}]*)"
    r"|(?P<number>\d+(?:\.\d+)?)|(?P<sign>::|:=|<>|<=|>=|\|\||->>?|[^\s\w])"
)
_FLIPPED = {"=": "<>", "<>": "=", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+": "-", "-": "+"}
_WORDS = {"ASC": "DESC", "DESC": "ASC", "max": "min", "min": "max", "greatest": "least", "least": "greatest"}
#: Behind these stands a condition, up to the next clause.
_CONDITION = {"WHERE", "ON", "HAVING", "WHEN", "IF"}
_CLAUSE = {
    *("SELECT", "FROM", "JOIN", "SET", "VALUES", "ORDER", "GROUP", "LIMIT", "OFFSET", "RETURNING", "UNION"),
    *("FOR", "THEN", "ELSE", "END", "LOOP", "UPDATE", "INSERT", "DELETE", "DO", "CONFLICT", "CASE", "WITH"),
}


@frozen
class _Token:
    kind: str
    text: str
    start: int
    end: int


@define
class _Region:
    """One clause within two parentheses, or within a CASE."""

    #: Its first word; `(` or `CASE` before there is one.
    clause: str
    begin: int
    #: What stands beside each other in it, by the first and the last token, with what stands between them.
    parts: list[tuple[int, int]] = field(factory=list)
    between: list[str] = field(factory=list)

    def close(self, end: int, word: str = "") -> None:
        """End a part before the token `end`."""
        if end > self.begin:
            self.parts.append((self.begin, end - 1))
            if word:
                self.between.append(word)
        self.begin = end + 1


def find_queries(file: str, source: str) -> list[Mutant]:
    """Return the mutants of a file of queries, or of the functions of a migration."""
    return [
        mutant for name, start, end in _parts(source) for mutant in _mutate(file, source, name, start, end)
    ]


def _parts(source: str) -> Iterator[tuple[str, int, int]]:
    names = list(QUERY.finditer(source))
    for name, following in zip_longest(names, names[1:]):
        yield name[1], name.end(), len(source) if following is None else following.start()
    for function in FUNCTION.finditer(source):
        # The parameters are types.
        yield function[1], source.index("BEGIN", function.start()), function.end()


def _mutate(file: str, source: str, name: str, start: int, end: int) -> Iterator[Mutant]:
    tokens = [
        _Token(match.lastgroup or "", match[0], match.start(), match.end())
        for match in _TOKEN.finditer(source, start, end)
        if match.lastgroup != "comment"
    ]
    seen = set()
    for first, last, text in [*_drop_parts(tokens), *_change_tokens(tokens)]:
        if (first, last, text) not in seen:
            seen.add((first, last, text))
            lines, before, after = describe(source, first, last, text)
            yield Mutant(
                kind=Kind.STATEMENT,
                file=file,
                where=name,
                lines=lines,
                start=first,
                end=last,
                text=text,
                before=before,
                after=after,
            )


def _drop_parts(tokens: Sequence[_Token]) -> Iterator[tuple[int, int, str]]:
    """Yield each condition with what it is where it is left out, and each value that is set."""
    for region in _regions(tokens)[0]:
        several = len(region.parts) > 1
        for index, (first, last) in enumerate(region.parts):
            start, end = tokens[first].start, tokens[last].end
            if region.clause == "SET" and several:
                # With the comma behind it, or before the last.
                is_last = index == len(region.parts) - 1
                yield (tokens[first - 1].start, end, "") if is_last else (start, tokens[last + 1].end, "")
            elif region.clause in _CONDITION or "OR" in region.between or "AND" in region.between:
                beside = {*region.between[max(index - 1, 0) : index + 1]}
                yield start, end, "FALSE" if beside == {"OR"} else "TRUE"


def _regions(tokens: Sequence[_Token]) -> tuple[list[_Region], list[str]]:
    """Return the clauses of a statement, the inner ones as well, and the clause of each token."""
    found, clauses, stack = [], [], [_Region("", 0)]
    for index, token in enumerate(tokens):
        word, current = token.text.upper(), stack[-1]
        if word in {"(", "CASE"}:
            stack.append(_Region(word, index + 1))
        elif word == ")" or (word == "END" and len(stack) > 1):
            current.close(index)
            found.append(stack.pop())
        elif word in _CLAUSE or word in _CONDITION or word == ";":
            current.close(index)
            found.append(current)
            stack[-1] = _Region(word, index + 1)
        elif word in {"AND", "OR"} or (word == "," and current.clause == "SET"):
            current.close(index, word)
        clauses.append(stack[-1].clause)
    stack[-1].close(len(tokens))
    return [*found, *stack], clauses


def _change_tokens(tokens: Sequence[_Token]) -> Iterator[tuple[int, int, str]]:
    _found, clauses = _regions(tokens)
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else token
        match token.kind:
            case "sign" if token.text in _FLIPPED and not (token.text == "=" and clauses[index] == "SET"):
                yield token.start, token.end, _FLIPPED[token.text]
            case "number":
                yield (
                    token.start,
                    token.end,
                    str(float(token.text) + 1 if "." in token.text else int(token.text) + 1),
                )
            case "text" if following.text == "," and clauses[index] == "(":
                # One of several values.
                yield token.start, following.end, ""
            case "text" if clauses[index] not in {"SELECT", "VALUES"}:
                yield token.start, token.end, f"{token.text[:-1]}X'"
            case "word":
                yield from _change_word(token, following.text)


def _change_word(token: _Token, following: str) -> Iterator[tuple[int, int, str]]:
    match token.text, following:
        case "IS", "NULL":
            yield token.start, token.end, "IS NOT"
        case "IS", "NOT":
            yield token.start, token.end + len(" NOT"), "IS"
        case "IN", "(":
            yield token.start, token.end, "NOT IN"
        case "NOT", "EXISTS":
            yield token.start, token.end, ""
        case word, _ if word in _WORDS:
            yield token.start, token.end, _WORDS[word]
