"""Plays the program in the transcripts of docs/SIMULATORS.md."""
import sys


def expect(asked, text):
    if asked != text:
        sys.exit("asked   " + asked + "\nexpected " + text)


def play(transcript):
    for line in transcript:
        text = line[3:].rstrip("\n")
        if line.startswith("-> "):
            expect(sys.stdin.readline().rstrip("\n"), text)
        elif line.startswith("<- "):
            print(text)


def play_exec(transcript):
    """The process of one task: what stands below its request."""
    asked = open("params.json").read().rstrip("\n")
    lines = list(transcript)
    if "-> " + asked + "\n" not in lines:
        sys.exit("asked   " + asked)
    for line in lines[lines.index("-> " + asked + "\n") + 1:]:
        if line.startswith("<- "):
            with open("result.json", "w") as f:
                f.write(line[3:])
        elif line.startswith("!! "):
            sys.exit(line[3:].rstrip("\n"))
        else:
            break


(play_exec if sys.argv[2:] == ["exec"] else play)(open(sys.argv[1]))
