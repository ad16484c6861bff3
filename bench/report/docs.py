"""The report of a run: for the terminal, and for docs/bench.md with its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.report.kept import ROOT, Kept
from bench.report.plot import BARE, OURS, RIVAL, Bar, Group, bars, columns
from bench.report.rows import ROWS, Row
from bench.report.tables import failures, lost, number, store_table

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
PICTURES = {
    "bench-drain": ("drain.async.1x200", "No-op jobs drained by one worker process, a second"),
    "bench-dispatch": ("dispatch.one", "Jobs dispatched one by one, a second"),
    "bench-pickup": ("pickup.p50", "Pick-up by an idle worker, p50 in ms (shorter is better)"),
}


def text(kept: Kept) -> str:
    """All tables, what is lost, what failed."""
    return "\n\n".join(_sections(kept, pictures=[])) + "\n"


def write_docs(kept: Kept, docs: Path = ROOT / "docs") -> None:
    """Writes the pictures, and replaces the block between the two marks in docs/bench.md."""
    folder = docs / "images"
    folder.mkdir(exist_ok=True)
    written = []
    for name, (title, content) in _pictures(kept).items():
        (folder / f"{name}.svg").write_text(content)
        written.append(f"![{title}](images/{name}.svg)")
    path = docs / "bench.md"
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    block = "\n\n".join(_sections(kept, pictures=written))
    path.write_text(f"{before}{BEGIN}\n{block}\n{END}{after}")


def _sections(kept: Kept, *, pictures: list[str]) -> Iterator[str]:
    machine, plan = kept.machine, kept.plan
    clients = ", ".join(f"{name} {found}" for name, found in machine["clients"].items())
    if plan["share"] < 1:
        yield "A quick run, of a fraction of the jobs: it shows that the bench works, no speed."
    yield (
        f"Medians of {plan['repetitions']}, {machine['measured']}, commit {machine['commit']}:"
        f" {machine['cores']} cores ({machine['processor']}) shared by server and worker,"
        f" Python {machine['python']}, {clients}; load before: {machine['load'][0]}."
    )
    yield from pictures
    for store, about in kept.stores.items():
        yield f"### {about['title']} {about['version']}"
        yield f"Durability: {about['durability']}."
        rivals = kept.rivals.get(store, {})
        if rivals:
            yield "\n".join(f"- **{name}** ({words})" for name, words in rivals.items())
        yield store_table(kept, store)
    losses = lost(kept)
    if losses:
        yield "### Where a rival is better, or a target is missed"
        yield "\n".join(losses)
    failed = list(failures(kept))
    if failed:
        yield "### What could not be measured"
        yield "\n".join(failed)


def _pictures(kept: Kept) -> dict[str, tuple[str, str]]:
    """By name: title, and the picture."""
    found = {}
    for name, (key, title) in PICTURES.items():
        row = next(row for row in ROWS if row.key == key)
        groups = [
            Group(title=f"{about['title']} {about['version']}", bars=_bars(kept, store, row))
            for store, about in kept.stores.items()
        ]
        found[name] = (title, bars(title, [group for group in groups if group.bars]))
    for key, rates in kept.figures.series.items():
        store, _, contestant = key.partition(".sustained.")
        if rates and store in kept.stores:
            where = kept.stores[store]["title"]
            title = f"{contestant} on {where}: dispatch and drain at once, jobs a second"
            foot = f"{kept.plan['minutes']:g} minutes in {len(rates)} equal parts"
            found[f"bench-sustained-{store}-{contestant}"] = (
                title,
                columns(title, rates, foot=foot),
            )
    return found


def _bars(kept: Kept, store: str, row: Row) -> list[Bar]:
    """Tabur, then the rivals from the best on; the bare loop where it has one."""
    names = {*kept.figures.contestants(store, row.beside or row.key), "tabur"}
    values = {
        name: value for name in names if (value := row.of(kept.figures, store, name)) is not None
    }
    order = sorted(values, key=lambda name: (name != "tabur", name == "bare", -values[name]))
    return [
        Bar(
            label={"tabur": "Tabur", "bare": "bare loop"}.get(name, name),
            value=values[name],
            text=f"{number(values[name])} {row.unit}",
            kind={"tabur": OURS, "bare": BARE}.get(name, RIVAL),
        )
        for name in order
    ]
