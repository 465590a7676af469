"""Sorted string tables as LevelDB writes them (its ``doc/table_format.md``), and the wire format of protocol buffers.

Both are read with every bound checked: bytes that are not what they should be raise `Unreadable`, and what a table may
claim is limited, so that a small file cannot ask for much memory. Tables whose blocks are compressed are refused;
TensorFlow writes none.
"""

from __future__ import annotations

from collections.abc import Iterator

import google_crc32c

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
"""The last 8 bytes of every table."""

FOOTER_BYTES = 48
TRAILER_BYTES = 5  # of a block: how it is compressed, and its masked CRC32C
MAX_KEY_BYTES = 1024
MAX_ENTRIES = 1 << 16


class Unreadable(Exception):
    """Why bytes are not what they should be; one line without the file's name."""


def masked_crc32c(content: bytes) -> int:
    """Return the CRC32C as LevelDB tables store it: rotated right by 15 bits, plus 0xa282ead8."""
    crc = int(google_crc32c.value(content))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class Cursor:
    """A place in bytes that only moves forward and never past their end."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    @property
    def at_end(self) -> bool:
        """Whether everything has been read."""
        return self._at == len(self._content)

    def take(self, n_bytes: int) -> bytes:
        """Return the next bytes."""
        if n_bytes > len(self._content) - self._at:
            raise Unreadable("an entry reaches past the end of its block")
        self._at += n_bytes
        return self._content[self._at - n_bytes : self._at]

    def varint(self) -> int:
        """Return the next number, 7 bits a byte, lowest first, below 2**64."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        else:
            raise Unreadable("a number has more than 64 bits")
        if value >> 64:
            raise Unreadable("a number has more than 64 bits")
        return value


def read_table(table: bytes) -> dict[bytes, bytes]:
    """Return a table's entries in their order.

    Raises:
        Unreadable: If it is not a whole, uncompressed table whose checksums fit.
    """
    if len(table) < FOOTER_BYTES or not table.endswith(MAGIC):
        raise Unreadable("cut short, or no table: its last 8 bytes are wrong")
    footer = Cursor(table[-FOOTER_BYTES:])
    _block(table, *_handle(footer))  # metadata, which TensorFlow leaves empty: only checked
    found: dict[bytes, bytes] = {}
    last, end = None, 0
    for _, place in _entries(_block(table, *_handle(footer))):
        offset, size = _handle(Cursor(place))
        if offset < end:
            raise Unreadable("its blocks overlap")
        end = offset + size
        for key, value in _entries(_block(table, offset, size)):
            if (last is not None and key <= last) or len(found) == MAX_ENTRIES:
                raise Unreadable("its keys are not in order, or too many")
            last = key
            found[key] = value
    return found


def _handle(cursor: Cursor) -> tuple[int, int]:
    """Read where a block is: offset and size in bytes."""
    return cursor.varint(), cursor.varint()


def _block(table: bytes, offset: int, size: int) -> bytes:
    end = offset + size
    if end + TRAILER_BYTES > len(table) - FOOTER_BYTES:
        raise Unreadable("a block lies outside the file")
    if masked_crc32c(table[offset : end + 1]) != int.from_bytes(table[end + 1 : end + TRAILER_BYTES], "little"):
        raise Unreadable("a block does not match its checksum")
    if table[end] != 0:
        raise Unreadable("its blocks are compressed (snappy), which is not supported; TensorFlow writes them plain")
    return table[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value); each key repeats the first bytes of the one before it."""
    n_restarts = int.from_bytes(block[-4:], "little")
    if 4 * (n_restarts + 1) > len(block):
        raise Unreadable("a block is shorter than its own index")
    cursor, key = Cursor(block[: len(block) - 4 * (n_restarts + 1)]), b""
    while not cursor.at_end:
        n_shared, n_new, n_value = cursor.varint(), cursor.varint(), cursor.varint()
        if n_shared > len(key) or n_shared + n_new > MAX_KEY_BYTES:
            raise Unreadable("a key is longer than it can be")
        key = key[:n_shared] + cursor.take(n_new)
        yield key, cursor.take(n_value)


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protocol buffer: number, and an unsigned number or the bytes of a string or message."""
    cursor = Cursor(message)
    while not cursor.at_end:
        number, wire = divmod(cursor.varint(), 8)
        if wire == 0:
            yield number, cursor.varint()
        elif wire == 2:
            yield number, cursor.take(cursor.varint())
        elif wire in {1, 5}:
            yield number, int.from_bytes(cursor.take(8 if wire == 1 else 4), "little")
        else:
            raise Unreadable(f"a field has the unknown kind {wire}")
