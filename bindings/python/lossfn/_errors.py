# SPDX-License-Identifier: MIT
"""One exception per status of the C library. Each derives from `Error` and from the built-in exception that fits."""


class Error(Exception):
    """Anything that lossfn refuses. `code` is the status of the C library (LOSSFN_ERROR_...), 0 if it has none."""

    code: int = 0

    def __str__(self) -> str:  # a KeyError would show the repr
        return str(self.args[0]) if self.args else ""


class ArgumentError(Error, ValueError):
    """An argument that makes no sense, or is missing."""

    code = -1


class SpecError(Error, ValueError):
    """A spec that cannot be parsed; the message shows the position."""

    code = -2


class ParameterError(Error, ValueError):
    """A parameter out of its bounds or of the wrong type."""

    code = -3


class NotFoundError(Error, KeyError):
    """An unknown loss or parameter; the message names the nearest."""

    code = -4


class ExistsError(Error, ValueError):
    """A name that is already registered."""

    code = -5


class ShapeError(Error, ValueError):
    """Shapes that do not fit; the message shows both."""

    code = -6


class DTypeError(Error, TypeError):
    """An element type that lossfn does not read or write."""

    code = -7


class LabelError(Error, ValueError):
    """A class label out of range; the message shows its index."""

    code = -8


class DomainError(Error, ValueError):
    """A value outside the loss's domain, with domain="error"."""

    code = -9


class AliasError(Error, ValueError):
    """An output that overlaps another array."""

    code = -10


class UnsupportedError(Error, NotImplementedError):
    """Something that this loss does not offer."""

    code = -11


class OutOfMemoryError(Error, MemoryError):
    """The C library could not allocate."""

    code = -12


class CallbackError(Error, RuntimeError):
    """A loss written by a user failed. (One written in Python raises its own exception instead.)"""

    code = -13


class DeviceError(Error, BufferError):
    """An array that is not in main memory."""


class DomainWarning(UserWarning):
    """A value lay outside the loss's domain (a probability of 1.5, a negative count): the result is NaN there."""


BY_STATUS: tuple[type[Error], ...] = (
    Error,
    ArgumentError,
    SpecError,
    ParameterError,
    NotFoundError,
    ExistsError,
    ShapeError,
    DTypeError,
    LabelError,
    DomainError,
    AliasError,
    UnsupportedError,
    OutOfMemoryError,
    CallbackError,
)
