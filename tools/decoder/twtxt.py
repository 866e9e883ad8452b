"""Reads twtxt feeds strictly, by the rules that `tl import twtxt` states, with nothing of its code.

A feed is UTF-8 split at LF; one CR before the LF belongs to the line end, any other CR is text. A line is empty, a comment
(begins with `#`), a post (RFC 3339 date-time, TAB, text), or malformed. A line of white space alone is malformed. The text
is whatever follows the first TAB, white space and nothing included, up to the 8,192 bytes of a post. Fractions of a second
below a millisecond are cut off.
"""
import datetime
import gzip
import re

DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)
TEXT_BYTES = 8192
EPOCH = datetime.datetime(1970, 1, 1)
CYCLE_DAYS = 400 * 365 + 97  # the calendar repeats after so many days
FIRST_OF_YEAR_1 = -62_135_596_800_000


def milliseconds(text):
    """Milliseconds since 1970 of an RFC 3339 §5.6 date-time, or None. A leap second counts as the second after it."""
    match = DATE_TIME.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    if hour > 23 or minute > 59 or second > 60:
        return None
    offset = 0
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            return None
        offset = (int(offset_hours) * 60 + int(offset_minutes)) * (1 if sign == "+" else -1)
    # The year 0 is legal in RFC 3339 and unknown to datetime; it lies 400 years before the year 400, whose calendar it has.
    try:
        date = datetime.datetime(year or 400, month, day)
    except ValueError:
        return None
    days = (date - EPOCH).days - (CYCLE_DAYS if year == 0 else 0)
    seconds = days * 86400 + hour * 3600 + (minute - offset) * 60 + second
    return seconds * 1000 + int((fraction or "0")[:3].ljust(3, "0"))


def rfc3339(value):
    """The form in which tl prints a time: UTC, with milliseconds."""
    if value < FIRST_OF_YEAR_1:
        return "0000" + rfc3339(value + CYCLE_DAYS * 86_400_000)[4:]
    moment = EPOCH + datetime.timedelta(seconds=value // 1000)
    return moment.isoformat(timespec="seconds") + ".%03dZ" % (value % 1000)


class Feed:
    """posts: (time in ms, line number, text), in the order of the file; malformed: (line number, reason)."""

    def __init__(self, data):
        self.posts, self.malformed, self.comments, self.blank = [], [], [], 0
        lines = data.split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        for number, line in enumerate(lines, 1):
            self._read(number, line[:-1] if line.endswith(b"\r") else line)

    def _read(self, number, line):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            self.malformed.append((number, "not UTF-8"))
            return
        if text == "":
            self.blank += 1
        elif text.startswith("#"):
            self.comments.append((number, text))
        elif not text.strip():
            self.malformed.append((number, "white space only"))
        else:
            date, tab, words = text.partition("\t")
            time = milliseconds(date)
            if not tab:
                self.malformed.append((number, "no TAB"))
            elif time is None:
                self.malformed.append((number, "not an RFC 3339 date-time"))
            elif len(words.encode("utf-8")) > TEXT_BYTES:
                self.malformed.append((number, "text over 8,192 bytes"))
            else:
                self.posts.append((time, number, words))

    def in_order(self):
        """As they are appended: by (time, line number)."""
        return sorted(self.posts, key=lambda post: post[:2])


def read(path):
    with (gzip.open if str(path).endswith(".gz") else open)(path, "rb") as file:
        return Feed(file.read())
