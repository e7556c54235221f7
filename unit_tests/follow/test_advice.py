"""The sentences that say what to do."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import pytest

import source_planetscale
from source_planetscale.config import Config
from source_planetscale.endpoint import TabletType
from source_planetscale.follow.advice import about_copy_again, about_giving_up, about_replicas, explain
from source_planetscale.vstream.errors import VStreamError

CONFIG = Config("db.example.com", "shop", "u", "pw-1234", tablet_type=TabletType.REPLICA, grpc_port=15991)
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]


def test_the_option_that_copies_again_is_named_as_the_form_names_it() -> None:
    spec = json.loads((Path(source_planetscale.__file__).parent / "spec.json").read_text())
    field = spec["connectionSpecification"]["properties"]["invalid_cdc_cursor_position_behavior"]
    sentence = about_copy_again("Something is wrong.")
    assert f"'{field['title']}'" in sentence
    assert any(f"'{choice}'" in sentence for choice in field["enum"])


@pytest.mark.parametrize("code", CODES, ids=[code.name for code in CODES])
def test_every_status_is_explained_without_the_password(code: grpc.StatusCode) -> None:
    explained = explain(VStreamError(code, "as it is"), CONFIG.grpc, CONFIG.keyspace)
    assert "as it is" in explained or "db.example.com:15991" in explained
    assert "pw-1234" not in explained


@pytest.mark.parametrize(
    ("code", "detail", "advice"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "who are you", "Check username and password"),
        (grpc.StatusCode.PERMISSION_DENIED, "no", "may read the database"),
        (grpc.StatusCode.UNAVAILABLE, "refused", "Check host, gRPC port and the TLS setting"),
        (grpc.StatusCode.UNIMPLEMENTED, "unknown service", "is no vtgate with VStream"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", "did not answer in time"),
        (
            grpc.StatusCode.FAILED_PRECONDITION,
            "shard provided in VGTID, -80, not found in the shop keyspace",
            "Check the list of shards",
        ),
        (
            grpc.StatusCode.CANCELLED,
            "failed to find a REPLICA tablet for VStream in shop/-80 within the zone1 cell(s)",
            "no replica tablet could serve the stream",
        ),
    ],
)
def test_what_happened_decides_what_to_do(code: grpc.StatusCode, detail: str, advice: str) -> None:
    assert advice in explain(VStreamError(code, detail), CONFIG.grpc, CONFIG.keyspace)


def test_giving_up_says_how_often_and_that_nothing_is_lost() -> None:
    sentence = about_giving_up("table t, shard 0", 4, "UNKNOWN: it broke.")
    assert "table t, shard 0 stopped after 4 attempts without progress: UNKNOWN: it broke." in sentence
    assert "the next sync goes on from there" in sentence


def test_replicas_are_to_blame_where_none_is_near_its_primary() -> None:
    sentence = about_replicas(CONFIG.keyspace, "-80", [45, None])
    assert "replica tablet" in sentence
    assert "45 s behind, does not replicate" in sentence


@pytest.mark.parametrize("lags", [[], [0], [45, 1]])
def test_replicas_are_not_to_blame_where_one_is_near_or_nothing_is_known(lags: list[int | None]) -> None:
    assert about_replicas(CONFIG.keyspace, "-80", lags) == ""
