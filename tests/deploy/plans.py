"""Plans for tests, made without an app."""

from __future__ import annotations

from tabur.deploy.plan import Plan, Program


def plan(
    *,
    directory: str = "/srv/shop",
    executable: tuple[str, ...] = ("/srv/shop/.venv/bin/tabur",),
    env_file: str | None = None,
    words: tuple[str, ...] = ("queue:work", "--queue=default"),
    log: str | None = None,
    user: str = "nobody",
    processes: int = 1,
    scheduler: Program | None = None,
    name: str = "shop",
) -> Plan:
    worker = Program(f"{name}-worker", f"Background jobs of {name}", words, processes=processes)
    return Plan(
        name=name,
        app="shop.main:jobs",
        directory=directory,
        executable=executable,
        user=user,
        env_file=env_file,
        workers=(worker,),
        scheduler=scheduler,
        log=log,
    )
