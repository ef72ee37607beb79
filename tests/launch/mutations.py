"""Good input with mistakes in it: words, JSON values and bytes mutated at random, and what became of them."""

import contextlib
import io
import json
from collections import Counter
from pathlib import Path

from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main

TEXT = """
    0 -1 1 2.5 1e3 1e400 nan inf -inf None null true False '' --x -x = a=b [1 [1,2] {} {"a":1} "1 ' \0 é 🙂 ../.. / ~
    99999999999999999999 1_0 0x10 gru ntm copy TMaze-L10-v0 --steps --core --env --memory.slots --sampler.bits --out
    --resume --help --env-settings --options.core-options --curriculum.lessons --seed=-1 --lr= --= -- - %s {0} *
    --resume=true lr=1,2 lr= lr=uniform(1,2) --grid
"""
WORDS = [*TEXT.split(), ""]
VALUES = (
    None, True, False, 0, -1, 3, 2.5, "x", "", [], [1, 2], {}, {"a": 1}, "ntm", "copy", 1e300, [[1]], {"a": {"b": []}},
    10**30, float("nan"), "../..", "\0", "é\n",
)  # fmt: skip


def mutated_words(words, rng):
    """Good words with some of them dropped, doubled, swapped, replaced, cut or joined."""
    words = list(words)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        where = rng.randrange(len(words)) if words else 0
        kind = rng.randrange(7)
        if kind == 0 and words:
            del words[where]
        elif kind == 1 and words:
            words.insert(where, words[where])
        elif kind == 2 and len(words) > 1:
            other = rng.randrange(len(words))
            words[where], words[other] = words[other], words[where]
        elif kind == 3 and words and words[where]:
            place = rng.randrange(len(words[where]))
            words[where] = words[where][:place] + rng.choice("abz-_.=0 \t") + words[where][place + 1 :]
        elif kind == 4 and words and words[where]:
            words[where] = words[where][: rng.randrange(len(words[where]))]
        elif kind == 5 and words:
            words[where] = rng.choice(WORDS)
        else:
            words.insert(where, rng.choice(WORDS))
    return words


def mutated_value(value, rng):
    """A JSON or YAML value with one or two of its parts replaced, dropped, renamed, doubled or added."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2))):
        place = value
        while True:
            parts = place.values() if isinstance(place, dict) else place
            inner = [part for part in parts if isinstance(part, dict | list) and part]
            if not inner or rng.random() < 0.25:
                break
            place = rng.choice(inner)
        (_mutate_dict if isinstance(place, dict) else _mutate_list)(place, rng)
    return value


def _mutate_dict(place, rng):
    key = rng.choice(list(place) or ["new"])
    kind = rng.randrange(5)
    if kind == 0:
        place.pop(key, None)
    elif kind == 1:
        place[rng.choice(("new", key + "x", key.upper(), key[:-1]))] = place.pop(key, None)
    elif kind == 2 and isinstance(place.get(key), str) and place[key]:
        text, cut = place[key], rng.randrange(len(place[key]))
        place[key] = text[:cut] + rng.choice(("", "x", " ", ":")) + text[cut + 1 :]
    elif kind == 3 and isinstance(place.get(key), int | float):
        place[key] = rng.choice((-place[key], place[key] * 2, place[key] + 1, str(place[key]), place[key] / 3))
    else:
        place[key] = rng.choice(VALUES)


def _mutate_list(place, rng):
    where = rng.randrange(len(place))
    kind = rng.randrange(4)
    if kind == 0:
        del place[where]
    elif kind == 1:
        place.insert(where, place[where])
    else:
        place[where] = rng.choice(VALUES)


def mutated_bytes(content, rng):
    """Bytes cut short, with some of them changed, taken out, doubled or put in."""
    content = bytearray(content)
    kind = rng.randrange(7)
    where = rng.randrange(len(content)) if content else 0
    if kind == 0:
        return bytes(content[:where])
    if kind == 1 and content:
        for _ in range(rng.choice((1, 1, 8))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        return bytes(content)
    if kind == 2:
        del content[where : where + rng.choice((1, 10, 1000))]
    elif kind == 3:
        content[where:where] = content[where : where + rng.choice((1, 10, 1000))]
    elif kind == 4:
        content[where:where] = rng.choice((b"\0", b"\xff\xfe", b"\n", b"\t", b"NaN", b"{", b"\xc3\xa9", b","))
    elif kind == 5:
        lines = bytes(content).split(b"\n")
        one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
        return b"\n".join(lines)
    else:
        return rng.choice((b"", b"\n", b"null", b"[]", b"{}", b"PK\x03\x04", bytes(1000)))
    return bytes(content)


def verdict(do, folder):
    """What became of a call: "right", "help", or the sentence; anything else is raised."""
    before = snapshot(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            do()
    except SystemExit as end:
        if end.code != 0:
            raise
        found = "help"
    except Exception as error:
        if not isinstance(error, UserError):
            raise
        found = is_sentence(" ".join(str(error).split()))
    else:
        found = "right"
    assert snapshot(folder) == before, "something was written"
    return found


def verdict_of_command(argv, folder, may_write=()):
    """What became of a command line that is run: "right", or the sentence of exit 2; anything else is raised."""
    out, err = io.StringIO(), io.StringIO()
    before = snapshot(folder)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(argv)
    after = snapshot(folder)
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    assert not [name for name in changed if code or not name.startswith(tuple(may_write))], f"written: {changed}"
    if code == 0:
        return "right"
    assert code == 2, (code, err.getvalue())
    assert out.getvalue() == "", out.getvalue()
    last = err.getvalue().rstrip("\n").split("\n")[-1]
    assert last.startswith("lukasa: "), err.getvalue()
    return is_sentence(last.removeprefix("lukasa: "))


def is_sentence(said):
    """The sentence, which is neither empty nor a page long nor a traceback."""
    assert 8 < len(said) < 1200, said
    assert "Traceback" not in said
    assert "\n" not in said
    return said


def snapshot(folder):
    """What a folder holds, all the way down."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        found[path.relative_to(folder).as_posix()] = None if path.is_dir() else path.read_bytes()
    return found


class Campaign:
    """Counts what became of mutated inputs.

    Attributes:
        found: how many were right, printed help, or ended with a sentence.
        broken: those that did anything else, with what they raised.
    """

    def __init__(self):
        self.found, self.broken = Counter(), []

    @property
    def tried(self):
        """How many there were."""
        return sum(self.found.values()) + len(self.broken)

    def attempt(self, shown, do):
        """Try one input; ``do`` returns a verdict."""
        try:
            said = do()
        except Exception as error:
            self.broken.append((shown, f"{type(error).__name__}: {str(error)[:400]}"))
        else:
            self.found[said if said in ("right", "help") else "sentence"] += 1

    def report(self, what):
        """Print it for people, each failure of a kind once."""
        print(what, dict(self.found), "broken", len(self.broken), flush=True)
        seen = Counter()
        for shown, error in self.broken:
            seen[error[:70]] += 1
            if seen[error[:70]] <= 2:
                print("   ", str(shown)[:1500], "->", error, flush=True)
        print("   ", dict(seen))
