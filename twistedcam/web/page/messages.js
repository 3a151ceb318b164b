"use strict";

// The messages of the wire protocol, as they come in the body of an answer.

const PREFIX_BYTES = 8;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const JPEG_FIRST_BYTE = 0xff;
const JSON_FIRST_BYTE = 0x7b;
const JPEG_COMMENT = 0xfe;
const JPEG_SCAN = 0xda;

/** Cuts a stream of bytes into messages. Each byte is copied once, however many chunks a message comes in. */
class MessageReader {
  constructor() {
    this.inPrefix = false;
    this.expectNext();
  }

  /** The payloads that are complete with this chunk. Throws an Error if a length is that of no message. */
  *read(chunk) {
    for (let at = 0; at < chunk.length;) {
      const bytes = chunk.subarray(at, at + this.wanted.length - this.filled);
      this.wanted.set(bytes, this.filled);
      this.filled += bytes.length;
      at += bytes.length;
      if (this.filled < this.wanted.length) return;
      if (!this.inPrefix) yield this.wanted;
      this.expectNext();
    }
  }

  expectNext() {
    const length = this.inPrefix ? lengthIn(this.wanted) : PREFIX_BYTES;
    this.wanted = new Uint8Array(length);
    this.filled = 0;
    this.inPrefix = !this.inPrefix;
  }
}

function lengthIn(prefix) {
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length < 1 || length > MAX_MESSAGE_BYTES) throw new Error("what came is no message of a twistedcam server");
  return length;
}

/** The metadata in the comment segment of a JPEG; null if there is none. */
function metadataOf(jpeg) {
  const view = new DataView(jpeg.buffer, jpeg.byteOffset, jpeg.length);
  for (let at = 2; at + 4 <= jpeg.length && jpeg[at + 1] !== JPEG_SCAN; at += 2 + view.getUint16(at + 2)) {
    if (jpeg[at + 1] !== JPEG_COMMENT) continue;
    const found = objectIn(jpeg.subarray(at + 4, at + 2 + view.getUint16(at + 2)));
    if (found && "sequence" in found) return found;
  }
  return null;
}

/** The JSON object in these bytes; null if they are something else. */
function objectIn(bytes) {
  try {
    const found = JSON.parse(new TextDecoder().decode(bytes));
    return typeof found === "object" ? found : null;
  } catch {
    return null;
  }
}
