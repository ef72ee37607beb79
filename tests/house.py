"""The plan of the house: which module imports which, and what that costs to read.

``python -m tests.house [ROOT]`` prints the figures of a tree; test_rooms.py holds this one to its plan.
"""

import ast
import statistics
import sys
from collections import defaultdict
from pathlib import Path

PACKAGES = ("ground", "memory", "tasks", "envs", "agents", "launch", "benchmarks")


def modules(root, packages=PACKAGES):
    """Every module by its import name, with its file."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            name = ".".join(("lukasa", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
            found[name] = path
    return found


def imports(path, known):
    """The modules that a file imports anywhere: also inside functions and for type checks alone."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return found & set(known)


def arrows(root, packages=PACKAGES):
    """For each module the modules that it imports."""
    known = modules(root, packages)
    return {name: imports(path, known) - {name} for name, path in known.items()}


def circles(graph):
    """Groups of nodes that lead to one another, each of at least two (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = set()
            while node not in group:
                group.add(stack.pop())
            if len(group) > 1:
                found.append(group)

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def room(name, deepest=4):
    """The folder of a module of launch; a module beside the rooms is a room of its own."""
    parts = name.split(".")
    return ".".join(parts[: min(len(parts) - 1, deepest)]) if len(parts) > 3 else name


def between_rooms(graph):
    """Which room imports which."""
    found = defaultdict(set)
    for name, others in graph.items():
        found[room(name)] |= {room(other) for other in others} - {room(name), "lukasa.launch"}
    return dict(found)


def floors(graph):
    """How many floors the nodes of a graph without circles stand on."""
    height = {}

    def measure(node):
        if node not in height:
            height[node] = 1 + max((measure(other) for other in graph.get(node, ())), default=0)
        return height[node]

    return max(map(measure, graph))


def figures(root):
    """Lines about the tree."""
    graph = arrows(root, ("launch",))
    graph.pop("lukasa.launch", None)
    graph = {name: others - {"lukasa.launch"} for name, others in graph.items()}
    rooms = between_rooms(graph)
    yield f"launch: {len(graph)} modules, {sum(map(len, graph.values()))} imports between them"
    yield f"  circles of modules: {[sorted(group) for group in circles(graph)] or 'none'}"
    inside, between = circles(rooms), sum(map(len, rooms.values()))
    yield f"  {len(rooms)} rooms, {between} arrows, circles {[sorted(one) for one in inside] or 'none'}"
    if not inside:
        yield f"  {floors(rooms)} floors"
    lengths, functions = defaultdict(list), []
    for name, path in modules(root).items():
        text = path.read_text(encoding="utf-8")
        lengths[name.split(".")[1]].append(len(text.splitlines()))
        nodes = ast.walk(ast.parse(text))
        functions += [
            n.end_lineno - n.lineno + 1 for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    for package, files in lengths.items():
        yield f"{package}: {len(files)} files, {sum(files):,} lines"
    for what, sizes in (("file", [size for files in lengths.values() for size in files]), ("function", functions)):
        tenth = statistics.quantiles(sizes, n=10)[-1]
        yield f"lines of a {what}: median {statistics.median(sizes):.0f}, 90 % below {tenth:.0f}, most {max(sizes)}"


if __name__ == "__main__":
    print("\n".join(figures(Path(sys.argv[1] if len(sys.argv) > 1 else "."))))
