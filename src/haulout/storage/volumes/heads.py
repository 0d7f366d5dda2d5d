"""Heads: small, changed by compare-and-swap over all volumes, with one winner.

A volume alone compares and swaps, but a set has no volume that decides. Two publishers who swap
volume by volume can each get a part, and a crash between two volumes leaves a mixture of which
nobody can tell whether it was acknowledged. So a change takes two steps under a ballot (CASPaxos,
Rystsov 2018: Paxos's two phases around a changed value, no log):

    promise   on a quorum, note a ballot higher than any before, and learn what stands
    accept    where that is what the caller believes, put the new bytes there under the ballot

Whoever comes later with a higher ballot finds an acknowledged head on its quorum (`quorum.py`: two
quorums share a volume that does not lie), and whoever comes with a lower one is refused. A crash
leaves a head that is old, new, or on fewer volumes than a quorum; the next publisher decides which.
Every answer that is lost is asked for again and compared byte by byte.

Liars: a copy counts as what stands only where volumes of p shards or more keep it alike, more than
may lie; or, with ``number``, where the caller's own check finds it genuine. So volumes of f shards
cannot make a head vanish or turn: at worst a publish fails and says whose copies differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from haulout.errors import (
    ConflictError,
    LimitError,
    StorageError,
    StoreUnavailableError,
    WrongBytesError,
)
from haulout.storage.backend import Backend, Versioned
from haulout.storage.volumes.headstate import (
    MOST_HEAD_BYTES,
    NO_BALLOT,
    Ballot,
    HeadState,
    decode_state,
    encode_state,
)
from haulout.storage.volumes.layout import Layout, decode_layout
from haulout.storage.volumes.members import Members, bounded_list
from haulout.storage.volumes.naming import HEADS, LAYOUT_HEAD, head_name
from haulout.storage.volumes.quorum import head_quorum
from haulout.storage.volumes.rounds import Answer, Question, Round, ask_all

MOST_ATTEMPTS: Final = 12
FIRST_PAUSE: Final = 0.01  # seconds, doubled at each attempt: up to 20 s in all at the twelfth
_MOST_DOUBLINGS: Final = 8

Number = Callable[[bytes], int | None]
"""Verifies a head and tells its number; None for one that is not genuine."""


class HeadCopy(NamedTuple):
    """A head's bytes as one volume keeps them; nothing vouches for them but their signature."""

    volume: str
    data: bytes


class Vote(NamedTuple):
    """A volume's answer in one step.

    Attributes:
        granted: whether it keeps the ballot; ``state``: what it keeps now.
        version: of the object, for the next swap; None where there is none.
        damaged: whether what it keeps cannot be read; it then takes no part until it is settled.
        ahead: whether it refused because it knows a newer layout.
    """

    granted: bool
    state: HeadState
    version: str | None
    damaged: bool = False
    ahead: bool = False


class HeadSwap(NamedTuple):
    """What a publisher wants: ``data`` in the place of ``replaces`` under ``name``."""

    name: str
    data: bytes
    replaces: bytes | None


def read_states(members: Members, name: str) -> dict[str, Vote]:
    """What every volume that answers keeps of a head."""

    def call(backend: Backend) -> Vote:
        return _seen(backend.read_head(head_name(name)))

    return _votes(members, dict.fromkeys(members.names, call))


def read_heads(members: Members, name: str) -> tuple[HeadCopy, ...]:
    """Every copy of a head, by volume.

    Raises:
        StoreUnavailableError: fewer shards' volumes answered than a blob needs. With so many, a
            copy of whatever was acknowledged is among the answers.
    """
    votes = read_states(members, name)
    weights = members.layout.weights()
    if sum(weights[volume] for volume in votes) < members.rs2.primary:
        silent = ", ".join(sorted(set(weights) - set(votes)))
        message = f"Head {name} cannot be read for certain: volumes {silent} do not answer."
        raise StoreUnavailableError(message)
    return tuple(
        HeadCopy(volume, vote.state.data)
        for volume, vote in sorted(votes.items())
        if vote.state.data is not None
    )


def read_layout(backend: Backend) -> Layout | None:
    """The layout that one place tells of; None where it tells of none that can be read."""
    try:
        head = backend.read_head(head_name(LAYOUT_HEAD))
        state = None if head is None else decode_state(head.data)
        return None if state is None or state.data is None else decode_layout(state.data)
    except StorageError:
        return None


def list_heads(members: Members, prefix: str) -> tuple[str, ...]:
    """The names of all heads that stand on any volume.

    Raises:
        StoreUnavailableError: no volume answers.
    """

    def call(backend: Backend) -> set[str]:
        return {found.name[len(HEADS) :] for found in bounded_list(backend, HEADS + prefix)}

    questions = [members.reading(name, None, call) for name in members.names]
    answers = ask_all(members.lines, members.hedge_after, questions)
    lists = [answer.value for answer in answers if answer.value is not None]
    if not lists:
        raise StoreUnavailableError("No volume of the set answers.")
    return tuple(sorted(set[str]().union(*lists)))


def publish(
    members: Members,
    swap: HeadSwap,
    nonce: bytes,
    jitter: Callable[[], float],
    number: Number | None,
) -> tuple[str, ...]:
    """Change a head; return the volumes on which it is durable.

    Args:
        members: the set; ``swap``: what to put in the place of what.
        nonce: 8 random bytes; ``jitter``: random numbers from 0 to 1, for pauses.
        number: verifies a copy and tells its number, where the caller can.

    Raises:
        ConflictError: another head stands, or another publisher does not give way.
        StoreUnavailableError: no quorum answers. Where the message says that the outcome is not
            known, publish the same again.
    """
    if len(swap.data) > MOST_HEAD_BYTES:
        raise LimitError(f"A head has at most {MOST_HEAD_BYTES:,} bytes.")
    head_name(swap.name)
    highest = 0
    for attempt in range(MOST_ATTEMPTS):
        seen = read_states(members, swap.name)
        highest = max([highest, *(vote.state.promised.number for vote in seen.values())]) + 1
        ballot = Ballot(members.layout.generation, highest, nonce)
        promises = promise(members, swap.name, ballot)
        if not head_quorum(members.layout, granting(promises)):
            _give_up_without_quorum(members, swap.name, promises)
            _pause(members, attempt, jitter)
            continue
        stands = current(members, promises, number)
        if stands.data not in {swap.replaces, swap.data}:
            raise _conflict(swap.name, promises, stands)
        accepted = accept(members, swap.name, HeadState(ballot, ballot, swap.data), promises)
        if head_quorum(members.layout, granting(accepted)):
            return tuple(sorted(granting(accepted)))
        if not _outbid(accepted):
            message = f"It is not known whether head {swap.name} was published: too few answered."
            raise StoreUnavailableError(message, hint="Publish the same again.")
        _pause(members, attempt, jitter)
    message = f"Another publisher of head {swap.name} did not give way in {MOST_ATTEMPTS} attempts."
    raise StoreUnavailableError(message, hint="Publish the same again.")


def promise(members: Members, name: str, ballot: Ballot, *, fenced: bool = True) -> dict[str, Vote]:
    """Ask every volume to accept nothing below a ballot, and learn what stands there.

    Args:
        members: the set; ``name``: the head; ``ballot``: which.
        fenced: whether volumes of a newer layout refuse; a rebalance passes over that.
    """

    def call(backend: Backend) -> Vote:
        vote = _seen(backend.read_head(head_name(name)))
        if vote.damaged:
            return vote
        if vote.state.promised >= ballot:
            return vote._replace(granted=vote.state.promised == ballot)
        return _swapped(backend, name, vote.state._replace(promised=ballot), vote.version)

    return _votes(members, dict.fromkeys(members.names, call), writing=fenced)


def accept(
    members: Members, name: str, state: HeadState, promises: dict[str, Vote]
) -> dict[str, Vote]:
    """Put a state where its ballot was promised."""

    def calling(version: str | None) -> Callable[[Backend], Vote]:
        return lambda backend: _swapped(backend, name, state, version)

    calls = {volume: calling(vote.version) for volume, vote in promises.items() if vote.granted}
    return _votes(members, calls, writing=True)


def current(members: Members, votes: dict[str, Vote], number: Number | None) -> HeadState:
    """What stands, as a quorum's answers tell.

    Without ``number``: the newest of what volumes of p shards or more keep alike. With it: the
    copy of the highest number, genuine copies only.

    Raises:
        ConflictError: no copy is kept alike by enough volumes to be believed.
    """
    states = {volume: votes[volume].state for volume in granting(votes)}
    if number is not None:
        numbered = [
            (number(state.data), state) for state in states.values() if state.data is not None
        ]
        genuine = [(found, state.accepted, state) for found, state in numbered if found is not None]
        return max(genuine, default=(0, NO_BALLOT, HeadState()))[2]
    weights, backing = members.layout.weights(), Counter[tuple[Ballot, bytes | None]]()
    for volume, state in states.items():
        backing[state.accepted, state.data] += weights[volume]
    believed = [
        HeadState(accepted, accepted, data)
        for (accepted, data), weight in backing.items()
        if weight >= members.rs2.primary
    ]
    if not believed:
        volumes = ", ".join(sorted(states))
        message = f"The copies of a head on volumes {volumes} differ too much to tell what stands."
        raise ConflictError(message, hint="Read the heads, and publish with a check of their own.")
    return max(believed, key=lambda state: state.accepted)


def settle(
    members: Members, name: str, nonce: bytes, jitter: Callable[[], float]
) -> tuple[tuple[str, ...], bool]:
    """Bring volumes that lag, or lost what they kept, up to the head that stands.

    Needs no key. What a quorum keeps alike is what was acknowledged, whatever volumes of f shards
    say, and those that lag get it as it is. Where volumes of a quorum were lost, what stands is
    told as for a publisher without a check (`current`), and published again.

    Returns:
        The volumes that were brought up, and whether a quorum keeps the head now.
    """
    raised, kept = _raise_lagging(members, name)
    if kept is not None:
        return raised, True
    try:
        stands = current(members, read_states(members, name), None).data
        if stands is None:
            return (), False
        before = read_states(members, name)
        publish(members, HeadSwap(name, stands, stands), nonce, jitter, None)
    except (ConflictError, StoreUnavailableError):
        return (), False
    _raise_lagging(members, name)
    after = read_states(members, name)
    healed = [
        volume
        for volume, vote in after.items()
        if vote.state.data == stands
        and (volume not in before or before[volume].state.data != stands)
    ]
    return tuple(sorted(healed)), True


def _raise_lagging(members: Members, name: str) -> tuple[tuple[str, ...], bytes | None]:
    """Give what a quorum keeps to the volumes that lag; nothing where no quorum keeps a head."""
    votes = read_states(members, name)
    kept: dict[tuple[Ballot, bytes | None], set[str]] = {}
    for volume, vote in votes.items():
        kept.setdefault((vote.state.accepted, vote.state.data), set()).add(volume)
    chosen = next((k for k, v in kept.items() if head_quorum(members.layout, v)), None)
    if chosen is None or chosen[1] is None:
        return (), None
    accepted, data = chosen

    def calling(vote: Vote) -> Callable[[Backend], Vote]:
        state = HeadState(max(vote.state.promised, accepted), accepted, data)
        return lambda backend: _swapped(backend, name, state, vote.version)

    lagging = {v: calling(vote) for v, vote in votes.items() if vote.state.accepted < accepted}
    raised = _votes(members, lagging, writing=True)
    return tuple(sorted(granting(raised))), data


def _seen(head: Versioned | None) -> Vote:
    if head is None:
        return Vote(granted=True, state=HeadState(), version=None)
    try:
        return Vote(granted=True, state=decode_state(head.data), version=head.version)
    except WrongBytesError:
        return Vote(granted=False, state=HeadState(), version=head.version, damaged=True)


def _swapped(backend: Backend, name: str, state: HeadState, version: str | None) -> Vote:
    """Swap, and where the outcome is not known or another stands, look what does.

    Raises:
        StoreUnavailableError: it is not known, and cannot be read either; or it was not done.
    """
    data = encode_state(state)
    try:
        written = backend.swap_head(head_name(name), data, version)
        return Vote(granted=True, state=state, version=written)
    except (ConflictError, StoreUnavailableError) as error:
        head = backend.read_head(head_name(name))
        if head is not None and head.data == data:
            return Vote(granted=True, state=state, version=head.version)
        if isinstance(error, StoreUnavailableError):
            raise
        return _seen(head)._replace(granted=False)


def _votes(
    members: Members, calls: dict[str, Callable[[Backend], Vote]], *, writing: bool = False
) -> dict[str, Vote]:
    """Ask volumes; once a quorum has granted, give the others a little longer, no more."""
    votes: dict[str, Vote] = {}
    enough_at: float | None = None
    asking = members.writing if writing else members.reading
    with Round[Vote](members.lines, members.hedge_after) as talk:
        for volume, call in calls.items():
            talk.ask(asking(volume, None, call))
        while talk.outstanding:
            until = None if enough_at is None else enough_at + members.hedge_after
            found = talk.next(until)
            if found is None:
                break
            if isinstance(found, Question):
                members.lines.pace.failed(found.volume, "There was no answer in time.")
            elif found.value is not None:
                votes[found.question.volume] = found.value
            elif isinstance(found.error, ConflictError):
                refused = Vote(granted=False, state=HeadState(), version=None, ahead=True)
                votes[found.question.volume] = refused
            else:
                _note(members, found)
            if enough_at is None and head_quorum(members.layout, granting(votes)):
                enough_at = members.now()
    return votes


def _note(members: Members, answer: Answer[Vote]) -> None:
    """A volume that failed is out of this step."""
    error = answer.error or WrongBytesError("There was no answer that could be read.")
    members.lines.pace.failed(answer.question.volume, error.message)


def granting(votes: dict[str, Vote]) -> set[str]:
    """The volumes that keep the ballot they were asked to keep."""
    return {volume for volume, vote in votes.items() if vote.granted}


def _outbid(votes: dict[str, Vote]) -> bool:
    return any(not vote.granted for vote in votes.values())


def _give_up_without_quorum(members: Members, name: str, promises: dict[str, Vote]) -> None:
    """Go on only where a higher ballot could help.

    Raises:
        ConflictError: the set was given a newer layout; StoreUnavailableError: too few answer.
    """
    generation = members.layout.generation
    ahead = {
        volume
        for volume, vote in promises.items()
        if vote.ahead or vote.state.promised.generation > generation
    }
    if ahead and not head_quorum(members.layout, set(members.names) - ahead):
        message = f"Head {name} belongs to a newer layout of the set."
        raise ConflictError(message, hint="Open the set again with the newest layout.")
    well = {volume for volume, vote in promises.items() if not vote.damaged}
    if not head_quorum(members.layout, well):
        silent = ", ".join(sorted(set(members.names) - well))
        message = f"Head {name} cannot be published: volumes {silent} do not answer as they should."
        raise StoreUnavailableError(message)


def _pause(members: Members, attempt: int, jitter: Callable[[], float]) -> None:
    """Let the other publisher finish: twice as long each time, and never both the same."""
    seconds = FIRST_PAUSE * 2 ** min(attempt, _MOST_DOUBLINGS) * (0.5 + jitter())
    members.lines.clock.pause(seconds)


def _conflict(name: str, votes: dict[str, Vote], stands: HeadState) -> ConflictError:
    keeping = sorted(v for v in granting(votes) if votes[v].state.data == stands.data)
    what = "no head" if stands.data is None else "another head"
    message = (
        f"Not what was expected stands under {name}: volumes {', '.join(keeping)} keep {what}."
    )
    return ConflictError(message, hint="Read the heads again, then decide.")
