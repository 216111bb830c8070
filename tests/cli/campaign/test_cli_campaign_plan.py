"""`campaign plan`: what a campaign would do and cost, with nothing sent and nothing kept."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from vavasms.campaigns.planning.plan import CampaignPlan
from vavasms.campaigns.policy import Policy
from vavasms.cli.commands.campaign.plan_view import make_object, show_plan
from vavasms.cli.shell import quote
from vavasms.sandbox import SandboxServer

Run = Callable[..., subprocess.CompletedProcess[str]]

LIST = """Nom;Prénom;Téléphone
Koné;Awa;0701000001
Yao;Koffi;+2250501000002
Bamba;;09000003
Aké;Aïcha;07 01 00 00 01
Gnagné;Akissi;27 22 41 20 00
Traoré;Mariam;
"""


@pytest.fixture(autouse=True)
def _files(bare_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAVASMS_LEDGER", str(tmp_path / "ledger.db"))
    (tmp_path / "contacts.csv").write_bytes(LIST.encode("cp1252"))


def plan(inside: Run, *options: str, message: str = "Bonjour") -> subprocess.CompletedProcess[str]:
    return inside("campaign", "plan", "contacts.csv", "--message", message, *options)


def test_a_plan_works_without_an_account_and_makes_no_ledger(inside: Run, tmp_path: Path) -> None:
    finished = plan(inside, "--region", "ci", "--repair")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "Balance" not in finished.stdout
    assert "Nothing was sent" in finished.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["contacts.csv"]


def test_every_number_is_in_one_fate_and_repairs_and_refusals_have_an_example(inside: Run) -> None:
    out = plan(inside, "--region", "ci", "--repair").stdout
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in (
        "A list of 6 rows, the numbers under “Téléphone”",
        "2 kept",
        "1 repaired",
        "1 old plan row 4: 09000003 → +2250709000003",
        "1 duplicate",
        "0 opted out",
        "2 refused",
        "1 landline row 6: 27 22 41 20 00",
        "1 empty row 7: (an empty cell)",
        "6 in all",
        "Recipients 3: CI 3 (Orange 2, MTN 1)",
        "Requests 1 of up to 100 numbers",
        "Segments 3, 1 a recipient, all in GSM-7",
    ):
        assert line in lines
    assert all(len(line) <= 80 for line in out.splitlines())


def test_what_a_repair_would_save_is_said_where_nobody_asked_for_it(inside: Run) -> None:
    advice = "Of the refused, 1 may be repaired: --repair, with --region CC if all are of one country."
    assert advice in " ".join(plan(inside, "--region", "ci").stdout.split())
    assert "may be repaired" not in plan(inside, "--region", "ci", "--repair").stdout


def test_the_keys_of_the_contract_are_there_and_the_fates_add_up(inside: Run) -> None:
    found = json.loads(plan(inside, "--unit-price", "12.5", "--json").stdout)
    counts = ("rows", "kept", "repaired", "duplicates", "opted_out", "refused", "recipients", "requests")
    assert {key: found[key] for key in counts} == {
        "rows": 6,
        "kept": 2,
        "repaired": 0,
        "duplicates": 1,
        "opted_out": 0,
        "refused": 3,
        "recipients": 2,
        "requests": 1,
    }
    assert (found["segments"], found["cost"]) == (2, 25)
    assert found["kept"] + found["duplicates"] + found["opted_out"] + found["refused"] == found["numbers"]
    assert isinstance(found["hash"], str)
    assert json.loads(plan(inside, "--json").stdout)["cost"] is None


def test_the_letters_that_cost_are_named_with_what_folding_saves(inside: Run) -> None:
    text = "Votre commande est prête. " * 3
    out = plan(inside, "--unit-price", "10", message=text).stdout
    assert "all in UCS-2" in out
    assert "ê (2)" in out
    assert "2 segments, 20 XOF: 50 % less" in out
    folded = plan(inside, "--unit-price", "10", "--fold", message=text).stdout
    assert "all in GSM-7" in folded
    assert "--fold" in folded.splitlines()[-1] or "--fold" in folded.splitlines()[-2]
    assert "less" not in folded


def test_letters_beyond_the_first_few_are_counted(inside: Run) -> None:
    out = plan(inside, message="êîôûâëïÿçœ").stdout
    assert "and 2 more" in out
    assert "With --fold" not in out


def test_a_personal_text_is_warned_of_beforehand(inside: Run) -> None:
    out = plan(inside, "--region", "CI", "--repair", message="Bonjour {prénom}!").stdout
    assert "Requests 3\n" in re.sub(" +", " ", re.sub(" +\n", "\n", out))
    assert "{prénom} for 1 recipient; write {column|words} to fill them" in out
    assert "“Bonjour Awa!”" in out


def test_only_some_of_the_texts_may_need_ucs2(inside: Run) -> None:
    Path("contacts.csv").write_text("tel,nom\n0701000001,Aké\n0701000002,Zoê\n0701000003,Yao\n")
    out = plan(inside, message="Bonjour {nom}").stdout
    assert "3, 1 a recipient, 1 in UCS-2 (70 characters instead of 160)" in out


def test_the_command_to_run_is_printed_ready_to_be_copied(inside: Run) -> None:
    out = plan(
        inside, "--rate", "50", "--hours", "08:00-20:00", "--repair", "--ledger", "a b.db", message="C'est"
    ).stdout
    found = out[out.index("  vavasms campaign run") :].replace("\\\n   ", "").split()
    assert found[:5] == ["vavasms", "campaign", "run", "contacts.csv", "--message"]
    assert "--message 'C'\"'\"'est' --repair --rate 50 --hours 08:00-20:00" in " ".join(found)
    assert "--ledger 'a b.db' --plan " in " ".join(found)


def test_the_balance_is_shown_before_and_after(
    inside: Run, account: Mapping[str, str], server: SandboxServer
) -> None:
    assert "1,000,000 XOF now, 999,980 XOF after" in plan(inside, "--unit-price", "10").stdout
    assert "1,000,000 XOF now\n" in plan(inside).stdout.replace(" \n", "\n").replace("  ", "")
    short = plan(inside, "--unit-price", "1000000").stdout
    assert "it does not suffice" in " ".join(short.split())
    assert len(server.gateway.journal) == 0


def test_an_account_that_does_not_answer_costs_the_balance_only(
    inside: Run, account: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAVASMS_PASSWORD", "wrong")
    finished = plan(inside)
    assert finished.returncode == 0
    assert "Balance" not in finished.stdout


def test_who_opted_out_is_left_out(inside: Run) -> None:
    assert inside("ledger", "migrate").returncode == 0
    before = json.loads(plan(inside, "--json").stdout)
    assert inside("optouts", "add", "+2250701000001").returncode == 0
    after = json.loads(plan(inside, "--json").stdout)
    assert (before["opted_out"], after["opted_out"]) == (0, 2)
    assert before["hash"] != after["hash"]


def test_the_end_is_told_in_the_zone_of_the_window(inside: Run) -> None:
    out = plan(inside, "--hours", "08:00-20:00", "--tz", "Africa/Abidjan").stdout
    assert "(Africa/Abidjan), if it starts now" in out


def test_hours_days_holidays_and_a_moment_move_the_end(inside: Run) -> None:
    Path("feries.txt").write_text("# jours fériés\n12-25\n", encoding="utf-8")
    for given in (
        ["--hours", "marketing-ci"],
        ["--days", "lun-sam"],
        ["--holidays", "feries.txt"],
        ["--at", "+48h"],
    ):
        out = plan(inside, *given).stdout
        assert ("if it starts now" in out) is (given[0] != "--at")
    # In two days: with its day, and in the command to run.
    assert re.search(r"about \d\d:\d\d on \d{4}-\d\d-\d\d", out)
    assert "--at +48h" in out


def test_only_the_rows_that_hold_are_planned_and_the_command_says_so(inside: Run) -> None:
    Path("contacts.csv").write_text(
        "tel;ville\n0701000001;Bouaké\n0701000002;Man\n0701000003;Man\n", encoding="utf-8"
    )
    out = plan(inside, "--where", "ville=man", "--where", "tel!=0701000003").stdout
    assert "2 other rows do not hold ville=man, tel!=0701000003: they are passed over." in out
    assert "--where ville=man --where 'tel!=0701000003'" in " ".join(out.replace("\\\n", "").split())
    found = json.loads(plan(inside, "--where", "ville=Man", "--json").stdout)
    assert (found["recipients"], found["passed_over"], found["where"]) == (2, 1, ["ville=Man"])


def test_an_end_that_never_comes_is_said_so_and_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    never = CampaignPlan(
        rows=1, numbers=1, kept=1, repaired=0, duplicates=0, opted_out=0, refused=0, recipients=1,
        requests=1, segments=1, hash="0" * 16, ends_at=float("inf"),
    )  # fmt: skip
    assert make_object(never)["ends_at"] is None
    show_plan(never, Policy(), folded=False)
    assert "not within a century" in capsys.readouterr().out


def test_an_end_that_nobody_asked_for_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    bare = CampaignPlan(
        rows=1, numbers=1, kept=1, repaired=0, duplicates=0, opted_out=0, refused=0, recipients=1,
        requests=1, segments=1, hash="0" * 16, cost=Decimal(20),
    )  # fmt: skip
    show_plan(bare, Policy(unit_price=Decimal(20), budget=Decimal(10)), folded=False)
    out = capsys.readouterr().out
    assert "Ends" not in out
    assert "the budget of 10 XOF pauses it before that" in " ".join(out.split())


@pytest.mark.slow
def test_the_list_may_come_from_standard_input(outside: Run) -> None:
    finished = outside("campaign", "plan", "-", "--message", "Bonjour", input="0701000001\n0501000002\n")
    assert finished.returncode == 0
    assert "A list of 2 rows\n" in finished.stdout
    assert finished.stdout.rstrip().endswith("--yes")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--message", "Bonjour {inconnu}"], "inconnu"),
        (["--message", "x", "--hours", "8-20"], "08:00-20:00"),
        (["--message", "x", "--days", "monday"], "mon-sat"),
        (["--message", "x", "--where", "ville"], "ville=Bouaké"),
        (["--message", "x", "--where", "ville=Man"], "has no column ville"),
        (["--message", "x", "--at", "2020-01-01T09:00"], "is over already"),
        (["--message", "x", "--at", "demain"], "09:00 or +2h"),
        (["--message", "x", "--holidays", "none.txt"], "'none.txt' of --holidays does not exist"),
        (["--message", "x", "--tz", "Nowhere/At-All", "--hours", "08:00-20:00"], "time zone"),
        (["--message", "x", "--batch-size", "0"], "--batch-size must be"),
        (["--message", "x", "--rate", "0"], "--rate must be"),
        (["--message", "x", "--unit-price", "0"], "--unit-price must be an amount"),
        (["--message", "x", "--unit-price", "many"], "--unit-price"),
        (["--message", "x", "--region", "XX"], "region"),
        (["--message", "x", "--phone-column", "fax"], "fax"),
        (["--message", "x", "--ledger", "mysql://localhost/sms"], "postgresql://user@host/name"),
        ([], "Give the text: --message TEXT"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_code_2(inside: Run, options: list[str], said: str) -> None:
    finished = inside("campaign", "plan", "contacts.csv", *options)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert said in finished.stderr.lower() or said in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_from_fifty_requests_on_it_is_said_that_each_text_needs_one(inside: Run) -> None:
    rows = "".join(f"22507010000{each:02},{each}\n" for each in range(50))
    Path("contacts.csv").write_text(f"tel,code\n{rows}", encoding="utf-8")
    said = "Nearly every text differs, so each needs a request: 50 requests"
    assert said in plan(inside, message="Code {code}").stdout
    Path("contacts.csv").write_text(f"tel,code\n{rows.rpartition('22507')[0]}", encoding="utf-8")
    assert "Nearly every text" not in plan(inside, message="Code {code}").stdout


def test_the_refused_rows_are_written_as_excel_opens_them(inside: Run) -> None:
    assert plan(inside, "--refused", "left.csv", "--excel").returncode == 0
    assert Path("left.csv").read_text("utf-8-sig").startswith("line;reason;Nom;Prénom;Téléphone\n")
    finished = plan(inside, "--excel")
    assert finished.returncode == 2
    assert "add --refused FILE" in finished.stderr


def test_the_command_to_run_obeys_no_terminal_and_says_the_very_same(inside: Run) -> None:
    message = "C'est ]0;x \u202eprêt\n\\ \u206631"
    out = plan(inside, message=message).stdout
    command = out[out.index("  vavasms campaign run") :]
    assert not set("\u2066\u202e") & set(out)
    shell = f"vavasms() {{ printf '%s' \"$5\"; }}; {command.strip()}"
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    said = subprocess.run(["bash", "-c", shell], capture_output=True, check=True, env=environment)
    assert said.stdout.decode() == message


def test_a_byte_that_is_no_text_is_quoted_as_itself() -> None:
    assert quote("a\udc9b") == r"$'a\x9b'"
    assert quote("a b") == "'a b'"
