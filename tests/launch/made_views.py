"""A view with something of every form."""

import numpy as np

from lukasa.launch.views.view import Film, Gradients, Links, Track, View, Words

HOSTILE = "</script><img src=x onerror='window.harmed=1'><b>bold</b>"
"""What no page may take for more than text."""


def made_view(steps=12, slots=8, word_size=4, seed=0, **changes):
    """A tape: step t writes slot t modulo the slots, and reads the one of two steps ago."""
    random = np.random.default_rng(seed)
    write, read = np.zeros((2, steps, slots))
    write[np.arange(steps), np.arange(steps) % slots] = 1
    read[np.arange(steps), (np.arange(steps) - 2) % slots] = 0.75
    words = np.zeros((steps, slots, word_size))
    for step in range(steps):
        words[step] = words[max(0, step - 1)]
        words[step, step % slots] = random.normal(size=word_size)
    names = [str(slot) for slot in range(slots)]
    chosen = [step for step in (steps // 2, steps - 1) if step < 512]
    norms = random.random((len(chosen), steps)) * (np.arange(steps) <= np.array(chosen).reshape(-1, 1))
    parts = {
        "title": "a tape",
        "steps": steps,
        "subtitle": HOSTILE,
        "tracks": [
            Track("write head", write, names, row="slot"),
            Track("read head", read, names, colours="Oranges", row="slot"),
            Track("gates", random.random((steps, 2)), ["first", HOSTILE]),
            Track("reward", random.normal(size=(steps, 1)), ["reward"], (-4, 4), form="bars"),
            Track("card", np.arange(steps)[:, None] % 3, ["card"], (0, 2), form="symbols", symbols=["a", "b", HOSTILE]),
        ],
        "films": [Film("seen", np.tile((np.arange(steps, dtype=np.uint8) % 5 * 50)[:, None, None], (1, 6, 9)))],
        "texts": {"said": [f"{HOSTILE} {step}" for step in range(steps)]},
        "words": Words(names, words),
        "links": Links(names, np.tile((np.arange(slots) + 1) % slots, (steps, 1)), np.full((steps, slots), 0.5)),
        "gradients": Gradients(chosen, {"all ways": norms, "through the memory alone": norms / 2}, "it"),
    }
    return View(**(parts | changes))
