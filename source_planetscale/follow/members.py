"""The tables that take part in the reading of a shard, and what becomes of each: the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from source_planetscale.endpoint import TabletType
from source_planetscale.errors import ConfigError, SourceError, TransientError
from source_planetscale.follow import advice
from source_planetscale.follow.member import Member, Step
from source_planetscale.follow.positions import ShardGoneError
from source_planetscale.follow.resume import Verdict, judge
from source_planetscale.mysql.moves import moved_away
from source_planetscale.vstream.lastpk import copy_can_resume
from source_planetscale.vstream.position import Position
from source_planetscale.vstream.table_reader import CopyBroken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from source_planetscale.follow.core import Core
    from source_planetscale.follow.resume import ServedPositions
    from source_planetscale.vstream.errors import VStreamError
    from source_planetscale.vstream.table_reader import TableReader
    from source_planetscale.vstream.wire import vstream_pb2 as wire


class Members:
    """The tables of one shard that are still being read.

    Methods that give steps end tables, or begin their copies anew, as the policy has it.

    Attributes:
        shard: The shard.
        place: The shard as a person is told of it.
        stop: Where its reading ends.
    """

    def __init__(self, core: Core, members: Sequence[Member]) -> None:
        """Takes the tables, at least one; `stop` has to be set before anything else."""
        self.shard = members[0].cursor.shard
        self.place = core.client.keyspace.place(self.shard)
        self.stop = Position("", {})
        self._core = core
        self._open = {member.name: member for member in members}
        self._moved: dict[str, str | None] = {}

    def __bool__(self) -> bool:
        """Whether any table is left."""
        return bool(self._open)

    @property
    def all(self) -> list[Member]:
        """The tables that are left."""
        return list(self._open.values())

    def still(self, members: Iterable[Member]) -> list[Member]:
        """Those of the tables that are left."""
        return [member for member in members if member.name in self._open]

    def where(self, members: Sequence[Member]) -> str:
        """Names tables and shard for a person."""
        if len(members) == 1:
            return members[0].where
        return advice.several([member.name for member in members], self.place)

    def end(
        self,
        members: Iterable[Member],
        *,
        error: SourceError | None = None,
        journal: wire.Journal | None = None,
    ) -> Iterator[Step]:
        """Ends tables, if they have not ended."""
        for member in self.still(members):
            del self._open[member.name]
            own = error
            if error is None and journal is None and member.name in self._moved:
                keyspace, home = member.cursor.keyspace, self._moved[member.name]
                own = ConfigError(advice.about_moved_table(member.where, keyspace, home))
            yield Step(member.name, member.cursor, ended=True, error=own, journal=journal)

    def look_for_moved(self) -> None:
        """Finds out which tables were moved away: their end is no success, though nothing is left to read."""
        keyspace, names = self._core.client.keyspace.name, list(self._open)
        try:
            self._moved = moved_away(self._core.database, keyspace, self.shard, names)
        except SourceError:
            # Whoever cannot be asked here will not serve the stream either, or not for this reason.
            self._moved = {}

    def at_stop(self) -> list[Member]:
        """The tables that have nothing left to read."""
        return [
            member
            for member in self.all
            if not member.cursor.copying and Position.parse(member.cursor.position).contains(self.stop)
        ]

    def served(self, members: Iterable[Member]) -> ServedPositions | None:
        """Which positions the shard can serve; not asked where there is nothing to read."""
        if all(
            member.cursor.position and Position.parse(member.cursor.position).contains(self.stop)
            for member in members
        ):
            return None
        return self._core.positions.served(self.shard)

    def settle_cursors(self, members: Iterable[Member], *, moved: bool = False) -> Iterator[Step]:
        """Leaves cursors that can be followed.

        Args:
            members: The tables.
            moved: Whether this sync has moved the cursors, which may stand beyond the stop position then.
        """
        members = self.still(members)
        served = self.served(members)
        for member in members:
            judgement = judge(
                member.cursor,
                member.table,
                stop=None if moved else self.stop,
                served=served,
                on_primary=self._core.client.keyspace.tablet_type is TabletType.PRIMARY,
            )
            if (
                moved
                and member.handed_over
                and not member.cursor.position
                and not copy_can_resume(member.table)
            ):
                yield from self._restart_copy(member, "its key does not let a copy go on in the middle")
            elif judgement.verdict is Verdict.RESTART_COPY:
                yield from self._restart_copy(member, judgement.reason)
            elif judgement.verdict is Verdict.REFUSE:
                problem = f"The saved position of {member.where} cannot be followed: {judgement.reason}."
                yield from self._copy_again(member, problem)

    def meet_finding(self, table: TableReader) -> Iterator[Step]:
        """Deals with what makes a table unreadable."""
        finding = table.finding
        for member in self.still(self.all):
            if finding is None or member.name != table.name:
                continue
            if isinstance(finding, CopyBroken):
                yield from self._restart_copy(member, str(finding))
            else:
                yield from self._copy_again(member, advice.about_finding(finding, member.where))

    def meet_permanent(self, member: Member, error: VStreamError, words: str) -> Iterator[Step]:
        """Deals with an error that trying again cannot mend; `words` explain it."""
        if error.statement_is_unreadable:
            yield from self._copy_again(member, advice.about_unreadable_statement(member.where))
        elif error.shape_is_unreadable:
            problem = advice.about_unreadable_rows(member.where, words)
            yield from self._copy_again(member, problem)
        else:
            kind = ShardGoneError if error.shard_is_unknown else ConfigError
            yield from self.end([member], error=kind(f"Reading {member.where} failed: {words}"))

    def meet_misfit(self, members: Iterable[Member]) -> Iterator[Step]:
        """Deals with tables whose rows fit none of their shapes, however often they are asked for."""
        for member in members:
            yield from self._copy_again(member, advice.about_misfit(member.where))

    def _restart_copy(self, member: Member, reason: str) -> Iterator[Step]:
        if member.handed_over and not member.copy_starts_again:
            words = advice.about_copy_that_waits(member.where, reason)
            yield from self.end([member], error=TransientError(words))
            return
        self._core.logger.warning(
            f"The unfinished copy of {member.where} starts again, because {reason}; rows that were already "
            "copied come once more."
        )
        yield from self._begin_copy(member)

    def _copy_again(self, member: Member, problem: str) -> Iterator[Step]:
        if not self._core.patience.copies_again or member.copied_again:
            yield from self.end([member], error=ConfigError(advice.about_copy_again(problem)))
            return
        self._core.logger.warning(f"{problem} As configured, this shard's copy of the table starts again.")
        member.copied_again = True
        yield from self._begin_copy(member, anew=not member.cursor.copying)

    def _begin_copy(self, member: Member, *, anew: bool = False) -> Iterator[Step]:
        member.cursor = member.cursor.restarted()
        member.renames = {}
        member.handed_over = False
        yield Step(member.name, member.cursor, anew=anew)
