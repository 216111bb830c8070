"""Numbers that no SMS can be sent to."""

from __future__ import annotations

from vavasms.explanations.base import Explanation
from vavasms.i18n import gettext_noop as N_

EXPLANATIONS = (
    Explanation(
        code="number.not_text",
        what=N_("A number was given as a value that is no text, such as a spreadsheet's whole number."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Give it as text, with its plus sign: leading zeros survive only there."),
        example='sms.send("+2250709000001", "Bonjour")',
    ),
    Explanation(
        code="number.empty",
        what=N_("The text holds no digit."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Look for an empty cell, or for the wrong column: --phone-column names the right one."),
        example="vavasms numbers check contacts.csv --phone-column Telephone",
    ),
    Explanation(
        code="number.letters",
        what=N_("The text holds letters."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Keep the digits only; where it is a name, another column holds the numbers."),
        example="vavasms numbers check contacts.csv --phone-column Telephone",
    ),
    Explanation(
        code="number.characters",
        what=N_("The text holds signs that no written number has."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Keep digits, spaces, dots, hyphens and the plus sign in front."),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.extension",
        what=N_("The text has an extension, or is a service code such as *144#."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Give the mobile number alone."),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.several",
        what=N_("The text looks like several numbers in one."),
        sent=N_("No: the number was refused before any request."),
        do=N_(
            "Give one at a time; in a list, cells with several numbers are split at commas, "
            "semicolons and slashes."
        ),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.scientific",
        what=N_("A spreadsheet rounded the number (2.25071E+12): its last digits are lost."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Format the column as text and enter the number again: nobody can know the digits."),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.decimal",
        what=N_("A spreadsheet made the number a decimal, with .0 behind it."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Add --repair (repair=True): it takes the .0 away."),
        example="vavasms numbers check contacts.csv --region CI --repair",
    ),
    Explanation(
        code="number.short_code",
        what=N_("The number is a short code, as services have; it takes no SMS from here."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Give a full mobile number."),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.too_short",
        what=N_("The number has fewer digits than those of its country."),
        sent=N_("No: the number was refused before any request."),
        do=N_(
            "Look for what was cut off; the old 8-digit numbers of Côte d'Ivoire need their "
            "region and --repair."
        ),
        example="vavasms numbers check contacts.csv --region CI --repair",
    ),
    Explanation(
        code="number.too_long",
        what=N_("The number has more digits than those of its country."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Give one number, with its calling code once."),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.invalid",
        what=N_("No numbering plan has such a number."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Check its digits with whoever gave it to you."),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.landline",
        what=N_("The number is a landline, which takes no SMS."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Ask for a mobile number."),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.not_mobile",
        what=N_("The number is toll-free, premium or of a service: no mobile."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Ask for a mobile number."),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.old_plan",
        what=N_("The number is of the plan before 2021 (Côte d'Ivoire) or before 2024 (Bénin)."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Use the number that the error suggests, or add --repair (repair=True)."),
        example="vavasms numbers check contacts.csv --region CI --repair",
    ),
    Explanation(
        code="number.lost_zero",
        what=N_("The number seems to have lost its leading zero, as spreadsheets take it."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Use the suggestion, or add --repair with the region named."),
        example="vavasms numbers check contacts.csv --region CI --repair",
    ),
    Explanation(
        code="number.ambiguous",
        what=N_("The number can be read as one of several countries."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Name the region, or write the number with its plus sign and calling code."),
        example="vavasms numbers check contacts.csv --region CI",
    ),
    Explanation(
        code="number.no_region",
        what=N_("The number has no calling code, and no region was named."),
        sent=N_("No: the number was refused before any request."),
        do=N_("Name the region, or write the number as +225…"),
        example="vavasms numbers check contacts.csv --region CI",
    ),
)
