"""What a tool's answer is made of, sorted: texts, images that are what they say, and what is left out.

Text is text wherever it stands: also in a resource that comes with an answer. An image passes where it is one by its
first bytes and not too large; nothing can be cleaned out of it. Everything else is named and stays behind.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field

import mcp_types as mt

__all__ = ["IMAGES_MAX_BYTES", "Sorted", "sort_blocks"]

# Of all images of one answer, as they are sent.
IMAGES_MAX_BYTES = 1024 * 1024
_SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}


@dataclass
class Sorted:
    """An answer's blocks.

    Attributes:
        texts: Its texts.
        images: Its images, without anything but the image.
        left_out: What else there was, in a word each.
    """

    texts: list[str] = field(default_factory=list)
    images: list[mt.ImageContent] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def sort_blocks(blocks: Iterable[mt.ContentBlock]) -> Sorted:
    """Sort an answer's blocks.

    Args:
        blocks: The blocks, in order.
    """
    found = Sorted()
    for block in blocks:
        if isinstance(block, mt.TextContent):
            found.texts.append(block.text)
        elif isinstance(block, mt.EmbeddedResource) and isinstance(block.resource, mt.TextResourceContents):
            found.texts.append(f"[{block.resource.uri}]\n{block.resource.text}")
        elif isinstance(block, mt.ResourceLink):
            found.texts.append(f"[{block.name}: {block.uri}]")
        elif isinstance(block, mt.ImageContent) and _is_image(block) and _fits(block, found.images):
            found.images.append(mt.ImageContent(data=block.data, mime_type=block.mime_type))
        else:
            found.left_out.append(block.type)
    return found


def _is_image(block: mt.ImageContent) -> bool:
    """Whether the first bytes are those of its type, and all of it is base64."""
    signatures = _SIGNATURES.get(block.mime_type, ())
    if len(block.data) > IMAGES_MAX_BYTES or not signatures:
        return False
    try:
        return base64.b64decode(block.data, validate=True).startswith(signatures)
    except (binascii.Error, ValueError):
        return False


def _fits(block: mt.ImageContent, others: Iterable[mt.ImageContent]) -> bool:
    return len(block.data) + sum(len(other.data) for other in others) <= IMAGES_MAX_BYTES
