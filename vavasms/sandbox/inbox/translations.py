"""The sentences of the page, in French and in English, and the choice between them."""

from __future__ import annotations

from collections.abc import Mapping

from vavasms.sandbox.faults import FaultKind, Moment
from vavasms.sandbox.magic import MAGIC_NUMBERS

LANGUAGES = ("fr", "en")

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Sandbox",
        "skip": "Skip to the conversations",
        "search": "Search a number or a text",
        "conversations": "Conversations",
        "thread": "Messages",
        "back": "All conversations",
        "none": "Nothing received yet",
        "none_hint": "Send an SMS with these settings; it appears here at once.",
        "nothing_found": "Nothing found",
        "choose": "Choose a conversation",
        "older": "Show older ones",
        "new_message": "New message to",
        "messages_total": "messages",
        "numbers_total": "numbers",
        "from": "From",
        "lot": "Lot",
        "price": "Price",
        "segment": "segment",
        "segments": "segments",
        "gsm7": "GSM-7",
        "ucs2": "Unicode",
        "why_ucs2": "Unicode because of",
        "why_double": "Counts twice:",
        "mark_ucs2": "This character forces Unicode: 70 characters a segment instead of 160",
        "mark_double": "This character takes two places",
        "pending": "pending",
        "sent": "sent",
        "delivered": "delivered",
        "failed": "failed",
        "unknown": "unknown to the gateway",
        "code": "Code",
        "copy_code": "Copy",
        "copied": "Copied",
        "reply_label": "Reply as this handset",
        "reply_send": "Send",
        "reply_to": "Posted to",
        "reply_none": "Replies need an inbound URL. Start the sandbox with:",
        "reply_sending": "Posting…",
        "reply_status": "Your URL answered HTTP",
        "reply_failed": "No answer from your URL:",
        "balance": "Balance",
        "refill": "Refill",
        "amount": "Amount to add (XOF)",
        "clear_all": "Clear",
        "gateway": "Gateway",
        "connect": "How to reach it",
        "faults": "Faults",
        "faults_hint": "Make the gateway misbehave, and see what your program does.",
        "kind": "What goes wrong",
        "when": "When",
        "next": "Next request",
        "always": "Every request",
        "rate": "At a rate",
        "rate_label": "Of 100 requests",
        "moment": "At which moment",
        "seconds": "Seconds",
        "status": "HTTP status",
        "fault_set": "Set fault",
        "faults_clear": "Clear faults",
        "pending_faults": "Planned",
        "no_faults": "None: every request goes well.",
        "well": "Goes well",
        "more_steps": "more",
        "magic_used": "Magic numbers used",
        "magic_all": "All magic numbers",
        "language": "Language",
        "connecting": "Connecting…",
        "live": "Live",
        "offline": "Not connected: trying again",
        "error": "That did not work:",
    },
    "fr": {
        "title": "Bac à sable",
        "skip": "Aller aux conversations",
        "search": "Chercher un numéro ou un texte",
        "conversations": "Conversations",
        "thread": "Messages",
        "back": "Toutes les conversations",
        "none": "Rien reçu pour l’instant",
        "none_hint": "Envoyez un SMS avec ces réglages ; il s’affiche ici aussitôt.",
        "nothing_found": "Aucun résultat",
        "choose": "Choisissez une conversation",
        "older": "Afficher les précédents",
        "new_message": "Nouveau message pour",
        "messages_total": "messages",
        "numbers_total": "numéros",
        "from": "De",
        "lot": "Lot",
        "price": "Prix",
        "segment": "segment",
        "segments": "segments",
        "gsm7": "GSM-7",
        "ucs2": "Unicode",
        "why_ucs2": "Unicode à cause de",
        "why_double": "Comptent double :",
        "mark_ucs2": "Ce caractère impose l’Unicode : 70 caractères par segment au lieu de 160",
        "mark_double": "Ce caractère prend deux places",
        "pending": "en attente",
        "sent": "envoyé",
        "delivered": "délivré",
        "failed": "échec",
        "unknown": "inconnu de la passerelle",
        "code": "Code",
        "copy_code": "Copier",
        "copied": "Copié",
        "reply_label": "Répondre depuis ce téléphone",
        "reply_send": "Envoyer",
        "reply_to": "Postée vers",
        "reply_none": "Pour répondre, il faut une URL de réception. Lancez le bac à sable ainsi :",
        "reply_sending": "Envoi…",
        "reply_status": "Votre URL a répondu HTTP",
        "reply_failed": "Pas de réponse de votre URL :",
        "balance": "Solde",
        "refill": "Recharger",
        "amount": "Montant à ajouter (XOF)",
        "clear_all": "Vider",
        "gateway": "Passerelle",
        "connect": "Comment l’atteindre",
        "faults": "Pannes",
        "faults_hint": "Provoquez une panne de la passerelle et voyez ce que fait votre programme.",
        "kind": "Quelle panne",
        "when": "Quand",
        "next": "Prochaine requête",
        "always": "Toutes les requêtes",
        "rate": "À un taux",
        "rate_label": "Sur 100 requêtes",
        "moment": "À quel moment",
        "seconds": "Secondes",
        "status": "Statut HTTP",
        "fault_set": "Programmer",
        "faults_clear": "Tout annuler",
        "pending_faults": "Programmées",
        "no_faults": "Aucune : toutes les requêtes aboutissent.",
        "well": "Se passe bien",
        "more_steps": "de plus",
        "magic_used": "Numéros magiques utilisés",
        "magic_all": "Tous les numéros magiques",
        "language": "Langue",
        "connecting": "Connexion…",
        "live": "En direct",
        "offline": "Déconnecté : nouvel essai",
        "error": "Cela n’a pas marché :",
    },
}

FAULTS: Mapping[str, Mapping[FaultKind, str]] = {
    "en": {
        FaultKind.CLOSE_AFTER_ACCEPTING: "Accepted, then cut off",
        FaultKind.STALL: "Slow reply",
        FaultKind.STATUS: "HTTP error",
        FaultKind.RATE_LIMIT: "Too many requests (429)",
        FaultKind.REFUSE: "Connection refused",
        FaultKind.RESET: "Connection reset",
        FaultKind.CLOSE_BEFORE_READING: "Closed before the request is read",
        FaultKind.CLOSE_AFTER_READING: "Closed after the request is read, not accepted",
        FaultKind.CUT: "Accepted, reply cut short",
        FaultKind.EMPTY: "Empty reply",
        FaultKind.HTML: "A page of HTML instead of JSON",
        FaultKind.PHP_WARNING: "A PHP warning before the JSON",
        FaultKind.BOM: "A byte order mark before the JSON",
        FaultKind.TOO_FEW_IDS: "One message id too few",
        FaultKind.REDIRECT: "Redirect to another host",
        FaultKind.RAW: "A body of nonsense",
    },
    "fr": {
        FaultKind.CLOSE_AFTER_ACCEPTING: "Accepté, puis coupé",
        FaultKind.STALL: "Réponse lente",
        FaultKind.STATUS: "Erreur HTTP",
        FaultKind.RATE_LIMIT: "Trop de requêtes (429)",
        FaultKind.REFUSE: "Connexion refusée",
        FaultKind.RESET: "Connexion réinitialisée",
        FaultKind.CLOSE_BEFORE_READING: "Coupé avant lecture de la requête",
        FaultKind.CLOSE_AFTER_READING: "Coupé après lecture, non accepté",
        FaultKind.CUT: "Accepté, réponse tronquée",
        FaultKind.EMPTY: "Réponse vide",
        FaultKind.HTML: "Une page HTML au lieu de JSON",
        FaultKind.PHP_WARNING: "Un avertissement PHP avant le JSON",
        FaultKind.BOM: "Une marque d’ordre des octets avant le JSON",
        FaultKind.TOO_FEW_IDS: "Un identifiant de message en moins",
        FaultKind.REDIRECT: "Redirection vers un autre hôte",
        FaultKind.RAW: "Une réponse qui ne veut rien dire",
    },
}

MOMENT_WORDS: Mapping[str, Mapping[Moment, str]] = {
    "en": {
        Moment.BEFORE_READING: "Before the request is read",
        Moment.AFTER_READING: "Before the SMS is accepted",
        Moment.AFTER_ACCEPTING: "After the SMS is accepted (and paid)",
    },
    "fr": {
        Moment.BEFORE_READING: "Avant lecture de la requête",
        Moment.AFTER_READING: "Avant que le SMS soit accepté",
        Moment.AFTER_ACCEPTING: "Après que le SMS est accepté (et payé)",
    },
}


_MAGIC_FR = {
    "100": "Accepté ; son statut reste « pending » pour toujours.",
    "404": "Accepté ; son statut est « failed », un mot qui n’est documenté nulle part.",
    "709": "Accepté ; demander son statut donne 709 EXECUTION_ERROR.",
    "901": "Refusé par 901 INVALID_CREDENTIALS.",
    "902": "Refusé par 902 INVALID_SENDER_ID.",
    "903": "Refusé par 903 INVALID_PHONE_NUMBER.",
    "920": "Refusé par 920 INSUFFICIENT_CREDIT, un code propre au bac à sable.",
    "999": "Refusé par 999 UNEXPECTED_ERROR, un code que personne ne connaît.",
    "913": "Son code OTP part ; chaque vérification répond 913 INVALID_OTP.",
    "914": "Son code OTP part ; chaque vérification répond EXPIRED_OTP (914, propre au bac à sable).",
    "915": "Son code OTP part ; chaque vérification répond OTP_NOT_FOUND (915, propre au bac à sable).",
    "408": "HTTP 408, non accepté.",
    "429": "HTTP 429 avec « Retry-After: 1 », non accepté.",
    "500": "HTTP 500 avec une page HTML, non accepté.",
    "503": "HTTP 503 avec une page HTML, non accepté.",
    "504": "Accepté, puis HTTP 504 comme d’un proxy.",
    "200": "HTTP 200 avec une page HTML, non accepté.",
    "204": "Accepté, puis un corps vide sous HTTP 200.",
    "302": "HTTP 302 vers un autre hôte, non accepté.",
    "207": "Accepté, avec un identifiant de message en moins.",
    "206": "Accepté, la réponse coupée après 10 octets (avec le serveur seulement).",
    "444": "Accepté, puis fermé sans réponse (avec le serveur seulement).",
    "104": "Accepté, puis réinitialisé sans réponse (avec le serveur seulement).",
    "110": "Accepté, la réponse seulement après 90 secondes.",
}

#: What each magic number does, by the number.
MAGIC_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {phone: magic.sentence for phone, magic in MAGIC_NUMBERS.items()},
    "fr": {phone: _MAGIC_FR[phone[-3:]] for phone in MAGIC_NUMBERS},
}


def choose_language(*preferred: str, accepted: str = "") -> str:
    """Return the first preferred language that we have, else the best of `Accept-Language`, else English."""
    for language in preferred:
        if language in LANGUAGES:
            return language
    best, best_quality = "en", 0.0
    for option in accepted.lower().split(","):
        name, _, quality = option.strip().partition(";q=")
        language = name.partition("-")[0]
        if language in LANGUAGES and _parse_quality(quality) > best_quality:
            best, best_quality = language, _parse_quality(quality)
    return best


def _parse_quality(quality: str) -> float:
    try:
        return float(quality or 1)
    except ValueError:
        return 0.0
