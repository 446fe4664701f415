# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``contextlib`` has, as far as hcp uses it, without the ``collections`` and ``functools`` behind it (see light.py).

Type checkers are shown the originals, and a test compares what they do.
"""

from __future__ import annotations

from hotcopy.light import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import ExitStack as ExitStack
    from contextlib import contextmanager as contextmanager
    from contextlib import suppress as suppress
else:

    class suppress:  # noqa: N801
        """A with block that ends quietly at one of these exceptions."""

        def __init__(self, *kinds):
            self._kinds = kinds

        def __enter__(self):
            return None

        def __exit__(self, kind, value, trace):
            return kind is not None and issubclass(kind, self._kinds)

    class _Generated:
        """A with block around which a generator runs: up to its only yield before, from there on after it."""

        def __init__(self, generator):
            self._generator = generator

        def __enter__(self):
            try:
                return next(self._generator)
            except StopIteration:
                raise RuntimeError("generator didn't yield") from None

        def __exit__(self, kind, value, trace):
            if kind is None:
                return self._finish()
            return self._throw(value, trace)

        def _finish(self):
            try:
                next(self._generator)
            except StopIteration:
                return False
            self._generator.close()
            raise RuntimeError("generator didn't stop")

        def _throw(self, value, trace):
            """Whether the generator has swallowed the exception. One that it lets through goes on unchanged."""
            try:
                self._generator.throw(value)
            except StopIteration as end:
                return end is not value
            except RuntimeError as error:
                # Python makes a RuntimeError of a StopIteration that leaves a generator.
                if error is value or (isinstance(value, StopIteration) and error.__cause__ is value):
                    value.__traceback__ = trace
                    return False
                raise
            except BaseException as error:
                if error is not value:
                    raise
                error.__traceback__ = trace
                return False
            self._generator.close()
            raise RuntimeError("generator didn't stop after throw()")

    def contextmanager(function):
        """A generator function with one yield, for with statements. Not for decorators, which nothing here is."""

        def manager(*args, **named):
            return _Generated(function(*args, **named))

        return manager

    class ExitStack:
        """Leaves what was entered, and calls what was asked for, in the opposite order, whatever goes wrong."""

        def __init__(self):
            self._exits = []

        def __enter__(self):
            return self

        def enter_context(self, manager):
            """Enters it, and leaves it in its turn; what it gives."""
            leave = type(manager).__exit__
            given = type(manager).__enter__(manager)
            self._exits.append(lambda *details: leave(manager, *details))
            return given

        def callback(self, function, *args, **named):
            """Has this called in its turn."""

            def call(*_details):
                function(*args, **named)
                return False

            self._exits.append(call)
            return function

        def __exit__(self, kind, value, trace):
            pending = value
            while self._exits:
                leave = self._exits.pop()
                try:
                    details = (None, None, None) if pending is None else (type(pending), pending, pending.__traceback__)
                    if leave(*details):
                        pending = None
                except BaseException as error:  # the next ones are told of this one
                    if value is not None and error.__context__ is value and error is not pending:
                        error.__context__ = pending  # as in nested with statements, not what began it all
                    pending = error
            if pending is not None and pending is not value:
                before = pending.__context__
                try:
                    raise pending
                except BaseException:
                    pending.__context__ = before  # raise has put what began it all there
                    raise
            return value is not None and pending is None
