#!/usr/bin/env python3
"""Writes Sources/Terminal/WidthTable.swift from the Unicode Character Database.

usage: tools/width-table.py UCD > Sources/Terminal/WidthTable.swift
UCD is a directory with the files of Unicode 15.0 (Debian package unicode-data).
"""
import os
import re
import sys

# Hangul medial vowels and final consonants join the leading consonant before them.
JAMO = [(0x1160, 0x11FF), (0xD7B0, 0xD7C6), (0xD7CB, 0xD7FB)]


def rows(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        for line in file:
            body = line.split("#")[0].strip()
            if body:
                yield [part.strip() for part in body.split(";")]


def points(directory, name, values):
    found = set()
    for row in rows(directory, name):
        if row[1] in values:
            first, _, last = row[0].partition("..")
            found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found


def ranges(found):
    result = []
    for point in sorted(found):
        if result and result[-1][1] == point - 1:
            result[-1][1] = point
        else:
            result.append([point, point])
    return result


def table(name, comment, found):
    print(f"  /// {comment}")
    numbers = [f"0x{value:X}" for pair in ranges(found) for value in pair]
    print(f"  static let {name}: [UInt32] = [")
    line = "   "
    for number in numbers:
        if len(line) + len(number) + 2 > 118:
            print(line)
            line = "   "
        line += f" {number},"
    print(line)
    print("  ]\n")


def main():
    directory = sys.argv[1]
    version = re.search(r"EastAsianWidth-(\S+)\.txt", open(os.path.join(directory, "EastAsianWidth.txt")).readline())[1]
    category = "extracted/DerivedGeneralCategory.txt"
    spacing = points(directory, category, {"Mc"})
    zero = points(directory, category, {"Mn", "Me", "Cf", "Zl", "Zp"}) | spacing
    zero |= points(directory, "DerivedCoreProperties.txt", {"Default_Ignorable_Code_Point"})
    for first, last in JAMO:
        zero.update(range(first, last + 1))
    # The soft hyphen and the signs that enclose the digits after them take a cell of their own.
    zero -= {0xAD} | points(directory, "PropList.txt", {"Prepended_Concatenation_Mark"})
    wide = points(directory, "EastAsianWidth.txt", {"W", "F"}) - zero
    emoji = {int(row[0].split()[0], 16) for row in rows(directory, "emoji/emoji-variation-sequences.txt")
             if row[0].endswith("FE0F")}
    print(f"// Made by tools/width-table.py from Unicode {version}; not to be edited.\n")
    print("/// How many cells a scalar takes, as sorted pairs of first and last. What is in no table takes one cell.")
    print("enum WidthTable {")
    table("zero", "Marks, format characters and the vowels and endings of Hangul syllables: no cell.", zero)
    table("spacingMarks", "Of those, the spacing marks: one cell after a base.", spacing)
    table("wide", "East Asian wide and full-width characters and most emoji: two cells.", wide)
    table("emojiStyle", "One cell, but two with U+FE0F behind them.", emoji - wide)
    table("pictographs", "What a zero-width joiner glues together.",
          points(directory, "emoji/emoji-data.txt", {"Extended_Pictographic"}))
    print("}")


main()
