"""A table that is written to all the time, also while its keyspace is turned over, and its replica."""

# ruff: noqa: S608 - the statements are the tests' own

from __future__ import annotations

import copy
import random
import threading
import time
from collections import Counter, defaultdict
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pymysql

from integration_tests.support.command import Run, read
from integration_tests.support.destination import DELETED_AT
from integration_tests.support.followed_table import FollowedTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Self

    from integration_tests.vitess.vtgate import Vtgate

COLUMNS = "(id bigint primary key, home int, rev bigint, note varchar(1000))"
HOMES = 64
# Rows that nobody writes to: they come once, in the copy. They take some responses of the server.
STILL = 300
NOTE = "still" * 40
# Rows that the writer begins with.
BUSY = 100

ACTIONS = (*["insert"] * 4, *["update"] * 8, *["delete"] * 2, *["move"] * 2)
PAUSE = 0.003
SECONDS = 60.0


class LiveTable(FollowedTable):
    """A table with a writer; the column that places its rows is no part of their key.

    Every change has a number of its own, `rev`.

    Attributes:
        moves: Whether the writer moves rows from one home to another, which often is another shard. Vitess
            cannot follow that where it merges shards: a row is there twice for a moment.
        deletes: Whether it deletes rows.
        runs: The syncs so far.
    """

    def __init__(self, vitess: Vtgate, keyspace: str, name: str = "live") -> None:
        """Makes the table with its first rows."""
        vindex = "home" if vitess.is_sharded(keyspace) else None
        super().__init__(vitess, keyspace, f"create table {name} {COLUMNS}", vindex)
        self.moves = True
        self.deletes = True
        self.runs: list[Run] = []
        self._chance = random.Random(7)  # noqa: S311 - a test's choices
        self._ids = iter(range(STILL, 10**9))
        self._rev = 0
        self._followed_from = 0
        # What is there, as far as the writer knows: id -> home.
        self._homes: dict[int, int] = {}
        # Changes that were committed for certain.
        self._committed: set[int] = set()
        # Rows of transactions that may or may not have been committed.
        self._unsure: set[int] = set()
        self._moved: set[int] = set()
        self._ever_moved: set[int] = set()
        self.insert((number, number % HOMES, 0, NOTE) for number in range(STILL))
        self.write(BUSY, "insert")

    def write(self, changes: int, action: str | None = None) -> None:
        """Writes so many changes, of one kind or of any."""

        def change(connection: pymysql.Connection[Any]) -> None:
            for _ in range(changes):
                self._change(connection, action or self._chosen())

        self._with_connection(change)

    @contextmanager
    def written(self) -> Iterator[None]:
        """Writes as long as the context lasts."""
        stopped = threading.Event()
        thread = threading.Thread(target=self._write_until, args=(stopped,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def try_sync(self, **config: object) -> Run:
        """Reads from the last state and loads what came, whether it succeeds or not."""
        done = read({**self.config, **config}, self.table, state=self.state)
        self.load(done)
        return done

    def load(self, done: Run) -> None:
        """Loads what a run wrote, and goes on from its state."""
        super().load(done)
        self.runs.append(done)

    def fork(self) -> Self:
        """A second replica of the same table, which stands where this one does."""
        fork = copy.copy(self)
        fork.deduped = copy.deepcopy(self.deduped)
        fork.runs = list(self.runs)
        return fork

    def first_sync(self) -> None:
        """Reads for the first time; from here on every single change has to arrive."""
        self.sync()
        self._followed_from = self._rev

    def sync_the_rest(self) -> None:
        """Reads what nobody adds to any more.

        What two shards say of one row within a sync has no order. So the rows that have moved are changed
        once more where they are now, and read again.
        """
        self.sync()
        self._with_connection(self._settle)
        self.sync()

    def assert_followed(self) -> None:
        """The replica equals the source, every change has come, in order, and nothing was copied again.

        Raises:
            AssertionError: It is not so.
        """
        self.assert_equal()
        arrived = Counter(row["rev"] for row in self._records() if row[DELETED_AT] is None)
        wanted = {rev for rev in self._committed if rev > self._followed_from}
        assert wanted - arrived.keys() == set(), "changes are missing"
        # Twice is what a connection that breaks may cost.
        assert [rev for rev in wanted if arrived[rev] > 2] == []
        self.assert_in_order()
        self.assert_not_copied_again()

    def assert_in_order(self) -> None:
        """The changes of a row that has never moved came in their order, whatever came again after them.

        Raises:
            AssertionError: They did not.
        """
        revs: dict[int, list[int]] = defaultdict(list)
        for row in self._records():
            if row["rev"] not in revs[row["id"]]:
                revs[row["id"]].append(row["rev"])
        unordered = [number for number in revs if revs[number] != sorted(revs[number])]
        assert set(unordered) <= self._ever_moved

    def assert_not_copied_again(self, ids: Iterable[int] = range(STILL)) -> None:
        """Rows that nobody writes to have come once.

        Raises:
            AssertionError: Some came twice, or not at all.
        """
        came = Counter(row["id"] for row in self._records())
        assert [number for number in ids if came[number] != 1] == []

    def _records(self) -> Iterator[dict[str, Any]]:
        return (record for done in self.runs for record in done.records(self.table))

    def _write_until(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            with suppress(pymysql.MySQLError), closing(self.vitess.connect(self.keyspace)) as connection:
                while not stopped.wait(PAUSE):
                    self._change(connection, self._chosen())
            # Traffic is being switched, or a server is away.
            stopped.wait(PAUSE)

    def _with_connection(self, action: Callable[[pymysql.Connection[Any]], object]) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                with closing(self.vitess.connect(self.keyspace)) as connection:
                    action(connection)
                    return
            except pymysql.MySQLError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)

    def _chosen(self) -> str:
        action = self._chance.choice(ACTIONS) if self._homes else "insert"
        left_out = (action == "move" and not self.moves) or (action == "delete" and not self.deletes)
        return "update" if left_out else action

    def _change(self, connection: pymysql.Connection[Any], action: str, number: int | None = None) -> None:
        """Changes a row in a transaction; raises MySQLError where nobody knows what became of it."""
        if action == "insert":
            number = next(self._ids)
        elif number is None:
            number = self._chance.choice(list(self._homes))
        self._rev += 1
        rev, old = self._rev, self._homes.pop(number, None)
        home = self._chance.randrange(HOMES) if action in ("insert", "move") else old
        self._unsure.add(number)
        gone = f"delete from {{t}} where id = {number} and home = {old}"
        new = f"insert into {{t}} (id, home, rev, note) values ({number}, {home}, {rev}, 'busy')"
        self._run(
            connection,
            *{
                "insert": [new],
                "update": [f"update {{t}} set rev = {rev} where id = {number} and home = {old}"],
                "delete": [gone],
                "move": ["begin", gone, new, "commit"],
            }[action],
        )
        self._unsure.discard(number)
        if action == "delete" or home is None:
            return
        self._homes[number] = home
        self._committed.add(rev)
        if action == "move":
            self._moved.add(number)
            self._ever_moved.add(number)

    def _settle(self, connection: pymysql.Connection[Any]) -> None:
        for number in sorted(self._unsure):
            # A transaction of two shards may have left it in both.
            self._run(connection, f"delete from {{t}} where id = {number}")
            self._unsure.discard(number)
        for number in sorted(self._moved & self._homes.keys()):
            self._change(connection, "update", number)
            self._moved.discard(number)

    def _run(self, connection: pymysql.Connection[Any], *statements: str) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(self._named(statement))
