#!/usr/bin/env python3
"""Prints strings and their widths according to PyPI wcwidth, an implementation that is not ours.

usage: tools/width-samples.py UCD [COUNT [SEED]] > Tests/TerminalTests/WidthSamples.swift
UCD is a directory with the files of Unicode 15.0 (Debian package unicode-data). Line: cells, code points.
"""
import os
import random
import sys
import unicodedata

import wcwidth


def assigned(directory):
    found = set()
    with open(os.path.join(directory, "DerivedAge.txt"), encoding="utf-8") as file:
        for line in file:
            row = line.split("#")[0].split(";")
            if len(row) > 1:
                first, _, last = row[0].strip().partition("..")
                found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found


def emoji(directory):
    with open(os.path.join(directory, "emoji/emoji-test.txt"), encoding="utf-8") as file:
        rows = [line.split(";")[0].split() for line in file if "; fully-qualified" in line]
    return ["".join(chr(int(point, 16)) for point in row) for row in rows]


# Without the trigrams, which became wide after Unicode 15.
BLOCKS = [(0x20, 0x7E), (0xA1, 0x24F), (0x370, 0x52F), (0x5D0, 0x5EA), (0x620, 0x64A), (0x904, 0x939), (0xE01, 0xE30),
          (0x10A0, 0x10FF), (0x1E00, 0x1EFF), (0x2010, 0x2027), (0x20A0, 0x20C0), (0x2190, 0x23FF), (0x2500, 0x262F),
          (0x2638, 0x2689), (0x2690, 0x27BF),
          (0x3001, 0x303E), (0x3041, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF01, 0xFFEE), (0x1D400, 0x1D7FF),
          (0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1FAFF), (0x20000, 0x2A6DF)]
MARKS = [(0x300, 0x34E), (0x350, 0x36F), (0x93E, 0x94C), (0xE31, 0xE31), (0xE34, 0xE3A), (0x64B, 0x652),
         (0x20D0, 0x20DC)]


def main():
    directory = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    random.seed(int(sys.argv[3]) if len(sys.argv) > 3 else 15)
    known, pictures = assigned(directory), emoji(directory)
    print(f"// Made by tools/width-samples.py with wcwidth {wcwidth.__version__}; not to be edited.\n")
    print('let widthSamples = """')
    made = 0
    while made < count:
        text = ""
        for _ in range(random.randint(1, 12)):
            kind = random.random()
            if kind < 0.15:
                text += random.choice(pictures)
                continue
            first, last = random.choice(BLOCKS)
            point = random.randint(first, last)
            if point not in known or unicodedata.category(chr(point)) in ("Cn", "Cf", "Co"):
                continue
            text += chr(point)
            if kind > 0.85:
                first, last = random.choice(MARKS)
                text += chr(random.randint(first, last))
        cells = wcwidth.wcswidth(text)
        if text and cells >= 0:
            print(f"  {cells} {' '.join(f'{ord(point):X}' for point in text)}")
            made += 1
    print('  """')


main()
