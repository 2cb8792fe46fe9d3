"""Plays the program in the transcript of docs/SIMULATORS.md."""
import sys

for line in open(sys.argv[1]):
    text = line[3:].rstrip("\n")
    if line.startswith("-> "):
        asked = sys.stdin.readline().rstrip("\n")
        if asked != text:
            sys.exit("asked   " + asked + "\nexpected " + text)
    elif line.startswith("<- "):
        print(text)
