"""Render a lock.

Pure functions to Rich renderables. Knows nothing of how a lock is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from raygen.core import plural
from raygen.recipe import Lock, LockDifference, LockedEngine
from raygen.views.tables import facts_table, one_line


def lock_view(
    path: str, lock: Lock, changes: Sequence[LockDifference], *, new: bool
) -> RenderableType:
    """Render what a lock pins, its changes since the former lock, and what can't be pinned.

    `path` is the lock's file, `changes` its differences from the former lock; a `new` lock has no
    former one.
    """
    facts = facts_table()
    options = f" ({lock.given.words})" if lock.given.words else ""
    facts.add_row("recipe", Text(f"{lock.recipe}{options}"))
    for pinned in lock.fetched.values():
        facts.add_row("fetched", Text(pinned))
    facts.add_row("plan", Text(lock.plan))
    facts.add_row("source", f"{plural(lock.source.rows, 'row')}, content {lock.source.content}")
    for name, engine in lock.engines.items():
        facts.add_row(f"engine {name}", _engine(engine))
    prompts = sum(len(node.prompts) for node in lock.nodes.values())
    facts.add_row("nodes", f"{len(lock.nodes)}, with {plural(prompts, 'template')}")
    packages = ", ".join(f"{name} {number}" for name, number in lock.packages.items())
    facts.add_row("packages", Text(packages))
    parts: list[RenderableType] = [one_line(Text(path, style="bold")), facts]
    if not new:
        title = plural(len(changes), "change") if changes else "no change"
        parts += [Text(), Text(f"{title} since it was locked before", style="dim")]
        parts += [_change(change) for change in changes]
    if hints := list(_hints(lock)):
        parts += [Text(), *hints]
    return Group(*parts)


def _engine(engine: LockedEngine) -> Text:
    style = "yellow" if engine.unresolved else "green"
    line = Text.assemble(engine.model, f" on {engine.backend}, ", (engine.state, style))
    if engine.base is not None:
        line.append(f"; made for {engine.base.model}, ").append(
            engine.base.state, "yellow" if engine.base.unresolved else "green"
        )
    return line


def _change(change: LockDifference) -> Text:
    return Text.assemble(
        f"  {change.key}: ", (change.locked, "red"), " → ", (change.found, "green")
    )


def _hints(lock: Lock) -> Iterator[Text]:
    for name, why in lock.unresolved.items():
        yield Text(f"engine {name}: the model is locked by its name alone; {why}", style="yellow")
    for name, engine in lock.engines.items():
        if engine.commit and engine.revision != engine.commit:
            yield Text(
                f"engine {name}: the hub may move on, and --locked would refuse then; "
                f"`revision: {engine.commit}` in the recipe keeps it",
                style="yellow",
            )
