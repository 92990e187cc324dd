"""Texts that make a detector look at the same characters again and again, if it can be made to."""

from __future__ import annotations

UNITS = [
    "a", "1", " ", ".", "-", ":", "/", "@", "=", "%", "\\", '"', "'", "_", "+", "(", "A", "eyJ", "eyJ_", "eyJ.",
    "-eyJ", "xeyJ", "eyJaaaaaa.", "eyJaaaaaaa", "a@", "a.", "@a", "@a.", "a@a.", "%40", "a%40", '"a', "1 ", "1-",
    "4111 ", "4 ", "4111-1111-", "4111111111111", "12 345 ", "1.", "1.1.", "255.", "::", "a:", "a::", "1:", "abcd:",
    "0:0:0:0:0:0:0:0:", "AA11", "GB82", "GB82 ", "GB82WEST", "AB12", "AB 12 ", "123-45-", "123-45-678", "+1", "+1 ",
    "+", "(415) ", "0", "01 ", "00 ", "0171 ", "tel ", "phone: ", "phone: 1 ", "ssn ", "ssn: 1", "nhs 1",
    "-----BEGIN A-----", "-----BEGIN ", "-----END ", "----", "bearer ", "bearer=", "bearer", "Bearer a.", "basic ",
    "basic", "Basic YTpi", "AKIA", "AKIAAAAAAA", "sk-", "sk-a", "ghp_", "xoxb-1", "SG.", "AC", "//", "//a", "//a:",
    "//a:b", "//a:b/", "//a@", "http://a:b", "a:b@tcp", "%2F%2F", "%2F%2Fa%3A", "?a=", "?token=", "?token=)", "&key=a",
    ";code=", "?key=)))", "token=", "token=,", "password=", "password=,a=", "password='", 'password="',
    'password="a\\"', 'password=\\"', "password=`", '"password":"', "authorization:", "authorization: a", "cookie=",
    "'cookie:", "--password ", "<password>", "'password','", "password=)", "password=***", "password%3D",
    "passwordpassword", "pass_", "a_", "a-", "Aa1", "=-", "x" * 40, "webhook/", "/api/webhooks/1",
    "hooks.slack.com/a/", "123456789:AA", "1Q~", "Q~", "aQ~a", "==", "1//0", "access_token$production$",
    "password= \n", "password='\n", "\u200b", "\uff11", "4111\u200b", "\u00a0", "\u7528", "\ud800",
]  # fmt: skip


JSON_UNITS = [
    '{"a":1,', "[", '{"a":', '["a",', '{"password":"a"},', '\\"', '{\\"a\\":', "1,", '"a1":1,', "\x1b[31m",
    "\x1b]0;a\x07", "key=value&", "name=", "\n",
]  # fmt: skip

MIXES = [
    "----key=value&123-45-",
    "%2F%2F\uff11a:b@tcp",
    '{"password":"a"},\u00a012 345 ',
    "password%3D\u00a0123-45-sk-a",
    "aQ~aAKIA'cookie:\x1b[31m\u00a0",
    "1,--password Basic YTpissn: 1",
    "tel ACxeyJa:\u00a0",
    "ssn 1:",
    '"a1":1,//a:\u00a0123-45-678\\',
    "-----BEGIN 1Q~\u00a0password=123-45-678",
    "\ud800::a::1-@",
]
"""Those of some ten thousand mixtures that take longest."""


def pump(unit: str, length: int) -> str:
    """Return a text of *length* characters of *unit*, with an end that fits nothing."""
    return (unit * (length // len(unit) + 1))[: length - 2] + "\x01!"


def texts(length: int) -> list[str]:
    """Return a text of about *length* characters for each unit: repeated, and with an end that fits nothing."""
    return [unit * (length // len(unit)) + "\x01!" for unit in UNITS]
