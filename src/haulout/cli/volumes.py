"""`haulout volumes`: add, list, status, remove, rebalance, detach."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import click

from haulout.cli import exits, screen
from haulout.cli.session import Session
from haulout.cli.verb import Verb, write_exits

if TYPE_CHECKING:
    from haulout.vault.values import VolumeReport, VolumesRebalanced, VolumesReport

_MIB = 1024 * 1024
_MOST_DRAWN = 40
_HELD, _LACKING = "■", "·"


class _Volumes(click.Group):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Examples"):
            for line in ("add /mnt/one /mnt/two s3://bucket/haulout", "status", "list --json"):
                formatter.write(f"{'':{formatter.current_indent}}haulout volumes {line}\n")
        codes = (exits.OK, exits.USAGE, exits.NOT_FOUND, exits.CONFLICT, exits.STORAGE)
        write_exits(formatter, [*codes, exits.INTERRUPTED])


@click.group("volumes", cls=_Volumes)
def command() -> None:
    """Folders and buckets that keep the vault's bytes, coded so that some may be lost.

    Every blob is cut into shards, 10 where nothing else is said, and spread over the volumes. What
    they are given is sealed and padded; `haulout sync` sends what is new.
    """


@command.command(
    "add",
    cls=Verb,
    also=(exits.CONFLICT,),
    examples=(
        "haulout volumes add /mnt/one /mnt/two /mnt/three",
        "haulout volumes add s3://my-bucket/haulout",
    ),
)
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@click.option("--shards", type=int, metavar="N", help="Of every blob; for the first volumes only.")
@click.pass_obj
def add(session: Session, urls: tuple[str, ...], shards: int | None) -> None:
    """Make folders and buckets volumes; shards of what is there go to new ones.

    URL is a path, or a URL of file, s3, gs or az. Each place is empty, or was made for this vault.
    """
    from haulout.operations import AddVolumes

    places = tuple(session.place(url) for url in urls)
    with session.opened() as vault, session.progress("Carrying over", unit="blobs") as report:
        found = session.run(vault, AddVolumes(urls=places, shards=shards), progress=report)

    def show() -> None:
        _layout(found)
        screen.note("`haulout sync` sends what the vault holds.")

    session.answer(found, show)


@command.command("list", cls=Verb, also=(exits.NOT_FOUND,), examples=("haulout volumes list",))
@click.pass_obj
def list_(session: Session) -> None:
    """The volumes, what may be lost of them and what they cost; asks none of them."""
    from haulout.operations import GetVolumes

    with session.opened() as vault:
        found = session.run(vault, GetVolumes())
    session.answer(found, lambda: _layout(found))


@command.command("status", cls=Verb, also=(exits.NOT_FOUND,), examples=("haulout volumes status",))
@click.pass_obj
def status(session: Session) -> int:
    """Ask each volume what it holds; exits with 7 where something is missing."""
    from haulout.operations import GetVolumes

    with session.opened() as vault:
        found = session.run(vault, GetVolumes(ask=True))
    session.answer(found, lambda: _status(found))
    whole = not (found.degraded or found.out_of_reach or found.lost)
    return exits.OK if whole and all(one.reachable for one in found.volumes) else exits.STORAGE


@command.command(
    "remove",
    cls=Verb,
    also=(exits.NOT_FOUND,),
    examples=("haulout volumes remove /mnt/two", "haulout volumes remove 1f9a03bc --give-up"),
)
@click.argument("volume")
@click.option("--give-up", is_flag=True, help="Though it is gone and may hold the last of a blob.")
@click.pass_obj
def remove(session: Session, volume: str, give_up: bool) -> None:
    """Take VOLUME out; its shards go to the others first, rebuilt where it is gone."""
    from haulout.operations import RemoveVolume

    with session.opened() as vault, session.progress("Carrying over", unit="blobs") as report:
        operation = RemoveVolume(volume=session.place(volume), give_up=give_up)
        found = session.run(vault, operation, progress=report)
    session.answer(found, lambda: _rebalanced(found))


@command.command(
    "rebalance", cls=Verb, also=(exits.NOT_FOUND,), examples=("haulout volumes rebalance",)
)
@click.pass_obj
def rebalance(session: Session) -> None:
    """Finish a change that was cut short, or spread shards evenly again."""
    from haulout.operations import Rebalance

    with session.opened() as vault, session.progress("Carrying over", unit="blobs") as report:
        found = session.run(vault, Rebalance(), progress=report)
    session.answer(found, lambda: _rebalanced(found))


@command.command("detach", cls=Verb, also=(exits.NOT_FOUND,), examples=("haulout volumes detach",))
@click.pass_obj
def detach(session: Session) -> None:
    """Let all volumes go. What they hold stays there; the vault is on this disk alone then."""
    from haulout.operations import DetachVolumes

    with session.opened() as vault:
        found = session.run(vault, DetachVolumes())

    def show() -> None:
        screen.say("The vault has no volumes any more. What they hold stays there.")

    session.answer(found, show)


# ---------------------------------------------------------------------- what is shown


def _layout(found: VolumesReport) -> None:
    rows = [
        (one.id, str(len(one.shards)), _numbers(one.shards), screen.place_of_url(one.url))
        for one in _in_order(found)
    ]
    columns = [
        screen.Column("id", style="cyan"),
        screen.Column("shards", right=True),
        screen.Column("which"),
        screen.Column("place", wraps=True),
    ]
    screen.table(columns, rows)
    if screen.on_terminal():
        for line in _promises(found):
            screen.say(line)
    for warning in found.warnings:
        screen.warn(warning)
    if found.rebalancing:
        screen.warn("A change of the volumes was cut short: run `haulout volumes rebalance`.")


def _in_order(found: VolumesReport) -> list[VolumeReport]:
    """The volumes by where they are; their IDs are random to a person."""
    return sorted(found.volumes, key=lambda one: one.url)


def _promises(found: VolumesReport) -> list[str]:
    """What the layout survives and costs, in sentences."""
    total, lost = len(found.volumes), found.volumes_lost
    if lost == 0:
        survives = "No volume may be lost"
    elif total == 1:
        survives = "The volume may not be lost"
    else:
        survives = f"Any {lost} of the {total} volumes may be lost"
    shards = f"any {found.shards_lost} of the {found.n_shards} shards may be lost, rot or lie"
    small = screen.size(found.small_blob_bytes)
    return [
        f"{survives}; {shards}.",
        f"1 MiB takes {found.factor:.2f} MiB in all; 300 bytes take {small}.",
    ]


def _status(found: VolumesReport) -> None:
    rows = [
        (
            one.id,
            "" if one.held is None else f"{one.held:,}/{one.expected:,}",
            "" if one.bytes is None else screen.size(one.bytes),
            "" if one.latency_ms is None else f"{one.latency_ms:.1f} ms",
            _how(one),
            screen.place_of_url(one.url),
        )
        for one in _in_order(found)
    ]
    columns = [
        screen.Column("id", style="cyan"),
        screen.Column("held", right=True),
        screen.Column("size", right=True),
        screen.Column("answers in", right=True),
        screen.Column("how it is", wraps=True),
        screen.Column("place", most=_MOST_DRAWN),
    ]
    screen.table(columns, rows)
    if not screen.on_terminal():
        return
    screen.say("")
    for line in drawing(found):
        screen.say(line)
    parts = [
        screen.counted(found.sound or 0, "sound blob"),
        f"{found.degraded} degraded",
        f"{found.out_of_reach} out of reach",
        f"{found.lost} lost",
    ]
    good = not (found.degraded or found.out_of_reach or found.lost)
    screen.say(", ".join(parts) + ".", fg="green" if good else "yellow")
    if found.degraded:
        screen.note("`haulout repair` rebuilds what is missing.")


def _how(one: VolumeReport) -> str:
    """How a volume is, its place written as people write it."""
    words = one.why or one.last_fault or ("sound" if one.reachable else "")
    path = url2pathname(urlsplit(one.url).path)
    for name in (one.url, path):
        words = words.replace(name, screen.place_of_url(one.url)) if name else words
    return words


def drawing(found: VolumesReport) -> list[str]:
    """The shards of each volume as squares, filled as far as it holds what it should."""
    lines: list[str] = []
    names = {one.id: screen.place_of_url(one.url)[-_MOST_DRAWN:] for one in found.volumes}
    width = max(map(len, names.values()))
    for one in _in_order(found):
        share = 0.0 if not one.expected else (one.held or 0) / one.expected
        count = min(len(one.shards), _MOST_DRAWN)
        full = count if share == 1.0 else min(int(share * count), count - 1)
        lines.append(
            f"{names[one.id]:<{width}}  {_HELD * full}{_LACKING * (count - full)}  {share:.0%}"
        )
    return lines


def _rebalanced(found: VolumesRebalanced) -> None:
    screen.say(
        f"Copied {screen.counted(found.copied, 'shard object')} "
        f"({screen.size(found.bytes_copied)}), rebuilt {found.rebuilt}, removed {found.removed}."
    )
    for words in (*found.faults, *found.incomplete, *found.unreached):
        screen.warn(words)


def _numbers(shards: tuple[int, ...]) -> str:
    """Shard numbers, runs of them joined: `0-3, 7`."""
    runs: list[list[int]] = []
    for shard in shards:
        if runs and runs[-1][1] == shard - 1:
            runs[-1][1] = shard
        else:
            runs.append([shard, shard])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
