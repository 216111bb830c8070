"""What the help of `vavasms sandbox` says of its magic numbers; the sandbox itself may not be installed."""

MAGIC_HELP = """Magic numbers, +2250700000 and three digits, always come to the same end:

901 902 903 920 999: refused with that code.

913 914 915: its one-time code never passes: wrong, expired, not found.

200 302 408 429 500 503: that HTTP answer; nothing is accepted.

104 110 204 206 207 444 504: accepted, then a reset, 90 seconds of silence,
an empty body, a cut one, an id too few, a close, HTTP 504.

100 404 709: accepted; its status stays pending, is failed, is unknown."""
