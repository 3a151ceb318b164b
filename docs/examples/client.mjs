// Watches a camstream server from plain JavaScript: node client.mjs [HOST [PORT [FRAMES]]]
// All it takes is docs/protocol.md: messages, a JPEG's comment, and a ping for the age.
import net from "node:net";

const [host = "127.0.0.1", port = "9999", frames = "10"] = process.argv.slice(2);
const socket = net.connect(Number(port), host);
let buffer = Buffer.alloc(0), offset = null, seen = 0;

function send(message) {
  const payload = Buffer.from(JSON.stringify(message));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(payload.length));
  socket.write(Buffer.concat([prefix, payload]));
}

/** The JSON in the comment segment of a JPEG. */
function metadata(jpeg) {
  for (let at = 2; jpeg[at] === 0xff && jpeg[at + 1] !== 0xda; at += 2 + jpeg.readUInt16BE(at + 2)) {
    if (jpeg[at + 1] === 0xfe) return JSON.parse(jpeg.subarray(at + 4, at + 2 + jpeg.readUInt16BE(at + 2)));
  }
}

function receive(payload) {
  if (payload[0] === 0xff) {
    const { camera, sequence, captured, state } = metadata(payload);
    const age = offset === null ? "unknown" : `${((performance.now() / 1000 + offset - captured) * 1000).toFixed(1)} ms`;
    console.log(`${camera} ${state} frame ${sequence}, ${payload.length} bytes, age ${age}`);
    if (++seen === Number(frames)) socket.end();
    return;
  }
  const message = JSON.parse(payload);
  if (message.type === "pong") offset = message.clock - (message.sent + performance.now() / 1000) / 2;
  if (message.type === "refused") console.error(message.reason);
}

socket.on("data", (data) => {
  buffer = Buffer.concat([buffer, data]);
  while (buffer.length >= 8 && buffer.length >= 8 + Number(buffer.readBigUInt64LE())) {
    const end = 8 + Number(buffer.readBigUInt64LE());
    receive(buffer.subarray(8, end));
    buffer = buffer.subarray(end);
  }
});
socket.on("close", () => process.exit(seen < Number(frames) ? 1 : 0));
send({ type: "hello" });
const ping = () => send({ type: "ping", sent: performance.now() / 1000 });
ping();
setInterval(ping, 1000);
