"""Random tables and random alters of them, with the shapes that follow by a model of their own."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from source_planetscale.shape import Shape, ShapeColumn

# A definition, the type that it is spelled as, and the character set; None for the table's.
DEFINITIONS: tuple[tuple[str, str, str | None], ...] = (
    ("int", "int", ""),
    ("integer(7) unsigned not null", "int unsigned", ""),
    ("bool default true", "tinyint(1)", ""),
    ("bigint zerofill", "bigint(20) unsigned zerofill", ""),
    ("dec(6, 2) default -1.5", "decimal(6,2)", ""),
    ("float(30)", "double", ""),
    ("datetime(3) default current_timestamp(3) on update current_timestamp(3)", "datetime(3)", ""),
    ("varbinary(9) comment 'it''s, (a'", "varbinary(9)", ""),
    ("json", "json", ""),
    ("point", "point", ""),
    ("varchar(7)", "varchar(7)", None),
    ("char(7) character set latin1 collate latin1_bin", "char(7)", "latin1"),
    ("enum('x', 'it\\'s, (a', ')')", "enum('x','it''s, (a',')')", None),
    ("set('a', 'b') collate greek_bin not null", "set('a','b')", "greek"),
    ("mediumtext", "mediumtext", None),
)
NAMES = ("a", "b", "c", "D", "e_1", "we ird", "tick`s", "drop", "müsli", "f(,")
TABLE = "t"


@dataclass(frozen=True)
class Alter:
    """An alter of a table.

    Attributes:
        before: The table's columns.
        charset: Its default character set.
        created: The statement that creates the table.
        statement: The alter.
        after: The columns that follow.
        origins: Their names before.
    """

    before: Shape
    charset: str
    created: str
    statement: str
    after: Shape
    origins: tuple[str | None, ...]


@st.composite
def alters(draw: st.DrawFn) -> Alter:
    """Draws a table and one ALTER of several clauses that MySQL takes."""
    charset = draw(st.sampled_from(("utf8mb4", "latin1")))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    defined = [(name, draw(st.sampled_from(DEFINITIONS))) for name in names]
    table = [(_column(name, definition, charset), name) for name, definition in defined]
    listed = ", ".join(f"{_quoted(name)} {definition[0]}" for name, definition in defined)
    drawing = _Drawing(draw, charset, table)
    clauses = drawing.clauses()
    return Alter(
        before=tuple(column for column, _ in table),
        charset=charset,
        created=f"create table {TABLE} ({listed}) default charset {charset}",
        statement=f"alter table {TABLE} {', '.join(clauses)}",
        after=tuple(column for column, _ in drawing.table),
        origins=tuple(origin for _, origin in drawing.table),
    )


class _Drawing:
    """Draws clauses; the table changes with each of them, which equals MySQL's order for those drawn."""

    def __init__(self, draw: st.DrawFn, charset: str, table: list[tuple[ShapeColumn, str]]) -> None:
        self._draw = draw
        self._charset = charset
        self._untouched = [column.name for column, _ in table]
        self._free = [name for name in NAMES if name not in self._untouched]
        self.table: list[tuple[ShapeColumn, str | None]] = list(table)

    def clauses(self) -> list[str]:
        in_place = (self._rename, self._drop, self._change)
        moving = (self._move, self._add)
        first = self._draw(st.lists(st.sampled_from(in_place), max_size=3))
        then = self._draw(st.lists(st.sampled_from(moving), min_size=1, max_size=3))
        return list(filter(None, [clause() for clause in (*first, *then)]))

    def _taken(self) -> str:
        name = self._draw(st.sampled_from(self._untouched))
        self._untouched.remove(name)
        return name

    def _new_name(self) -> str:
        name = self._draw(st.sampled_from(self._free))
        self._free.remove(name)
        return name

    def _place(self, name: str) -> int:
        return [column.name for column, _ in self.table].index(name)

    def _rename(self) -> str:
        if not self._untouched or not self._free:
            return ""
        name, new = self._taken(), self._new_name()
        column, origin = self.table[self._place(name)]
        self.table[self._place(name)] = column._replace(name=new), origin
        return f"rename column {_quoted(name)} to {_quoted(new)}"

    def _drop(self) -> str:
        if not self._untouched or len(self.table) == 1:
            return ""
        name = self._taken()
        del self.table[self._place(name)]
        return f"{self._draw(st.sampled_from(('drop column', 'DROP')))} {_quoted(name)}"

    def _change(self) -> str:
        if not self._untouched:
            return ""
        name = self._taken()
        new, verb = name, f"modify {_quoted(name)}"
        renames = self._draw(st.booleans())
        if renames and self._free:
            new = self._new_name()
            verb = f"change column {_quoted(name)} {_quoted(new)}"
        definition = self._draw(st.sampled_from(DEFINITIONS))
        place = self._place(name)
        self.table[place] = _column(new, definition, self._charset), self.table[place][1]
        return f"{verb} {definition[0]}"

    def _move(self) -> str:
        if not self._untouched:
            return ""
        name = self._taken()
        definition = self._draw(st.sampled_from(DEFINITIONS))
        _, origin = self.table.pop(self._place(name))
        entry = _column(name, definition, self._charset), origin
        return f"modify column {_quoted(name)} {definition[0]} {self._put(entry, moves=True)}"

    def _add(self) -> str:
        if not self._free:
            return ""
        name = self._new_name()
        definition = self._draw(st.sampled_from(DEFINITIONS))
        entry = _column(name, definition, self._charset), None
        return f"add column {_quoted(name)} {definition[0]} {self._put(entry, moves=False)}".strip()

    def _put(self, entry: tuple[ShapeColumn, str | None], *, moves: bool) -> str:
        places = range(0 if moves else -1, len(self.table) + 1)
        place = self._draw(st.sampled_from(places))
        if place == -1:
            self.table.append(entry)
            return ""
        self.table.insert(place, entry)
        return f"after {_quoted(self.table[place - 1][0].name)}" if place else "first"


def _column(name: str, definition: tuple[str, str, str | None], charset: str) -> ShapeColumn:
    _, column_type, named = definition
    return ShapeColumn(name, column_type, charset if named is None else named)


def _quoted(name: str) -> str:
    return name if name in ("a", "b", "c", "D") else "`" + name.replace("`", "``") + "`"
