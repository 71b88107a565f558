"""Coverage-guided fuzzing of what SMPP peers send, with atheris: ``make fuzz SECONDS=600``.

It begins with the corpus, keeps in the directory that is named first what reaches code that nothing reached before, and
stops at the first input for which ``examine`` fails; libFuzzer then writes that input to a file. Flags are libFuzzer's.
"""

import sys

import atheris

with atheris.instrument_imports(include=["ringback.carriers.smpp", "tests.fuzz"]):
    from tests.fuzz.examine import examine


def main() -> None:
    """Fuzz until the flags say that it is enough."""
    atheris.Setup(sys.argv, examine)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
