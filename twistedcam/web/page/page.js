"use strict";

// A stream is read with fetch instead of an <img>, so that each picture's time is known,
// a stream that has stopped is noticed, and of several pictures that have arrived only
// the newest is decoded.

const STALL_MS = 4000;       // a lost camera still sends its card once a second
const STATE_MS = 1000;
const RETRY_MS = [500, 1000, 2000, 5000];
const MOST_STREAMS = 4;      // browsers open six connections to a server; one is for the state
const POLL_MS = 1000;        // for the cameras beyond those, which are polled
const CLOCK_SAMPLES = 10;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The server's time of day in seconds, estimated from the answer that came back quickest. */
const clock = {
  samples: [],
  add(sent, received, server) {
    const sample = { trip: received - sent, offset: server - (sent + received) / 2 };
    const best = this.best();
    if (best && Math.abs(sample.offset - best.offset) > (sample.trip + best.trip) / 2 + 0.005) {
      this.samples = [];   // more than both errors: a clock was set
    }
    this.samples.push(sample);
    this.samples = this.samples.slice(-CLOCK_SAMPLES);
  },
  best() {
    return this.samples.reduce((a, b) => (a && a.trip <= b.trip ? a : b), null);
  },
  now() {
    const best = this.best();
    return best && performance.now() / 1000 + best.offset;
  },
};

/** Yields {captured, jpeg} for each part of a multipart stream. */
async function* parts(body) {
  const reader = body.getReader();
  let buffer = new Uint8Array(0);
  const more = async () => {
    const { done, value } = await reader.read();
    if (done) throw new Error("the stream ended");
    const joined = new Uint8Array(buffer.length + value.length);
    joined.set(buffer);
    joined.set(value, buffer.length);
    buffer = joined;
  };
  const text = new TextDecoder("latin1");
  for (;;) {
    let end;
    while ((end = text.decode(buffer.subarray(0, 1024)).indexOf("\r\n\r\n")) < 0) await more();
    const head = text.decode(buffer.subarray(0, end));
    const length = Number(/content-length: *(\d+)/i.exec(head)[1]);
    const captured = Number(/x-timestamp: *([\d.]+)/i.exec(head)[1]);
    while (buffer.length < end + 4 + length) await more();
    yield { captured, jpeg: buffer.slice(end + 4, end + 4 + length) };
    buffer = buffer.slice(end + 4 + length);
  }
}

class Camera {
  constructor(name, number) {
    const fragment = document.getElementById("camera").content.cloneNode(true);
    this.root = fragment.querySelector(".camera");
    this.name = name;
    this.streams = number < MOST_STREAMS;
    this.canvas = this.find("canvas");
    this.canvas.setAttribute("aria-label", `Camera ${name}`);
    this.find("h2").textContent = name;
    const snapshot = this.find(".snapshot");
    snapshot.href = `snapshot/${encodeURIComponent(name)}`;
    snapshot.download = `${name}.jpg`;
    this.paused = false;
    this.server = null;
    this.times = [];
    this.find(".pause").addEventListener("click", () => this.pause());
    this.find(".full").addEventListener("click", () => this.fullScreen());
    this.canvas.addEventListener("dblclick", () => this.fullScreen());
    document.getElementById("cameras").append(fragment);
    this.run();
  }

  find(selector) { return this.root.querySelector(selector); }

  wanted() { return !this.paused && document.visibilityState === "visible"; }

  pause() {
    this.paused = !this.paused;
    const button = this.find(".pause");
    button.setAttribute("aria-pressed", String(this.paused));
    button.textContent = this.paused ? "Resume" : "Pause";
    this.wake();
    this.show();
  }

  async fullScreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.find(".screen").requestFullscreen();
  }

  /** Check again whether the stream is wanted. */
  wake() {
    if (this.abort && !this.wanted()) this.abort.abort();
    if (this.wakeUp) this.wakeUp();
  }

  async run() {
    let failures = 0;
    for (;;) {
      while (!this.wanted()) await new Promise((resolve) => { this.wakeUp = resolve; });
      this.wakeUp = null;
      try {
        await (this.streams ? this.stream() : this.poll());
        failures = 0;
      } catch (error) {
        if (!this.wanted()) continue;
        this.connected = false;
        this.show(error.message);
        if (this.gotOne) failures = 0;
        await sleep(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
      }
    }
  }

  address(kind, query) {
    const width = Math.ceil(this.root.clientWidth * devicePixelRatio) || 640;
    return `${kind}/${encodeURIComponent(this.name)}?width=${Math.min(width, 100000)}${query}`;
  }

  async get(url) {
    this.abort = new AbortController();
    const alarm = setTimeout(() => this.abort.abort(), STALL_MS + 7000);   // a camera may take long to open
    try {
      const response = await fetch(url, { signal: this.abort.signal, cache: "no-store" });
      if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
      return response;
    } catch (error) {
      throw error instanceof TypeError ? new Error("the server does not answer") : error;
    } finally {
      clearTimeout(alarm);
    }
  }

  async stream() {
    this.gotOne = false;
    const response = await this.get(this.address("stream", ""));
    const abort = this.abort;
    const stalled = () => abort.abort(new Error("no picture has come for a while"));
    let alarm = setTimeout(stalled, STALL_MS + 7000);
    try {
      for await (const part of parts(response.body)) {
        clearTimeout(alarm);
        alarm = setTimeout(stalled, STALL_MS);
        this.take(part);
      }
    } finally {
      clearTimeout(alarm);
      abort.abort();
    }
  }

  async poll() {
    for (;;) {
      const response = await this.get(this.address("snapshot", "&max_age=2"));
      const captured = Number(response.headers.get("X-Timestamp"));
      this.take({ captured, jpeg: new Uint8Array(await response.arrayBuffer()) });
      await sleep(POLL_MS);
      if (!this.wanted()) return;
    }
  }

  take(part) {
    this.gotOne = true;
    this.connected = true;
    this.waiting = part;   // in place of one that has not been shown yet
    if (!this.drawing) this.draw();
  }

  async draw() {
    this.drawing = true;
    while (this.waiting) {
      const part = this.waiting;
      this.waiting = null;
      try {
        const bitmap = await createImageBitmap(new Blob([part.jpeg], { type: "image/jpeg" }));
        if (this.paused) { bitmap.close(); break; }
        if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
          this.canvas.width = bitmap.width;
          this.canvas.height = bitmap.height;
        }
        this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
        bitmap.close();
      } catch (error) {
        continue;   // a damaged picture
      }
      this.captured = part.captured;
      this.times.push(performance.now());
      this.shownAge = clock.now() && clock.now() - part.captured;
      this.show();
    }
    this.drawing = false;
  }

  /** Show the camera's state, and the problem if there is one. */
  show(problem = "") {
    const lost = this.server && this.server.state === "lost";
    const state = this.paused ? "paused" : !this.connected ? (problem ? "offline" : "connecting") : lost ? "lost" : "live";
    this.root.dataset.state = state;
    const words = { lost: "no signal", offline: "reconnecting" };
    if (this.find(".state").textContent !== (words[state] || state)) this.find(".state").textContent = words[state] || state;
    const notice = this.find(".notice");
    notice.hidden = !problem;
    notice.textContent = problem;
    const live = this.connected && !this.paused;
    const since = performance.now() - 2000;
    this.times = this.times.filter((time) => time > since);
    this.find(".fps").textContent = live ? (this.times.length / 2).toFixed(0) : "–";
    const age = live && this.captured && clock.now() ? this.shownAge : null;
    this.find(".age").textContent = age === null ? "–" : `${Math.max(0, Math.round(age * 1000))} ms`;
    this.find(".viewers").textContent = this.server ? String(this.server.viewers.length) : "–";
  }
}

const cameras = new Map();

async function state() {
  const sent = performance.now() / 1000;
  const response = await fetch("state", { cache: "no-store", signal: AbortSignal.timeout(STALL_MS) });
  if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
  const said = await response.json();
  clock.add(sent, performance.now() / 1000, said.clock);
  return said;
}

async function main() {
  const summary = document.getElementById("summary");
  const say = (text) => { if (summary.textContent !== text) summary.textContent = text; };
  document.addEventListener("visibilitychange", () => cameras.forEach((camera) => camera.wake()));
  for (;;) {
    if (document.visibilityState === "visible") {
      try {
        const said = await state();
        for (const server of said.cameras) {
          if (!cameras.has(server.name)) cameras.set(server.name, new Camera(server.name, cameras.size));
          const camera = cameras.get(server.name);
          camera.server = server;
          if (camera.connected) camera.show();
        }
        const lost = said.cameras.filter((server) => server.state === "lost").map((server) => server.name);
        say(lost.length ? `no signal: ${lost.join(", ")}` : "connected");
      } catch (error) {
        say(error.name === "TypeError" || error.name === "TimeoutError" ? "the server does not answer" : error.message);
      }
    }
    await sleep(STATE_MS);
  }
}

main();
