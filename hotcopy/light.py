# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``typing`` has for declarations, without loading it: with its records that is a tenth of what a hot copy takes.

``signal`` is the part of the module of that name that is written in C: the rest of it only gives the numbers names, by ``enum``. So is
``itemgetter`` without the rest of ``operator``, which says the same in Python.

Type checkers know ``TYPE_CHECKING`` by its name, and take ``NamedTuple`` for ``typing.NamedTuple``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as signal
    from typing import NamedTuple as NamedTuple
else:
    import _signal as signal  # noqa: F401
    from _operator import itemgetter

    _items = []  # the properties that give the first item, the second, ...: the same for every record

    class _Maker(type):
        """Makes the class of a record from its annotations, of which it looks at the names only."""

        def __new__(cls, name, bases, space):
            fields = tuple(space.get("__annotations__", ()))
            space["__slots__"] = ()
            space["_fields"] = fields
            space["_field_defaults"] = {field: space[field] for field in fields if field in space}
            while len(_items) < len(fields):
                _items.append(property(itemgetter(len(_items))))
            space.update(zip(fields, _items))
            return super().__new__(cls, name, bases, space)

    class NamedTuple(tuple, metaclass=_Maker):
        """The base of a record: a tuple whose items have names. In a module that postpones its annotations."""

        # From any iterable of the right length, and as quick as a tuple: for those that are made by the million.
        _make = classmethod(tuple.__new__)

        def __new__(cls, *values, **named):
            """A record of values in order or by name; TypeError when they do not fit."""
            if named or len(values) != len(cls._fields):
                values = cls._completed(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _completed(cls, values, named):
            known = {**cls._field_defaults, **dict(zip(cls._fields, values)), **named}
            missing = [field for field in cls._fields if field not in known]
            twice = [field for field in cls._fields[: len(values)] if field in named]
            if missing or twice or len(values) > len(cls._fields) or len(known) > len(cls._fields):
                raise TypeError(f"{cls.__name__} has the fields {cls._fields}, given were {values} and {named}")
            return [known[field] for field in cls._fields]

        def _replace(self, **named):
            return type(self)(**{**dict(zip(self._fields, self)), **named})

        def __repr__(self):
            items = ", ".join(f"{field}={value!r}" for field, value in zip(self._fields, self))
            return f"{type(self).__name__}({items})"

        def __getnewargs__(self):
            return tuple(self)
