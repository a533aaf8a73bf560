# SPDX-License-Identifier: MIT
"""Makes a screenshot small enough to be kept in the tree: 256 colours, the commonest, and each other one as the nearest
of them. Knows PNG (RFC 2083) as far as a browser writes it: eight bits a channel, no interlace."""
import collections
import struct
import zlib


def chunks(data):
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def unfiltered(raw, width, height, step):
    """The bytes of the pixels, row by row."""
    stride, above, rows = width * step, bytes(width * step), []
    for y in range(height):
        kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride if kind else 0):
            left, up, corner = (row[x - step] if x >= step else 0), above[x], (above[x - step] if x >= step else 0)
            near = left + up - corner
            paeth = min((left, up, corner), key=lambda value: abs(near - value))
            row[x] = (row[x] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        rows.append(bytes(row))
        above = row
    return rows


def squeeze(path):
    parts = list(chunks(path.read_bytes()))
    width, height, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", parts[0][1])
    assert depth == 8 and kind in (2, 6) and not interlace
    step = 3 if kind == 2 else 4
    raw = zlib.decompress(b"".join(body for name, body in parts if name == b"IDAT"))
    pixels = [[row[x : x + 3] for x in range(0, width * step, step)] for row in unfiltered(raw, width, height, step)]
    counts = collections.Counter(colour for row in pixels for colour in row)
    palette = [colour for colour, _ in counts.most_common(256)]
    place = {colour: min(range(len(palette)), key=lambda i: sum((a - b) ** 2 for a, b in zip(palette[i], colour))) for colour in counts}
    body = b"".join(b"\0" + bytes(place[colour] for colour in row) for row in pixels)
    fresh = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)), (b"PLTE", b"".join(palette)),
             (b"IDAT", zlib.compress(body, 9)), (b"IEND", b"")]  # fmt: skip
    crc = lambda name, data: struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(data)) + name + data + crc(name, data) for name, data in fresh))
