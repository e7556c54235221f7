"""What a stream does when its keyspace is resharded under it, on a real Vitess with a made-up journal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from integration_tests.support.command import positions, read, read_well
from integration_tests.support.tables import create, executed_position, insert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.vitess.cluster import VitessCluster

TABLE = "reshard_rows"
NEW_SHARDS = ("-40", "40-80")


@contextmanager
def split_of_lower_shard(vitess: VitessCluster) -> Iterator[str]:
    """Writes the journal that a switch of shard -80 to -40 and 40-80 leaves in its binlog.

    Gives the position at which the new shards begin; there are none, so nothing can be read of them.
    The sidecar database and the row's text are those of Vitess's vreplication (resharding_journal).
    """
    position = executed_position(vitess)
    new = " ".join(f'shard_gtids:{{keyspace:"shop" shard:"{name}" gtid:"{position}"}}' for name in NEW_SHARDS)
    journal = f'id:7 migration_type:SHARDS {new} participants:{{keyspace:"shop" shard:"-80"}}'
    vitess.execute_on_mysqld(
        "insert into _vt.resharding_journal (id, db_name, val) "  # noqa: S608 - the test's own values
        f"values (7, 'vt_shop_-80', '{journal}')"
    )
    try:
        yield position
    finally:
        vitess.execute_on_mysqld("delete from _vt.resharding_journal where id = 7")


def test_a_stream_goes_from_a_journal_to_the_new_shards_and_says_which_of_them_cannot_be_read(
    vitess: VitessCluster,
) -> None:
    config = vitess.config("shop", timeout_seconds=3)
    create(vitess, "shop", f"create table {TABLE} (id bigint primary key, note varchar(20))")
    insert(vitess, "shop", "-80", TABLE, [(1, "low")])
    insert(vitess, "shop", "80-", TABLE, [(100, "high")])
    first = read_well(config, TABLE)
    insert(vitess, "shop", "-80", TABLE, [(2, "low")])
    insert(vitess, "shop", "80-", TABLE, [(101, "high")])
    with split_of_lower_shard(vitess) as position:
        insert(vitess, "shop", "80-", TABLE, [(102, "high")])
        done = read(config, TABLE, state=first.state)
        again = read(config, TABLE, state=done.state)

    assert sorted(row["id"] for row in done.records(TABLE)) == [2, 101, 102]
    assert done.statuses(TABLE)[-1] == "INCOMPLETE"
    assert done.exit_code != 0
    assert "Shard -40 of keyspace shop" in done.errors_of(TABLE)[0]
    moved = positions(done.stream_state(TABLE), "shop")
    assert {name: moved[name] for name in NEW_SHARDS} == dict.fromkeys(NEW_SHARDS, position)
    assert set(moved) == {*NEW_SHARDS, "80-"}
    # The new shards follow from where they begin, also in the next sync.
    assert again.statuses(TABLE)[-1] == "INCOMPLETE"
    assert again.records(TABLE) == []
