#!/usr/bin/env python3
"""Tests of the independent reader itself: published vectors, and what it has to refuse. Ends with "N passed, N failed"."""
import csv
import os
import sys

import cbor
import codes
import twtxt

passed = failed = 0


def check(name, found, wanted):
    global passed, failed
    if found == wanted:
        passed += 1
    else:
        failed += 1
        print("%s: %r, not %r" % (name, found, wanted))


def refused(name, call, *arguments):
    global passed, failed
    try:
        value = call(*arguments)
    except ValueError:
        passed += 1
    else:
        failed += 1
        print("%s: accepted as %r" % (name, value))


# RFC 8949 appendix A
for encoded, value in (
    ("00", 0), ("17", 23), ("1818", 24), ("1903e8", 1000), ("1a000f4240", 1000000), ("1bffffffffffffffff", 2**64 - 1),
    ("20", -1), ("3903e7", -1000), ("3bffffffffffffffff", -(2**64)), ("f4", False), ("f5", True), ("f6", None),
    ("40", b""), ("4401020304", b"\1\2\3\4"), ("60", ""), ("62c3bc", "ü"), ("64f0908591", "𐅑"), ("80", []),
    ("8301820203820405", [1, [2, 3], [4, 5]]), ("a201020304", {1: 2, 3: 4}), ("a26161016162820203", {"a": 1, "b": [2, 3]}),
):
    check("parse " + encoded, cbor.parse(bytes.fromhex(encoded)), value)
    check("encode " + encoded, cbor.encode(value).hex(), encoded)
check("cbor 32 deep", cbor.parse(bytes.fromhex("81" * 32 + "00")) is not None, True)
refused("cbor 33 deep", cbor.parse, bytes.fromhex("81" * 33 + "00"))
for encoded in (
    "", "1817", "190017", "1a00000017", "1b0000000000000017", "9f00ff", "5f4100ff", "c000", "f90000", "f7", "f820",
    "a201000100", "a202000100", "a18000", "61ff", "82", "4201", "0000", "1f", "5b7fffffffffffffff", "81" * 40 + "00",
):
    refused("cbor " + encoded, cbor.parse, bytes.fromhex(encoded))
check("keys of two types", cbor.parse(bytes.fromhex("a20100f500")), {1: 0, ("bool", True): 0})

# RFC 4648 §10
for text, code in (("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foob", "mzxw6yq"), ("fooba", "mzxw6ytb"),
                   ("foobar", "mzxw6ytboi")):
    check("base32 " + text, codes.base32(text.encode()), code)
    check("unbase32 " + code, codes.unbase32(code.upper()), text.encode())
for code in ("m", "mz", "mzx", "mzxw6ytbo", "m1", "mzxw6ytboj"):
    refused("unbase32 " + code, codes.unbase32, code)

for value, encoded in ((0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**64 - 1, "ffffffffffffffffff01")):
    check("varint %d" % value, codes.varint(value).hex(), encoded)
    check("varint " + encoded, codes.Reader(bytes.fromhex(encoded)).varint(), value)
for encoded in ("", "80", "8000", "ffffffffffffffffff02", "ffffffffffffffffffff01"):
    refused("varint " + encoded, codes.Reader(bytes.fromhex(encoded)).varint)
for value, encoded in ((0, "00"), (-1, "01"), (1, "02"), (-2, "03"), (-(2**63), "ffffffffffffffffff01")):
    check("zigzag " + encoded, codes.Reader(bytes.fromhex(encoded)).zigzag(), value)

# RFC 7693 gives BLAKE2b-512; this is the 256-bit digest of the empty message as libsodium and b2sum -l 256 print it.
check("BLAKE2b-256", codes.blake2b(b"").hex(), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8")

# RFC 8032 §7.1, TEST 2
KEY = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                          "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
check("Ed25519", codes.verify(KEY, SIGNATURE, b"\x72"), True)
check("Ed25519, other message", codes.verify(KEY, SIGNATURE, b"\x73"), False)
check("Ed25519, with a domain", codes.verify(KEY, SIGNATURE, b"\x72", "event"), False)
MALLEABLE = SIGNATURE[:32] + (int.from_bytes(SIGNATURE[32:], "little") + codes.ORDER).to_bytes(32, "little")
check("Ed25519, S above the order", codes.verify(KEY, MALLEABLE, b"\x72"), False)

for text, time in (
    ("1970-01-01T00:00:00Z", 0), ("1985-04-12T23:20:50.52Z", 482196050520), ("1996-12-19T16:39:57-08:00", 851042397000),
    ("1990-12-31T23:59:60Z", 662688000000), ("2024-02-29t12:00:00.123987z", 1709208000123),
    ("2024-02-29 12:00:00+00:00", 1709208000000), ("0000-01-01T00:00:00Z", -62167219200000),
    ("2024-13-01T00:00:00Z", None), ("2023-02-29T00:00:00Z", None), ("2024-01-01T24:00:00Z", None),
    ("2024-01-01T00:00:00", None), ("2024-01-01T00:00:00:05:00", None), ("2024-01-01", None), (" 2024-01-01T00:00:00Z", None),
    ("2024-01-01T00:00:00.Z", None), ("2024-01-01T00:00:00+0100", None), ("٢٠٢٤-01-01T00:00:00Z", None),
):
    check("time " + text, twtxt.milliseconds(text), time)
for time, text in ((0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (1709208000123, "2024-02-29T12:00:00.123Z"),
                   (-62167219200000, "0000-01-01T00:00:00.000Z"), (253402300799999, "9999-12-31T23:59:59.999Z")):
    check("rfc3339 %d" % time, twtxt.rfc3339(time), text)

feed = twtxt.Feed(
    b"# nick = ann\n"
    b"2024-01-02T00:00:00Z\tsecond\r\n"
    b"\r\n\n   \n"
    b"2024-01-01T00:00:00Z\tfirst \r of two\n"
    b"2024-01-02T00:00:00Z\tsecond\n"
    b"2024-01-01T00:00:00Z no tab\n"
    b"2024-01-01T00:00:00\tno offset\n"
    b"2024-01-03T00:00:00Z\tbad \xff\n"
    b"2024-01-03T00:00:00Z\t" + b"x" * 8193 + b"\n"
    b"2024-01-03T00:00:00.9999+01:00\tthird\twith a tab\xe2\x80\xa8")
check("feed", feed.in_order(), [
    (1704067200000, 6, "first \r of two"), (1704153600000, 2, "second"), (1704153600000, 7, "second"),
    (1704236400999, 12, "third\twith a tab\u2028")])
check("malformed", [line for line, _ in feed.malformed], [5, 8, 9, 10, 11])
check("others", (len(feed.comments), feed.blank), (1, 2))

# The real feeds, where they are at hand, against the counts of another strict parser.
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/data/twtxt")
if os.path.exists(os.path.join(folder, "INDEX.tsv")):
    with open(os.path.join(folder, "INDEX.tsv"), encoding="utf-8") as index:
        for row in csv.DictReader(index, delimiter="\t"):
            real = twtxt.read(os.path.join(folder, row["file"]))
            check(row["file"], (len(real.posts), len(real.malformed), len(real.comments), real.blank),
                  (int(row["posts"]), int(row["malformed"]), int(row["follow_lines"]) + int(row["other_comment_lines"]),
                   int(row["blank_lines"])))

print("%d passed, %d failed" % (passed, failed))
sys.exit(1 if failed else 0)
