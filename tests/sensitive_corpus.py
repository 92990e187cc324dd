"""Values that have to be found wherever they stand, and texts in which there is nothing to find."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Iterator

from fapilog.redactors._cloud_keys import PREFIXES
from fapilog.redactors._identities import IBAN_LENGTHS

CONTEXTS = [
    "{}",
    "before {} after",
    "the last is {}",
    "{} is the first",
    '{{"note": "{}", "other": 1}}',
    '{{\\"note\\": \\"{}\\"}}',
    "[{}, 2]",
    "({})",
    "<b>{}</b>",
    "a;{};b",
    "'{}'",
    "one line\n{}\nand another",
    "one line\r\n{}\r\n",
    "tab\t{}\ttab",
    "\u201c{}\u201d",
    "\N{SLIGHTLY SMILING FACE}{}\N{SLIGHTLY SMILING FACE}",
    "\u7528\u6237 {}\u3002",
    "\u5730\u5740{}",
    "\x00{}\x00",
    "\ud800 {} \udfff",
    "reason: {}.",
    "https://example.com/p?q={}&r=1",
]

_random = random.Random(7)
BASE62 = string.ascii_letters + string.digits


def _characters(alphabet: str, length: int) -> str:
    return "".join(_random.choice(alphabet) for _ in range(length))


def with_luhn(digits: str) -> str:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def with_iban_check(country: str, account: str) -> str:
    number = int("".join(str(int(character, 36)) for character in account + country + "00"))
    return f"{country}{98 - number % 97:02}{account}"


CARDS = [
    # Test numbers that issuers and payment services publish.
    "4111111111111111", "4242424242424242", "4012888888881881", "4222222222222", "4000056655665556",
    "5555555555554444", "5105105105105100", "5200828282828210", "2223003122003222", "2720992593319364",
    "378282246310005", "371449635398431", "378734493671000", "6011111111111117", "6011000990139424",
    "6011981111111113", "30569309025904", "38520000023237", "36227206271667", "3530111333300000", "3566002020360505",
    "6200000000000005", "6205500000000000004", "6759649826438453", "5018000000000009", "6304000000000000",
    "4111-1111-1111-1111", "4111 1111 1111 1111", "4111.1111.1111.1111", "4111_1111_1111_1111", "4111/1111/1111/1111",
    "3782-822463-10005", "3782 822463 10005", "3056 930902 5904", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "41 11 11 11 11 11 11 11", "411111-111111-1111", "41111 11111 11111 1", "6205 5000 0000 0000 004",
    "4111%201111%201111%201111", "4111\t1111\t1111\t1111", "4111  1111  1111  1111", "4111+1111+1111+1111",
    "\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11",
    "4111\u00a01111\u00a01111\u00a01111", "4111\u20111111\u20111111\u20111111", "4111\u20091111\u20091111\u20091111",
    "4111\u200b1111\u200b1111\u200b1111", "41\u00ad1111\u00ad1111\u00ad111111",
    "\u0664\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661",
    *(with_luhn(start + _characters(string.digits, 15 - len(start)))
      for start in ("4", "51", "53", "55", "2221", "2500", "2720", "6011", "65", "62", "3528", "3589", "2200", "508")),
    *(with_luhn(start + _characters(string.digits, 14 - len(start))) for start in ("34", "37")),
    *(with_luhn(start + _characters(string.digits, 13 - len(start))) for start in ("300", "305", "36", "38")),
]  # fmt: skip

IBANS = [
    "GB82WEST12345698765432", "GB82 WEST 1234 5698 7654 32", "gb82west12345698765432", "GB82-WEST-1234-5698-7654-32",
    "DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "FR1420041010050500013M02606", "NL91ABNA0417164300",
    "ES9121000418450200051332", "IT60X0542811101000000123456", "CH9300762011623852957", "AT611904300234573201",
    "BE68539007547034", "BE68 5390 0754 7034", "NO9386011117947", "SE4550000000058398257466", "DK5000400440116243",
    "FI2112345600000785", "PL61109010140000071219812874", "PT50000201231234567890154", "IE29AIBK93115212345678",
    "LU280019400644750000", "GR1601101250000000012300695", "SA0380000000608010167519", "AE070331234567890123456",
    "TR330006100519786457841326", "BR1800360305000010009795493C1", "MT84MALT011000012345MTLCAST001S",
    "GB82\u00a0WEST\u00a01234\u00a05698\u00a07654\u00a032", "GB82%20WEST%201234%205698%207654%2032",
    *(with_iban_check(country, _characters(string.digits, length - 4)) for country, length in IBAN_LENGTHS.items()),
]  # fmt: skip

IDENTITIES = {
    "us_ssn": [
        "078-05-1120",
        "219-09-9999",
        "123-45-6789",
        "001-01-0001",
        "899-99-9999",
        "457.55.5462",
        "123\u201145\u20116789",
        "900-70-0000",
        "\uff11\uff12\uff13-45-6789",
    ],
    "uk_nino": [
        "AB123456C",
        "AB 12 34 56 C",
        "QQ123456A".replace("QQ", "JG"),
        "jg123456a",
        "CE-12-34-56-D",
        "AB\u00a012\u00a034\u00a056\u00a0C",
        "ZY 12 34 56 A",
        "PW987654B",
    ],
    "uk_nhs": ["NHS 943 476 5919", "NHS number: 9434765919", "nhs_number=943-476-5919"],
}

EMAILS = [
    "john.doe@example.com", "a@b.co", "first.last+tag@sub.example.co.uk", "user_name@example.org", "x-y@ex-ample.de",
    "JOHN.DOE@EXAMPLE.COM", "j\u00f6rg@ex\u00e4mple.de", "user@xn--exmple-cua.com", "o'brien@example.ie",
    "john%40example.com", "john\uff20example.com", "john@example\uff0ecom", "12345@qq.com", "jo\u200bhn@example.com",
    '"john doe"@example.com'.replace(" ", "."), "john@exam\u00adple.com", "a.very.long.name.of.a.person@mail.museum",
    "user@mail.example.travel", "info@example.io", "me+filter@gmail.com",
]  # fmt: skip

PHONES = [
    "+1 415 555 2671", "+14155552671", "+1-415-555-2671", "+1 (415) 555-2671", "+44 20 7946 0958", "+442079460958",
    "+44 (0)20 7946 0958", "+49 30 901820", "+49 (30) 901820-17", "+33 1 42 68 53 00", "+33142685300",
    "+91 98765 43210", "+86 138 0013 8000", "+81-3-1234-5678", "+61 2 9374 4000", "+55 11 91234-5678",
    "(415) 555-2671", "415-555-2671", "415.555.2671", "1-415-555-2671", "(415)555-2671", "020 7946 0958",
    "07700 900123", "0171 2345678", "030/9018200", "01 42 68 53 00", "01.42.68.53.00", "0049 30 901820",
    "00 44 20 7946 0958", "tel: 5550199", "phone 415 555 2671", "Phone: 4155552671", "mobile=07700900123",
    "phone_number: 4155552671", "tel:+442079460958", "+1\u00a0415\u00a0555\u00a02671", "\uff0b1 415 555 2671",
    "+1\u2011415\u2011555\u20112671", "fax no. 030 901820",
]  # fmt: skip

ADDRESSES = [
    "10.1.2.3", "192.168.1.17", "8.8.8.8", "255.255.255.255", "172.16.254.1", "203.0.113.42", "100.64.0.7",
    "192.168.001.017", "10\u30021\u30022\u30023", "\uff11\uff10.1.2.3", "2001:db8::1",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "fe80::1ff:fe23:4567:890a", "::ffff:192.0.2.128",
    "2001:db8:0:0:1:0:0:1", "2606:4700:4700::1111", "FE80::0202:B3FF:FE1E:8329", "64:ff9b::192.0.2.33", "ff02::2",
    "2001:db8::8a2e:370:7334",
]  # fmt: skip


def _base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _jwts() -> Iterator[str]:
    for algorithm in ("HS256", "RS256", "ES384", "none"):
        for number in range(3):
            parts = [f'{{"alg":"{algorithm}","typ":"JWT"}}', f'{{"sub":"{number}","name":"John Doe","iat":1516239022}}']
            signature = "" if algorithm == "none" else _characters(BASE62 + "-_", 43)
            yield ".".join([*map(_base64url, parts), signature])
    yield ".".join([_base64url('{"alg":"dir","enc":"A256GCM"}'), "", *(_characters(BASE62, 16) for _ in range(3))])


JWTS = list(_jwts())

_KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"
_LABELS = [
    "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY",
    "PGP PRIVATE KEY BLOCK", "CERTIFICATE", "DSA PRIVATE KEY",
]  # fmt: skip
PEMS = [
    f"-----BEGIN {label}-----{newline}{_KEY}{newline}{_KEY}=={newline}-----END {label}-----"
    for label in _LABELS
    for newline in ("\n", "\\n", "\r\n")
]
PEMS.append(f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{_KEY}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----")

_HEXADECIMAL = {"SK", "AC", "dapi", "key-", "amzn.mws.", "PMAK-", "rubygems_"}
_UPPER = {"AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA", "AGPA", "AIPA", "ANPA", "ANVA", "A3T", "GOOG", "GOOG1E"}


def _tail(prefix: str, least: int) -> str:
    if prefix in _HEXADECIMAL:
        return _characters("0123456789abcdef", least)
    if prefix in _UPPER:
        return _characters(string.ascii_uppercase + string.digits, least)
    return _characters(BASE62, least - 1) + "7"


CLOUD_KEYS = [
    "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE",
    *(prefix + _tail(prefix, least) for prefix, least in PREFIXES.items()),
    "1//0gAbCdEfGhIjKlMnOpQrStUvWxYz0123456789", "access_token$production$q3k5r7t9v1x3z5b7$0123456789abcdef",
    "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1", "abc8Q~" + _characters(BASE62, 34),
    _characters(BASE62 + "+/", 86) + "==",
]  # fmt: skip

NAMED = [
    # Each with what is secret in it.
    ("password=hunter2", "hunter2"), ("password: hunter2", "hunter2"), ("Password = hunter2", "hunter2"),
    ("PASSWORD=hunter2&user=bob", "hunter2"), ("passwd=hunter2;x", "hunter2"), ("pwd=hunter2", "hunter2"),
    ("pass=hunter2", "hunter2"), ("db_password=hunter2", "hunter2"), ("dbPassword=hunter2", "hunter2"),
    ("DB-PASSWORD: hunter2", "hunter2"), ("MYSQL_PWD=hunter2", "hunter2"), ("'password': 'hunter2'", "hunter2"),
    ('"password": "hunter2"', "hunter2"), ('"password":"hunter2"', "hunter2"), ('"password" : "hun ter2"', "hun ter2"),
    ('\\"password\\": \\"hunter2\\"', "hunter2"), ('"password": "hun\\"ter2"', 'hun\\"ter2'),
    ("password => 'hunter2'", "hunter2"), ("password := hunter2", "hunter2"),
    ("<password>hunter2</password>", "hunter2"), ("--password hunter2", "hunter2"), ("--password=hunter2", "hunter2"),
    ("['--password', 'hunter2']", "hunter2"), ("--api-key abcdef", "abcdef"), ("('password', 'hunter2')", "hunter2"),
    ("(b'authorization', b'Bearer abc')", "Bearer abc"), ("token=abc123", "abc123"),
    ("access_token: abc123", "abc123"), ("refreshToken=abc123", "abc123"), ("api_key=abc123", "abc123"),
    ("apiKey: abc123", "abc123"), ("api-key=abc123", "abc123"), ("X-Api-Key: abc123", "abc123"),
    ("client_secret=abc123", "abc123"), ("secret: abc123", "abc123"), ("private_key=abc123", "abc123"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AccountKey=abc/123+45==;EndpointSuffix=x", "abc/123+45=="), ("SharedAccessKey=abc=", "abc="),
    ("Server=db;Uid=sa;Pwd=hunter2;", "hunter2"), ("Authorization: Basic Zm9vOmJhcg==", "Basic Zm9vOmJhcg=="),
    ("Authorization: Token abc", "Token abc"),
    ("authorization=Digest username=x, response=y", "Digest username=x, response=y"),
    ("Proxy-Authorization: x y z", "x y z"), ("Cookie: a=b; c=d", "a=b; c=d"),
    ("Set-Cookie: sid=1; Path=/", "sid=1; Path=/"), ("session_id=abc", "abc"), ("sessionToken: abc", "abc"),
    ("otp=123456", "123456"), ("mfa_code: 123456", "123456"), ("cvv=123", "123"), ("cvv2: 123", "123"),
    ("card_pin=1234", "1234"), ("jwt=abc", "abc"), ("credentials: abc", "abc"),
    ("Config(password=hunter2, user='x')", "hunter2"), ("{password: hunter2}", "hunter2"),
    ("password=hunter2, user=bob", "hunter2"), ("password%3Dhunter2%26user%3Dbob", "hunter2"),
    ("data[password]=hunter2", "hunter2"), ("password=p@ss,w0rd!", "p@ss,w0rd!"),
    ("passphrase: correct-horse", "correct-horse"), ("password\uff1dhunter2", "hunter2"),
    ("pass\u200bword=hunter2", "hunter2"),
    ("\U0001d429\U0001d41a\U0001d42c\U0001d42c\U0001d430\U0001d428\U0001d42b\U0001d41d=hunter2", "hunter2"),
    ("password 'hunter2' is wrong", "hunter2"), ("encryption_key=abc", "abc"), ("signing.key=abc123", None),
    ("xsrf_token=abc", "abc"), ("X-CSRF-Token: abc", "abc"), ("password=\u201chunter2\u201d", "hunter2"),
    ("password=a;b", "a"), ("api key: abc123", "abc123"), ("password=$ecret123", "$ecret123"),
    # URLs
    ("https:\\/\\/bob:hunter2@example.com\\/x", "hunter2"), ("jdbc:oracle:thin:bob/hunter2@//h:1521/x", "hunter2"),
    ("/x?token[]=abc", "abc"),
    ("postgres://bob:hunter2@db.example.com/x", "hunter2"), ("https://bob:hunter2@example.com", "hunter2"),
    ("redis://:hunter2@cache:6379/0", "hunter2"), ("mongodb+srv://bob:p%40ss@cluster0.mongodb.net/x", "p%40ss"),
    ("amqp://bob:hun@ter2@mq/", "hun@ter2"), ("//bob:hunter2@example.com/", "hunter2"),
    ("postgres://bob:a/b@db/x", "a/b"), ("https://ghp0123456789abcdefXYZ@github.com/x", "ghp0123456789abcdefXYZ"),
    ("bob:hunter2@tcp(db:3306)/x", "hunter2"), ("https%3A%2F%2Fbob%3Ahunter2%40example.com", "hunter2"),
    ("ftp://bob:hunter2@[2001:db8::1]/", "hunter2"), ("/x?access_token=abc&y=1", "abc"),
    ("https://x.example/?a=1&token=abc#f", "abc"), ("/cb#id_token=abc&x=1", "abc"), ("/x?api_key=abc", "abc"),
    ("/x?sig=abc%2Bdef", "abc%2Bdef"), ("?X-Amz-Signature=0123456789abcdef", "0123456789abcdef"),
    ("/x?X-Amz-Credential=AKIA/20260101/eu/s3", "AKIA/20260101/eu/s3"),
    ("/maps?key=AbCdEfGh0123456789", "AbCdEfGh0123456789"),
    ("/cb?code=SplxlOBeZQQYbYS6WxSbIA&state=x", "SplxlOBeZQQYbYS6WxSbIA"), ("/x?password=hunter2", "hunter2"),
    ("next=https%3A%2F%2Fx%2F%3Ftoken%3Dabc%26a%3D1", "abc"), ("/x?a=1&amp;token=abc", "abc"),
    ("/x?next=/y?token=abc", "abc"),
    # Schemes
    ("Bearer abcdef123456", "abcdef123456"), ("bearer AbCdEfGhIj", "AbCdEfGhIj"),
    ("Bearer%20abcdef123456", "abcdef123456"), ("Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA=="),
    ("basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), ("SSN 123456789", "123456789"),
    ("social security number: 123 45 6789", "123 45 6789"), ("itin: 900700000", "900700000"),
    ("https://hooks.slack.com/services/T00000000/B00000000/" + "X" * 24, "T00000000/B00000000/" + "X" * 24),
    ("https://discord.com/api/webhooks/123456789012345678/" + "a1B2" * 15, "a1B2" * 15),
]  # fmt: skip
NAMED = [pair for pair in NAMED if pair[1]]

VALUES: list[tuple[str, str]] = [
    *(("payment_card", value) for value in CARDS),
    *(("iban", value) for value in IBANS),
    *((kind, value) for kind, values in IDENTITIES.items() for value in values),
    *(("email", value) for value in EMAILS),
    *(("phone", value) for value in PHONES),
    *(("ipv6" if ":" in value else "ipv4", value) for value in ADDRESSES),
    *(("jwt", value) for value in JWTS),
    *(("pem", value) for value in PEMS),
    *(("cloud_key", value) for value in CLOUD_KEYS),
]

INNOCENT = [
    "", " ", "a", "request done", "GET", "/items", "200", "0", "-1", "3.14159", "1e308", "true", "None",
    "550e8400-e29b-41d4-a716-446655440000", "12345678-1234-1234-1234-123456789012",
    "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}", "2026-11-28T15:37:31.123456Z", "2026-11-28 15:37:31,123",
    "Sat Nov 28 15:37:31 UTC 2026", "28/Nov/2026:15:37:31 +0000", "20261128153731", "2026-11-28 15:37:31.123456+01:00",
    "1732808251", "1732808251123", "1732808251123456", "1732808251123456789", "15:37:31", "15:37:31.123456",
    "P1Y2M10DT2H30M", "1h 23m 45s", "1.2.3", "v1.2.3.4", "version 10.15.7.1", "1.2.3-beta.4+build.5678",
    "Python 3.11.7", "lodash@4.17.21", "fapilog==0.1.0", "package-1.2.3.4.tar.gz", "0.0.0.0:8080",
    "Chrome/120.0.0.0 Safari/537.36", "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "3d06882", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "ORD-2026-0001234", "order 1234567890",
    "order #100045678", "invoice 2026-000123", "A1B2C3D4", "SKU-99812-XL", "tracking 1Z999AA10123456784", "$1,234.56",
    "EUR 1.234.567,89", "price: 19.99", "12,345,678", "99.9%", "/var/log/app/2026/11/28/app.log",
    "C:\\Windows\\System32\\drivers\\etc\\hosts", "../src/fapilog/__init__.py:42", "src/app.py:120: in handler",
    'File "/app/main.py", line 42, in <module>', "s3://bucket/key/2026-11-28.parquet", "00:1A:2B:3C:4D:5E",
    "00-1a-2b-3c-4d-5e", "001a.2b3c.4d5e", "ISBN 978-3-16-148410-0", "9783161484100", "ISBN 0-306-40615-2",
    "4006381333931", "52.5200,13.4050", "52.520008, 13.404954", "lat=52.52 lon=13.405", "40\u00b0 26' 46\" N",
    "GET /items/42 HTTP/1.1", '"GET /items?page=2&size=50 HTTP/1.1" 200 1532', "GET /items/42 200 1.25ms",
    "200 512 1024 33", "INFO:     Application startup complete.",
    "INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
    "[2026-11-28 15:37:31 +0000] [4242] [INFO] Booting worker with pid: 4243",
    "nginx: the configuration file syntax is ok",
    "LOG:  checkpoint complete: wrote 3 buffers (0.0%); 0 WAL file(s) added",
    "duration: 0.123 ms  statement: SELECT 1", "kernel: [12345.678901] eth0: link up",
    "systemd[1]: Started user@1000.service", "sshd[2201]: Server listening on :: port 22.",
    "container 3f4e5d6c7b8a exited with code 137", "pod/web-7d4b9c6f5d-x2x8z", "deployment.apps/api scaled to 3",
    "npm WARN deprecated request@2.88.2", "tcp 0 0 [::1]:5432", "std::vector<int>::size()", "fab::cafe", "a::b",
    "icon@2x.png", "git@github.com:org/repo.git", "ssh://git@github.com/org/repo.git",
    "https://example.com:8080/path/x?id=42#top", "http://localhost:8000/health?verbose=1", "https://example.com/a@b",
    "@decorator", "user@localhost", "arn:aws:iam::123456789012:role/x", "author=Jane", "authors: Jane, Joe",
    "tokens=150", "max_tokens=4096", "token_type: bearer", "prompt_tokens: 12", "compass: north", "bypass=1",
    "keyboard: us", "monkey=banana", "password: required", "token is missing", "invalid password", "password=***",
    "password: [REDACTED]", "passed: 12, failed: 3", "key=value", "primary_key=42", "auth: ok", "the basic idea",
    "Basic authentication failed", "bearer of bad news", "Bearer authentication required",
    "SELECT * FROM t WHERE id = 42", "x = {'a': 1, 'b': [2, 3]}", "0.4242424242424242", "4111111111111112",
    "1234567890123456", "0000000000000000", "GB82WEST12345698765433", "000-12-3456", "666-12-3456", "123-00-4567",
    "BG123456C", "AB123456E", "999.999.999.999", "256.1.1.1", "1.3.6.1.4.1.311.21", "10.0.0.0/8", "255.255.255.0.1",
    "@@ -1,7 +1,9 @@", "+1500000 rows", "-5 +10", "UTC+01:00", "eyJ", "eyJ.eyJ", "AKIA", "ghp_", "sk-learn",
    "scikit-learn-is-a-package-name", "npm_config_registry", "hf_model", "disk-usage-report-of-the-day", "task-12",
    "re_compile", "worker-7f8d9c6b5-abcde", "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "connection reset by peer", "retry 3/5 in 1.5s",
    "size=1024 took=0.25", "\u65e5\u672c\u8a9e\u306e\u30ed\u30b0", "\u041f\u0440\u0438\u0432\u0435\u0442 42", "\ud800",
    "\x00", "\N{SLIGHTLY SMILING FACE}", "a" * 5000, "1 " * 2000, "-" * 3000, ":" * 6, "." * 500,
]  # fmt: skip
