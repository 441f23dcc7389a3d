#!/usr/bin/env python3
"""Draws the pictures of web/avatars, each as SVG and as PNG, from one description: a head with a headset on a coloured
disc. Run it after changing the description; the same description gives the same bytes."""
import struct
import sys
import zlib
from pathlib import Path

SIZE = 128  # pixels; the SVG scales
SAMPLES = 4  # per pixel and direction
SKIN, HAIR, METAL = "#f4d7c1", "#3b3a4a", "#f7f7fb"

# name: disc, clothes
AVATARS = {
    "ai-avatar": ("#5b6cff", "#2b2f77"),
    "amazon": ("#ffb74d", "#37474f"),
    "apple": ("#b0bec5", "#455a64"),
    "general": ("#4db6ac", "#00574b"),
    "netflix": ("#ef5350", "#4e1414"),
    "pizza-hut": ("#ff8a65", "#8d2f1d"),
}


def shapes(disc, clothes):
    """Ellipses (cx, cy, rx, ry, colour, lowest y that is drawn or None), from back to front, on 128 x 128."""
    return [
        (64, 64, 64, 64, disc, None),
        (64, 132, 44, 40, clothes, None),
        (64, 54, 34, 36, METAL, 58),   # the headset's bow …
        (64, 55, 29, 32, disc, 58),    # … around the head
        (64, 50, 26, 28, HAIR, None),
        (64, 58, 23, 26, SKIN, None),
        (34, 60, 7, 11, METAL, None),
        (94, 60, 7, 11, METAL, None),
        (54, 56, 3, 4, HAIR, None),
        (74, 56, 3, 4, HAIR, None),
        (64, 70, 9, 6, HAIR, None),
        (64, 67, 10, 5, SKIN, None),
    ]


def inside(shape, x, y):
    cx, cy, rx, ry, _, lowest = shape
    return (lowest is None or y <= lowest) and ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1


def rgb(colour):
    return tuple(int(colour[i:i + 2], 16) for i in (1, 3, 5))


def pixel(drawn, x, y):
    """Colour and opacity of one pixel: nothing is painted outside of the disc."""
    total, hits = [0, 0, 0], 0
    for i in range(SAMPLES * SAMPLES):
        sx, sy = x + (i % SAMPLES + 0.5) / SAMPLES, y + (i // SAMPLES + 0.5) / SAMPLES
        if not inside(drawn[0], sx, sy):
            continue
        top = next(shape for shape in reversed(drawn) if inside(shape, sx, sy))
        hits += 1
        total = [a + b for a, b in zip(total, rgb(top[4]))]
    # Few shades make a small file.
    shade = tuple(min(255, round(part / hits / 8) * 8) for part in total) if hits else (0, 0, 0)
    return shade + (round(hits / SAMPLES ** 2 * 255),)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(drawn):
    rows = [[pixel(drawn, x, y) for x in range(SIZE)] for y in range(SIZE)]
    counts = {}
    for row in rows:
        for colour in row:
            counts[colour] = counts.get(colour, 0) + 1
    palette = sorted(sorted(counts, key=lambda c: (-counts[c], c))[:256], key=lambda c: (c[3], c))
    nearest = {c: min(range(len(palette)), key=lambda i: sum((a - b) ** 2 for a, b in zip(c, palette[i]))) for c in counts}
    data = b"".join(b"\0" + bytes(nearest[c] for c in row) for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 8, 3, 0, 0, 0))
            + chunk(b"PLTE", b"".join(bytes(c[:3]) for c in palette)) + chunk(b"tRNS", bytes(c[3] for c in palette))
            + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def svg(drawn):
    """Colours are attributes: the policy that comes with it allows no styles."""
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}">',
             '<clipPath id="disc"><circle cx="64" cy="64" r="64"/></clipPath>',
             '<clipPath id="upper"><rect width="128" height="58"/></clipPath>',
             '<g clip-path="url(#disc)">']
    for cx, cy, rx, ry, colour, lowest in drawn:
        cut = ' clip-path="url(#upper)"' if lowest else ""
        lines.append(f'<ellipse cx="{cx}" cy="{cy}" rx="{rx}" ry="{ry}" fill="{colour}"{cut}/>')
    return "\n".join(lines + ["</g>", "</svg>", ""])


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "web" / "avatars"
    for name, colours in AVATARS.items():
        drawn = shapes(*colours)
        (folder / f"{name}.svg").write_text(svg(drawn))
        (folder / f"{name}.png").write_bytes(png(drawn))


if __name__ == "__main__":
    main()
