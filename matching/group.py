"""ristretto255 through libsodium, every return code checked.

Scalars and points are 32-byte ``bytes``; many of them are one ``bytes`` of 32 each, so that a
batch is
one loop over addresses and no object per element. Secret scalars never become Python integers. The
foreign calls release the GIL (``ctypes.CDLL``), so threads use all cores.

Source:
    RFC 9496 (group), libsodium ``crypto_core_ristretto255_*`` and
    ``crypto_scalarmult_ristretto255*``.
"""

import ctypes
import ctypes.util
import hmac
from collections.abc import Callable, Iterator
from functools import lru_cache

from matching.crypto_errors import PointRefused, ScalarRefused, SodiumMissing

SIZE = 32
ORDER = 2**252 + 27742317777372353535851937790883648493
IDENTITY = bytes(SIZE)
ZERO = bytes(SIZE)
ONE = b"\x01" + bytes(SIZE - 1)

_NAMES = ("libsodium.so.23", "libsodium.so.26", "libsodium.dylib", "libsodium.dll")
_ABSENT = (
    "libsodium is not installed (1.0.18 or newer): on Debian or Ubuntu `apt install libsodium23`, "
    "on Fedora `dnf install libsodium`, on macOS `brew install libsodium`"
)

_Call = Callable[..., int]


class _Sodium:
    """The few calls used, typed as addresses so that a loop passes plain integers."""

    def __init__(self, library: ctypes.CDLL) -> None:
        if library.sodium_init() < 0:
            raise SodiumMissing("libsodium could not start: no source of randomness")
        self.from_hash = _bind(library, "crypto_core_ristretto255_from_hash", 2)
        self.is_valid = _bind(library, "crypto_core_ristretto255_is_valid_point", 1)
        self.add = _bind(library, "crypto_core_ristretto255_add", 3)
        self.sub = _bind(library, "crypto_core_ristretto255_sub", 3)
        self.mult = _bind(library, "crypto_scalarmult_ristretto255", 3)
        self.base = _bind(library, "crypto_scalarmult_ristretto255_base", 2)
        self.invert = _bind(library, "crypto_core_ristretto255_scalar_invert", 2)
        self.reduce = _bind(library, "crypto_core_ristretto255_scalar_reduce", 2, void=True)
        self.scalar_add = _bind(library, "crypto_core_ristretto255_scalar_add", 3, void=True)
        self.scalar_sub = _bind(library, "crypto_core_ristretto255_scalar_sub", 3, void=True)
        self.scalar_mul = _bind(library, "crypto_core_ristretto255_scalar_mul", 3, void=True)


def _bind(library: ctypes.CDLL, name: str, addresses: int, *, void: bool = False) -> _Call:
    try:
        call = getattr(library, name)
    except AttributeError as error:
        raise SodiumMissing(_ABSENT) from error
    call.argtypes = [ctypes.c_void_p] * addresses
    call.restype = None if void else ctypes.c_int
    return call  # type: ignore[no-any-return]


def _candidates() -> Iterator[str]:
    found = ctypes.util.find_library("sodium")
    if found:
        yield found
    yield from _NAMES


@lru_cache(maxsize=1)
def _sodium() -> _Sodium:
    for name in _candidates():
        try:
            return _Sodium(ctypes.CDLL(name))
        except OSError:
            continue
    raise SodiumMissing(_ABSENT)


def available() -> None:
    """Load libsodium now.

    Raises:
        SodiumMissing: with the package to install, so that a tool can say it before any work is
        done.
    """
    _sodium()


def _in(raw: bytes, size: int = SIZE) -> ctypes.Array[ctypes.c_char]:
    if len(raw) != size:
        raise ScalarRefused(f"expected {size} bytes, got {len(raw)}")
    return ctypes.create_string_buffer(raw, size)


def _many(raw: bytes) -> tuple[ctypes.Array[ctypes.c_char], int, int]:
    if len(raw) % SIZE:
        raise PointRefused("a list of elements must be a multiple of 32 bytes")
    held = ctypes.create_string_buffer(raw, max(len(raw), 1))
    return held, ctypes.addressof(held), len(raw) // SIZE


# -- points ---------------------------------------------------------------------------------------


def check_point(point: bytes) -> None:
    """Check that ``point`` is a canonical encoding and not the identity.

    Raises:
        PointRefused: libsodium's own check accepts the identity; this one does not.
    """
    if len(point) != SIZE or point == IDENTITY:
        raise PointRefused("the identity or a wrong length is no point here")
    if _sodium().is_valid(_in(point)) != 1:
        raise PointRefused("not a canonical ristretto255 element")


def from_hash(uniform: bytes) -> bytes:
    """Map 64 uniform bytes to a point (RFC 9496, 4.3.4)."""
    out = ctypes.create_string_buffer(SIZE)
    if _sodium().from_hash(out, _in(uniform, 64)) != 0:
        raise PointRefused("could not map to the group")
    return out.raw


def mult(scalar: bytes, point: bytes) -> bytes:
    """Return scalar*point; an undecodable point or an identity result is refused."""
    return mult_each(scalar, point)


def base(scalar: bytes) -> bytes:
    """Return scalar*G; a zero scalar is refused, since its result would be the identity."""
    out = ctypes.create_string_buffer(SIZE)
    if _sodium().base(out, _in(scalar)) != 0:
        raise PointRefused("multiplying the base by zero gives the identity")
    return out.raw


def _two(call: _Call, left: bytes, right: bytes) -> bytes:
    out = ctypes.create_string_buffer(SIZE)
    if call(out, _in(left), _in(right)) != 0:
        raise PointRefused("an operand is not a canonical ristretto255 element")
    return out.raw


def add(left: bytes, right: bytes) -> bytes:
    """Return left + right. The identity is a legal operand and result."""
    return _two(_sodium().add, left, right)


def sub(left: bytes, right: bytes) -> bytes:
    """Return left - right. The identity is a legal operand and result."""
    return _two(_sodium().sub, left, right)


def mult_each(scalar: bytes, points: bytes) -> bytes:
    """Return scalar*P for every P in ``points`` (32 bytes each), in order.

    Raises:
        PointRefused: any P that is not canonical, or is the identity. The scalar multiplication
        decodes
            strictly and refuses an identity result, so no second validity check is paid for.
    """
    held, source, count = _many(points)
    out = ctypes.create_string_buffer(max(SIZE * count, 1))
    target, secret, call = ctypes.addressof(out), _in(scalar), _sodium().mult
    key = ctypes.addressof(secret)
    for offset in range(0, SIZE * count, SIZE):
        if call(target + offset, key, source + offset) != 0:
            raise PointRefused("not a canonical ristretto255 element, or the identity")
    del held
    return out.raw[: SIZE * count]


def mult_pairs(scalars: bytes, points: bytes) -> bytes:
    """Return scalar_i*P_i for every i, in order; refuses as `mult_each`."""
    held, source, count = _many(points)
    keys, key, other = _many(scalars)
    if other != count:
        raise PointRefused("as many scalars as points are needed")
    out = ctypes.create_string_buffer(max(SIZE * count, 1))
    target, call = ctypes.addressof(out), _sodium().mult
    for offset in range(0, SIZE * count, SIZE):
        if call(target + offset, key + offset, source + offset) != 0:
            raise PointRefused("not a canonical ristretto255 element, or the identity")
    del held, keys
    return out.raw[: SIZE * count]


def add_pairs(left: bytes, right: bytes) -> bytes:
    """Return left_i + right_i for every i, in order."""
    one, first, count = _many(left)
    two, second, other = _many(right)
    if other != count:
        raise PointRefused("both lists must be of one length")
    out = ctypes.create_string_buffer(max(SIZE * count, 1))
    target, call = ctypes.addressof(out), _sodium().add
    for offset in range(0, SIZE * count, SIZE):
        if call(target + offset, first + offset, second + offset) != 0:
            raise PointRefused("not a canonical ristretto255 element")
    del one, two
    return out.raw[: SIZE * count]


def weighted_sum(scalars: bytes, points: bytes) -> bytes:
    """Return the sum of scalar_i*P_i: one multiplication and one addition each."""
    held, source, count = _many(points)
    keys, key, other = _many(scalars)
    if other != count:
        raise PointRefused("as many scalars as points are needed")
    total, term = ctypes.create_string_buffer(SIZE), ctypes.create_string_buffer(SIZE)
    here, step = ctypes.addressof(total), ctypes.addressof(term)
    call, plus = _sodium().mult, _sodium().add
    for offset in range(0, SIZE * count, SIZE):
        if call(step, key + offset, source + offset) != 0 or plus(here, here, step) != 0:
            raise PointRefused("not a canonical ristretto255 element, or the identity")
    del held, keys
    return total.raw


# -- scalars --------------------------------------------------------------------------------------


def check_scalar(scalar: bytes) -> None:
    """Check that ``scalar`` is canonical (below the group order) and not zero.

    Raises:
        ScalarRefused: libsodium would reduce silently, so two encodings would mean one key.
    """
    if len(scalar) != SIZE or not hmac.compare_digest(reduce(scalar + bytes(SIZE)), scalar):
        raise ScalarRefused("not a canonical scalar")
    if hmac.compare_digest(scalar, ZERO):
        raise ScalarRefused("a zero scalar")


def reduce(uniform: bytes) -> bytes:
    """Reduce 64 uniform bytes (little endian) modulo the group order."""
    out = ctypes.create_string_buffer(SIZE)
    _sodium().reduce(out, _in(uniform, 64))
    return out.raw


def reduce_each(uniform: bytes) -> bytes:
    """Reduce every 64 bytes of ``uniform``; 32 bytes each come back, in order.

    Raises:
        ScalarRefused: one of them came out zero (probability 2**-252, or broken randomness).
    """
    if len(uniform) % 64:
        raise ScalarRefused("uniform bytes come in 64s")
    held = ctypes.create_string_buffer(uniform, max(len(uniform), 1))
    out = ctypes.create_string_buffer(max(len(uniform) // 2, 1))
    source, target, call = ctypes.addressof(held), ctypes.addressof(out), _sodium().reduce
    for offset in range(0, len(uniform) // 2, SIZE):
        call(target + offset, source + 2 * offset)
        if ctypes.string_at(target + offset, SIZE) == ZERO:
            raise ScalarRefused("a zero scalar")
    return out.raw[: len(uniform) // 2]


def _scalars(call: _Call, left: bytes, right: bytes) -> bytes:
    out = ctypes.create_string_buffer(SIZE)
    call(out, _in(left), _in(right))
    return out.raw


def scalar_add(left: bytes, right: bytes) -> bytes:
    """Return left + right modulo the group order."""
    return _scalars(_sodium().scalar_add, left, right)


def scalar_sub(left: bytes, right: bytes) -> bytes:
    """Return left - right modulo the group order."""
    return _scalars(_sodium().scalar_sub, left, right)


def scalar_mul(left: bytes, right: bytes) -> bytes:
    """Return left * right modulo the group order."""
    return _scalars(_sodium().scalar_mul, left, right)


def invert(scalar: bytes) -> bytes:
    """Return 1/scalar modulo the group order.

    Raises:
        ScalarRefused: zero has no inverse.
    """
    out = ctypes.create_string_buffer(SIZE)
    if _sodium().invert(out, _in(scalar)) != 0:
        raise ScalarRefused("zero has no inverse")
    return out.raw


def invert_each(scalars: bytes, factor: bytes = ONE) -> bytes:
    """Return factor/s for every scalar s, with one inversion shared by all (Montgomery's trick).

    Three multiplications each, all in libsodium. ``factor`` is where a Lagrange coefficient goes in
    without costing another multiplication per element.
    """
    held, source, count = _many(scalars)
    if count == 0:
        return b""
    prefix = ctypes.create_string_buffer(SIZE * count)
    partial, call = ctypes.addressof(prefix), _sodium().scalar_mul
    ctypes.memmove(partial, source, SIZE)
    for offset in range(SIZE, SIZE * count, SIZE):
        call(partial + offset, partial + offset - SIZE, source + offset)
    # Zero anywhere makes the whole product zero, so one refusal covers them all.
    running = _in(scalar_mul(factor, invert(prefix.raw[-SIZE:])))
    out, here = ctypes.create_string_buffer(SIZE * count), ctypes.addressof(running)
    target = ctypes.addressof(out)
    for offset in range(SIZE * (count - 1), 0, -SIZE):
        call(target + offset, here, partial + offset - SIZE)
        call(here, here, source + offset)
    ctypes.memmove(target, here, SIZE)
    del held
    return out.raw


def scale_each(scalars: bytes, factor: bytes) -> bytes:
    """Return factor*s for every scalar s, in order."""
    held, source, count = _many(scalars)
    out = ctypes.create_string_buffer(max(SIZE * count, 1))
    target, call, key = ctypes.addressof(out), _sodium().scalar_mul, _in(factor)
    by = ctypes.addressof(key)
    for offset in range(0, SIZE * count, SIZE):
        call(target + offset, source + offset, by)
    del held
    return out.raw[: SIZE * count]


def small(number: int) -> bytes:
    """Encode a public integer modulo the group order as a scalar. Never for secrets."""
    return (number % ORDER).to_bytes(SIZE, "little")
