"""Pictures of every kind that people have, as the bytes of files, for the tests of reading them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (20, 40, 3), np.uint8)
GREY = RNG.integers(0, 256, (20, 40), np.uint8)
RAMP = np.linspace(0, 65535, 800).round().astype(np.uint16).reshape(20, 40)
WIDE_COLOUR = RNG.integers(0, 65536, (20, 40, 3)).astype(np.uint16)
FEW = np.stack([GREY // 64 * 85] * 3, -1) * np.array([1, 0, 1], np.uint8)  # four colours, for palettes


def encode(image: Image.Image | np.ndarray, form: str, **options) -> bytes:
    """The file that Pillow writes."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def rotated(image: Image.Image | np.ndarray, form: str, orientation: int = 6, **options) -> bytes:
    """The same with an orientation in its EXIF data."""
    exif = Image.Exif()
    exif[0x112] = orientation
    return encode(image, form, exif=exif, **options)


def png(depth: int, colour_type: int, rows: np.ndarray, height: int = 20, width: int = 40) -> bytes:
    """A PNG of rows of bytes, for kinds that Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    filtered = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(filtered)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff(values: np.ndarray, bits: int, *, photometric: int = 1, kind: int = 1, orientation: int = 1) -> bytes:
    """A TIFF of 20x40 grey values in one strip; photometric 0: white is zero; kind 2: signed, 3: floats."""
    data = values.tobytes()
    short = {256: 40, 257: 20, 258: bits, 259: 1, 262: photometric, 274: orientation, 277: 1, 278: 20, 339: kind}
    entries = short | {273: 8 + 2 + 12 * 11 + 4, 279: len(data)}
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + fields + struct.pack("<I", 0) + data


def twelve_bits(values: np.ndarray) -> np.ndarray:
    """16-bit values as packed 12-bit ones."""
    first, second = (values >> 4).reshape(-1, 2).T.astype(np.int32)
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8)


def _readable() -> dict[str, tuple[bytes, np.ndarray, float]]:
    """By name: a file, what it shows as uint8 or as floats in [0, 255], and how far reading may be from that."""
    colour, grey, few = map(Image.fromarray, (COLOUR, GREY, FEW))
    palette = few.quantize(4)
    bilevel = grey.convert("1")
    turned = np.rot90(COLOUR, -1)
    wide = RAMP / 257.0
    smooth = np.full((20, 40, 3), (200, 100, 50), np.uint8)
    alpha = np.dstack([COLOUR, GREY])
    also = {"save_all": True, "append_images": [Image.fromarray(255 - COLOUR)]}
    cmyk = Image.fromarray(smooth).convert("CMYK")
    return {
        "grey.png": (encode(grey, "PNG"), GREY, 0),
        "bilevel.png": (encode(bilevel, "PNG"), np.asarray(bilevel) * 255, 0),
        "two_bits.png": (png(2, 0, np.full((20, 10), 0b00011011, np.uint8)), np.tile([0, 85, 170, 255], (20, 10)), 0),
        "grey_alpha.png": (encode(grey.convert("LA"), "PNG"), GREY, 0),
        "colour_alpha.png": (encode(alpha, "PNG"), COLOUR, 0),
        "palette.png": (encode(palette, "PNG"), FEW, 0),
        "palette_alpha.png": (encode(palette, "PNG", transparency=b"\0\x80\xff\xff"), FEW, 0),
        "palette_index.png": (encode(palette, "PNG", transparency=1), FEW, 0),
        "grey_palette.png": (encode(grey.convert("P"), "PNG"), GREY, 0),
        "wide.png": (encode(RAMP, "PNG"), wide, 0.51),
        "wide_alpha.png": (png(16, 4, np.dstack([RAMP, RAMP]).astype(">u2")), wide, 1),
        "wide_colour.png": (png(16, 2, WIDE_COLOUR.astype(">u2")), WIDE_COLOUR / 257.0, 1),
        "animated.png": (encode(colour, "PNG", **also), COLOUR, 0),
        "grey.jpg": (encode(np.full((20, 40), 99, np.uint8), "JPEG"), np.full((20, 40), 99), 1),
        "colour.jfif": (encode(smooth, "JPEG"), smooth, 2),
        "cmyk.jpg": (encode(cmyk, "JPEG", quality=100), np.asarray(cmyk.convert("RGB")), 3),
        "cmyk.tif": (encode(cmyk, "TIFF"), np.asarray(cmyk.convert("RGB")), 0),
        "colour.webp": (encode(colour, "WEBP", lossless=True), COLOUR, 0),
        "animated.webp": (encode(colour, "WEBP", lossless=True, **also), COLOUR, 0),
        "colour.bmp": (encode(colour, "BMP"), COLOUR, 0),
        "grey.bmp": (encode(grey, "BMP"), GREY, 0),
        "colour.gif": (encode(palette, "GIF"), FEW, 0),
        "animated.gif": (encode(palette, "GIF", **also), FEW, 0),
        "grey.gif": (encode(grey, "GIF"), GREY, 0),
        "colour.ppm": (encode(colour, "PPM"), COLOUR, 0),
        "wide.pgm": (b"P5 40 20 65535\n" + RAMP.astype(">u2").tobytes(), wide, 0.51),
        "pages.tif": (encode(colour, "TIFF", **also), COLOUR, 0),
        "wide.tif": (encode(RAMP, "TIFF"), wide, 0.51),
        "wide_inverted.tif": (tiff(RAMP, 16, photometric=0), 255 - wide, 0.51),
        "twelve_bits.tif": (tiff(twelve_bits(RAMP), 12), wide, 0.6),
        "turned.tif": (tiff(GREY, 8, orientation=6), np.rot90(GREY, -1), 0),
        "turned_wide.tif": (tiff(RAMP, 16, orientation=6), np.rot90(wide, -1), 0.51),
        "turned_lzw.tif": (rotated(colour, "TIFF", compression="tiff_lzw"), turned, 0),
        "turned.png": (rotated(colour, "PNG"), turned, 0),
        "turned.webp": (rotated(colour, "WEBP", lossless=True), turned, 0),
        "mirrored.png": (rotated(colour, "PNG", 2), COLOUR[:, ::-1], 0),
        "no_orientation.png": (rotated(colour, "PNG", 99), COLOUR, 0),
        "damaged_exif.jpg": (rotated(smooth, "JPEG").replace(b"Exif\0\0MM", b"Exif\0\0ZZ"), smooth, 2),
    }


def _unreadable() -> dict[str, tuple[bytes, str]]:
    """By name: a file, and what the error says."""
    whole = {form: encode(COLOUR, form) for form in ("PNG", "JPEG", "WEBP", "BMP")}
    cut = {f"cut.{form.lower()}": (data[: len(data) // 2], "") for form, data in whole.items()}
    return cut | {
        "empty.png": (b"", "it is empty"),
        "page.jpg": (b"<html>", "it is no PNG, JPEG, WEBP, TIFF, BMP, DIB, GIF, PPM"),
        "drawing.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is no PNG"),  # nothing is run
        "huge.png": (png(1, 0, np.zeros((0, 1), np.uint8), 50_000, 50_000), "2500000000 pixels.* exceeds limit"),
        "floats.tif": (encode(RAMP.astype(np.float32), "TIFF"), "the range of pixels of Pillow's mode 'F'"),
        "signed.tif": (tiff((RAMP >> 1).astype(np.int16), 16, kind=2), "its pixels are signed numbers"),
        "signed_bytes.tif": (tiff((GREY >> 1).astype(np.int8), 8, kind=2), "its pixels are signed numbers"),
        "doubles.tif": (tiff(RAMP.astype(np.float64), 64, kind=3), "it is no PNG"),
    }


READABLE, UNREADABLE = _readable(), _unreadable()
