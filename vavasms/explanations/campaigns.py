"""Lists and campaigns."""

from __future__ import annotations

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

EXPLANATIONS = (
    Explanation(
        code="campaign.limit",
        what=N_("A limit of the campaign makes no sense: a rate, a number of requests, an amount."),
        sent=N_("No."),
        do=N_("Give a number in the range that the error names."),
        example="vavasms campaign run contacts.csv --message Bonjour --rate 50",
    ),
    Explanation(
        code="campaign.window",
        what=N_(
            "The hours, days or holidays on which messages may leave, or their time zone, cannot be read."
        ),
        sent=N_("No."),
        do=N_(
            "Write hours as 08:00-20:00, days as mon-sat, holidays as 2026-12-25, the zone as Africa/Abidjan."
        ),
        example="vavasms campaign run contacts.csv --message Bonjour --hours 08:00-19:00 --days mon-sat",
    ),
    Explanation(
        code="campaign.moment",
        what=N_("The moment before which nothing leaves cannot be read, or is over."),
        sent=N_("No."),
        do=N_("Write it as 2026-12-01T09:00, as 09:00 for the next one, or as +2h."),
        example="vavasms campaign run contacts.csv --message Bonjour --at 09:00",
    ),
    Explanation(
        code="campaign.unit_price",
        what=N_("A budget or a balance floor was given without the price of a segment."),
        sent=N_("No."),
        do=N_("Add --unit-price: the gateway tells no prices."),
        example="vavasms campaign run contacts.csv --message Bonjour --unit-price 25 --budget 100000",
    ),
    Explanation(
        code="campaign.stored_policy",
        what=N_("The limits that are kept with a campaign cannot be read."),
        sent=N_("No."),
        do=N_("The ledger was changed by something else: put a back-up back, or begin the campaign anew."),
        example="vavasms campaign list",
    ),
    Explanation(
        code="campaign.no_budget",
        what=N_("The campaign was begun without a budget, so what it spent was not counted."),
        sent=N_("Nothing further: its limits are as they were."),
        do=N_("Resume it without --budget; --balance-floor can still be set."),
        example="vavasms campaign resume ID --balance-floor 50000",
    ),
    Explanation(
        code="campaign.running",
        what=N_("The campaign is being sent at this moment."),
        sent=N_("What it sends goes on."),
        do=N_("Pause it first, or wait for its end."),
        example="vavasms campaign pause ID",
    ),
    Explanation(
        code="campaign.ended",
        what=N_("The campaign is in a state that does not allow it: done, cancelled or still loading."),
        sent=N_("Nothing further."),
        do=N_("Look at its report; a new send needs a new campaign."),
        example="vavasms campaign report ID",
    ),
    Explanation(
        code="campaign.account",
        what=N_("The campaign was submitted by another account."),
        sent=N_("No."),
        do=N_("Use the settings of that account."),
        example="vavasms campaign status ID",
    ),
    Explanation(
        code="campaign.plan_changed",
        what=N_("The plan is not the one that --plan names: the list, the message or the opt-outs changed."),
        sent=N_("No."),
        do=N_("Look at the new plan, and use its hash."),
        example="vavasms campaign plan contacts.csv --message Bonjour",
    ),
    Explanation(
        code="campaign.duplicate",
        what=N_("A campaign of the ledger has these very recipients and texts."),
        sent=N_("Nothing by this call; the earlier campaign may have sent."),
        do=N_("Resume the earlier one, or say --again to send everything a second time."),
        example="vavasms campaign status ID",
    ),
    Explanation(
        code="campaign.test_number",
        what=N_("The number of --test-to is on the opt-out list."),
        sent=N_("No."),
        do=N_("Name another phone, or take it off the list."),
        example="vavasms optouts remove +2250700000001",
    ),
    Explanation(
        code="campaign.runner_closed",
        what=N_("The runner was used outside of its `async with`."),
        sent=N_("No."),
        do=N_("Enter it first; there is one runner at a time."),
        example="async with CampaignRunner(sms, ledger) as runner: ...",
    ),
    Explanation(
        code="campaign.batch",
        what=N_("--batch names a batch whose outcome is not unknown."),
        sent=N_("Nothing; nothing was changed."),
        do=N_("List the batches that are unknown, and name one of those."),
        example="vavasms campaign resolve ID",
    ),
    Explanation(
        code="campaign.purged",
        what=N_("The numbers and texts of the campaign are forgotten."),
        sent=N_("Nothing further."),
        do=N_("Only its counts are left; nothing can be decided any more."),
        example="vavasms campaign status ID",
    ),
    Explanation(
        code="campaign.not_found",
        what=N_("The ledger holds no campaign of this id."),
        sent=N_("Nothing by this call."),
        do=N_("Look at the campaigns that it holds, and at the ledger that you named."),
        example="vavasms campaign list",
    ),
    Explanation(
        code="campaign.retry",
        what=N_("What is to be retried is no such word, or the budget of the first campaign is spent."),
        sent=N_("No."),
        do=N_("Write --what with rejected, undelivered or not-sent, and name a budget with --budget."),
        example="vavasms campaign retry ID --what rejected",
    ),
    Explanation(
        code="campaign.state",
        what=N_("The campaign is in no state for this."),
        sent=N_("Nothing by this call."),
        do=N_("Wait for its end, or cancel it first."),
        example="vavasms campaign cancel ID",
    ),
    Explanation(
        code="campaign.duplicate_recipient",
        what=N_("A recipient is twice in one campaign."),
        sent=N_("No: nothing was sent."),
        do=N_("Load each number once."),
        example="dict.fromkeys(numbers)",
    ),
    Explanation(
        code="campaign.one_recipient",
        what=N_("A batch of one recipient was to be halved."),
        sent=N_("Nothing by this call."),
        do=N_("Settle the batch as rejected."),
        example="await ledger.settle(claim, BatchEvent.REJECT, record)",
    ),
    Explanation(
        code="list.not_found",
        what=N_("The list does not exist, or is a folder."),
        sent=N_("No."),
        do=N_("Check the path; a path with spaces stands in quotes."),
        example="vavasms campaign plan 'my contacts.csv' --message Bonjour",
    ),
    Explanation(
        code="list.unreadable",
        what=N_("The list cannot be read: this user may not, or the disk or the share failed."),
        sent=N_("No."),
        do=N_("Give the user the right to read it, or copy the file to this machine."),
        example="chmod u+r contacts.csv",
    ),
    Explanation(
        code="list.empty",
        what=N_("The list, or its sheet, is empty, or has a header and nothing below."),
        sent=N_("No."),
        do=N_("Look whether it is the right file; --sheet names another sheet."),
        example="vavasms campaign plan contacts.xlsx --sheet Clients --message Bonjour",
    ),
    Explanation(
        code="list.format",
        what=N_(
            "The file is no list: a PDF, a binary file, or a spreadsheet that is damaged or has a password."
        ),
        sent=N_("No."),
        do=N_("Open it in the program it comes from and save it as CSV."),
        example="vavasms numbers check contacts.csv",
    ),
    Explanation(
        code="list.too_large",
        what=N_(
            "A cell far off makes the sheet larger than memory: it has over 33 million rows times columns."
        ),
        sent=N_("No."),
        do=N_("Go to that cell (Ctrl+End), delete the columns or rows that are not the list's, and save it."),
        example="vavasms numbers check contacts.xlsx",
    ),
    Explanation(
        code="list.encoding",
        what=N_(
            "The encoding that was named is unknown, does not fit the file, or was named for a spreadsheet."
        ),
        sent=N_("No."),
        do=N_("Leave --encoding out: UTF-8, UTF-16 and cp1252 are recognised; name others as Python does."),
        example="vavasms numbers check contacts.csv --encoding mac_roman",
    ),
    Explanation(
        code="list.quotation_mark",
        what=N_("A quotation mark in the CSV is never closed, so the rest of the file would be one cell."),
        sent=N_("No."),
        do=N_("Close or remove it in the row that is named."),
        example="vavasms numbers check contacts.csv",
    ),
    Explanation(
        code="list.where",
        what=N_("A condition on the rows of the list cannot be read."),
        sent=N_("No."),
        do=N_("Write it as ville=Bouaké or montant>=1000, with a column of the list."),
        example="vavasms campaign plan contacts.csv --message Bonjour --where ville=Bouaké",
    ),
    Explanation(
        code="list.column",
        what=N_("A condition, or --keep, names a column that the list does not have."),
        sent=N_("No."),
        do=N_("Name one of the columns that the error lists."),
        example="vavasms campaign plan contacts.csv --message Bonjour --keep ref",
    ),
    Explanation(
        code="list.sample",
        what=N_("The size of a sample, or its seed, is no whole number, or a seed has no sample."),
        sent=N_("No."),
        do=N_("Write --sample 1000, and --seed with the number that the plan named to draw the same again."),
        example="vavasms campaign plan contacts.csv --message Bonjour --sample 1000",
    ),
    Explanation(
        code="list.phone_column",
        what=N_("It is not clear which column holds the numbers."),
        sent=N_("No."),
        do=N_("Name it with --phone-column (phone_column=)."),
        example="vavasms campaign plan contacts.csv --phone-column Mobile --message Bonjour",
    ),
    Explanation(
        code="list.sheet",
        what=N_("The spreadsheet has no sheet of this name, or the list is no spreadsheet."),
        sent=N_("No."),
        do=N_("Name one of the sheets that the error lists, or leave --sheet out."),
        example="vavasms campaign plan contacts.xlsx --sheet Clients --message Bonjour",
    ),
    Explanation(
        code="list.nobody",
        what=N_("After refused numbers, duplicates and opt-outs nobody is left to send to."),
        sent=N_("No."),
        do=N_("See why each number is refused, and mend the list."),
        example="vavasms numbers check contacts.csv --refused refused.csv",
    ),
    Explanation(
        code="list.refused_file",
        what=N_("The file of --refused cannot be written, or is the list itself."),
        sent=N_("No: nothing was sent."),
        do=N_("Name another file, in a folder that you may write to."),
        example="vavasms numbers check contacts.csv --refused refused.csv",
    ),
)
