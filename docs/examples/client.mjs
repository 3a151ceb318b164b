// Watches a camstream server from plain JavaScript: node client.mjs [HOST [PORT [FRAMES]]]
// Written from docs/protocol.md: messages, the metadata in a JPEG's comment, and pings for the age.
import net from "node:net";

const [host = "127.0.0.1", port = "9999", frames = "10"] = process.argv.slice(2);
const socket = net.connect(Number(port), host);
const now = () => performance.now() / 1000;
let buffer = Buffer.alloc(0), offset = NaN, left = Number(frames);

function send(message) {
  const payload = Buffer.from(JSON.stringify(message)), prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(payload.length));
  socket.write(Buffer.concat([prefix, payload]));
}

function metadata(jpeg) {   // the JSON in the comment segment
  for (let at = 2; jpeg[at + 1] !== 0xda; at += 2 + jpeg.readUInt16BE(at + 2)) {
    if (jpeg[at + 1] === 0xfe) return JSON.parse(jpeg.subarray(at + 4, at + 2 + jpeg.readUInt16BE(at + 2)));
  }
}

function receive(payload) {
  if (payload[0] === 0xff) {
    const { camera, sequence, captured, state } = metadata(payload);
    console.log(`${camera} ${state} frame ${sequence}, age ${((now() + offset - captured) * 1000).toFixed(1)} ms`);
    if (--left === 0) socket.end();
  } else {
    const message = JSON.parse(payload);
    if (message.type === "pong") offset = message.clock - (message.sent + now()) / 2;
    if (message.type === "refused") console.error(message.reason);
  }
}

socket.on("data", (data) => {
  buffer = Buffer.concat([buffer, data]);
  for (let end; buffer.length >= 8 && buffer.length >= (end = 8 + Number(buffer.readBigUInt64LE())); ) {
    receive(buffer.subarray(8, end));
    buffer = buffer.subarray(end);
  }
});
socket.on("close", () => process.exit(left > 0 ? 1 : 0));
send({ type: "hello" });
send({ type: "ping", sent: now() });
setInterval(() => send({ type: "ping", sent: now() }), 1000);
