"use strict";

// One request, for messages, brings the pictures of all cameras that are wanted, and their state. What is wanted is in
// the request: when that changes, a new one takes its place, and the last pictures stay on the screen meanwhile.

const STALL_MS = 4000;         // the state comes once a second
const ANSWER_MS = 8000;        // for the first byte
const STATE_MS = 4000;
const CLOCK_MS = 60000;        // between two looks at the server's clock
const FIRST_CLOCK_MS = 2000;
const IDLE_MS = 5000;          // between two looks at the state while no picture is wanted
const DEBOUNCE_MS = 250;
const SHOW_MS = 500;
const RETRY_MS = [500, 1000, 2000, 5000];
const STEADY_MS = 5000;        // a connection that lasted so long was a success
const LATE_SECONDS = 2;        // a picture that came later is not called live
const DIVISORS = [8, 4, 2, 1]; // of the full width: the sizes that the server makes

const OTHER_WANTED = new Error("something else is wanted now");

// Not of the document's own address: it may contain a password, with which fetch() fails.
const BASE = new URL("./", location.origin + location.pathname);
const addressOf = (path) => new URL(path, BASE).href;
const seconds = () => performance.now() / 1000;
const isHidden = () => document.visibilityState !== "visible";
const find = (selector) => document.querySelector(selector);

/** What failed, in words for the user. No further attempt is made by itself if it `isFinal`. */
class Problem extends Error {
  constructor(text, { retryMs = 0, isFinal = false } = {}) {
    super(text);
    this.retryMs = retryMs;
    this.isFinal = isFinal;
  }
}

/** The Problem that an answer with an error is. */
async function refusal(response) {
  const isText = (response.headers.get("Content-Type") || "").startsWith("text/plain");
  const text = isText ? (await response.text()).trim().split("\n")[0] : "";
  return new Problem(text || `the server answers ${response.status} ${response.statusText}`.trim(), {
    retryMs: 1000 * (Number(response.headers.get("Retry-After")) || 0),
    isFinal: [400, 401, 403, 421].includes(response.status),   // 401 would ask for a password each time
  });
}

/** The Problem that an error of fetch() is. */
function problemOf(error) {
  if (error instanceof Problem) return error;
  if (error.name === "TypeError") return new Problem("the server does not answer");
  if (error.name === "SyntaxError") return new Problem("what came is no answer of a twistedcam server");
  if (error.name !== "TimeoutError") return new Problem(error.message);
  return new Problem("no answer yet: the server is slow, a proxy holds its answer back, " +
    "or the browser has no connection left for one more window");
}

/** Set the text of an element, but only if it is another: a screen reader would say it again. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

class Camera {
  constructor(server) {
    this.root = find("#camera").content.firstElementChild.cloneNode(true);
    this.name = server.name;
    this.server = server;
    this.isPaused = false;
    this.problem = "";
    this.isShowing = false;   // a picture has come since the last failure, or since none was wanted
    this.drawnAt = [];
    this.prepare();
  }

  find(selector) { return this.root.querySelector(selector); }

  prepare() {
    this.canvas = this.find("canvas");
    this.find("h2").textContent = this.name;
    const snapshot = this.find(".snapshot");
    snapshot.href = addressOf(`snapshot/${encodeURIComponent(this.name)}`);
    snapshot.download = `${this.name}.jpg`;
    this.find(".pause").addEventListener("click", () => this.pause());
    this.find(".full").addEventListener("click", () => this.toggleFullScreen());
    this.find(".full").hidden = !document.fullscreenEnabled;   // iPhones have it for videos only
    this.canvas.addEventListener("dblclick", () => this.toggleFullScreen());
  }

  pause() {
    this.isPaused = !this.isPaused;
    const button = this.find(".pause");
    button.setAttribute("aria-pressed", String(this.isPaused));
    button.textContent = this.isPaused ? "Resume" : "Pause";
    this.show();
    connection.review();
  }

  async toggleFullScreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.find(".screen").requestFullscreen();
  }

  get isFullScreen() { return this.find(".screen") === document.fullscreenElement; }

  /** By what to divide the full width, for the size that is shown and for this step of the ladder. */
  divisorFor(step) {
    const pixels = Math.ceil(this.canvas.clientWidth * devicePixelRatio) || 1;
    const shown = DIVISORS.find((divisor) => Math.floor(this.server.width / divisor) >= pixels) || 1;
    return Math.max(shown, step.divisor);
  }

  /** Show this picture, in place of one that has not been drawn yet. */
  offer(picture) {
    this.waiting = picture;
    if (this.isDrawing) return;
    this.isDrawing = true;
    setTimeout(() => this.draw());   // when all that has arrived is read
  }

  async draw() {
    while (this.waiting) {
      const picture = this.waiting;
      this.waiting = null;
      try {
        const bitmap = await createImageBitmap(new Blob([picture.jpeg], { type: "image/jpeg" }));
        if (!this.isPaused) this.paint(bitmap, picture.captured);
        bitmap.close();
      } catch {
        continue;   // a damaged picture
      }
    }
    this.isDrawing = false;
  }

  paint(bitmap, captured) {
    if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) {
      this.canvas.width = bitmap.width;
      this.canvas.height = bitmap.height;
    }
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    this.lastDrawn = seconds();
    this.drawnAt.push(this.lastDrawn);
    this.captured = captured;
    this.drawnAge = this.ageNow();
    if (this.isShowing) return;
    this.isShowing = true;
    this.show();
  }

  /** The age of the picture that is shown; null if it is unknown. */
  ageNow() {
    const now = clock.at(seconds());
    return now === null || !this.captured ? null : Math.max(0, now - this.captured);
  }

  fail(problem) {
    this.isShowing = false;
    this.problem = problem;
    this.show();
  }

  get state() {
    if (this.isPaused) return "paused";
    if (this.problem) return "offline";
    if (!this.isShowing) return "connecting";
    if (this.server.state === "lost") return "lost";
    if (this.drawnAge > LATE_SECONDS) return "late";
    return this.server.stored ? "stored" : "live";
  }

  get notice() {
    if (this.problem || this.isPaused) return this.problem;
    const age = ladder.tooSlow && this.state === "late" ? Math.round(this.drawnAge) : 0;
    return age ? `the connection is too slow: pictures are ${age} s old` : this.server.problem || "";
  }

  show() {
    const offline = connection.problem?.isFinal ? "refused" : "reconnecting";
    const words = { lost: "no signal", offline, stored: "stored pictures" };
    const state = this.state;
    this.root.dataset.state = state;
    setText(this.find(".state"), words[state] || state);
    const reason = state === "lost" && this.server.reason ? `: ${this.server.reason}` : "";
    this.canvas.setAttribute("aria-label", `Camera ${this.name}, ${words[state] || state}${reason}`);
    this.find(".notice").hidden = !this.notice;
    setText(this.find(".notice"), this.notice);
    this.showNumbers(this.isShowing && !this.isPaused);
  }

  showNumbers(isRunning) {
    const now = seconds();
    const age = now - this.lastDrawn > 1 ? this.ageNow() : this.drawnAge;   // what is on the screen grows older
    this.drawnAt = this.drawnAt.filter((time) => time > now - 2);
    setText(this.find(".age"), isRunning && age != null ? `${Math.round(age * 1000)} ms` : "–");
    setText(this.find(".fps"), isRunning ? (this.drawnAt.length / 2).toFixed(0) : "–");
    const { viewers } = this.server;
    setText(this.find(".viewers"), this.problem ? "–" : String(Array.isArray(viewers) ? viewers.length : viewers));
  }
}

const cameras = new Map();
const clock = new ServerClock();
const ladder = new AgeLadder((a, b) => keyOf(wanted(a)) !== keyOf(wanted(b)));

/** What is to be asked for: each camera, by what its width is divided, and at most how many pictures in a second. */
function wanted(step) {
  if (isHidden()) return [];
  const all = [...cameras.values()];
  const shown = document.fullscreenElement ? all.filter((camera) => camera.isFullScreen) : all;
  return shown.filter((camera) => !camera.isPaused)
    .map((camera) => ({ camera, divisor: camera.divisorFor(step), fps: step.fps }));
}

const keyOf = (request) => JSON.stringify(request.map(({ camera, divisor, fps }) => [camera.name, divisor, fps]));

function pathOf(request) {
  const query = new URLSearchParams();
  for (const { camera, divisor, fps } of request) {
    query.append("camera", camera.name);
    query.append("width", Math.max(1, Math.floor(camera.server.width / divisor)));
    query.append("fps", fps);
  }
  return `messages?${query}`;
}

/** Show these cameras, in this order, and no others. */
function take(servers) {
  const names = new Set(servers.map((server) => server.name));
  for (const camera of [...cameras.values()]) {
    if (names.has(camera.name)) continue;
    camera.root.remove();
    cameras.delete(camera.name);
  }
  for (const server of servers) {
    const camera = cameras.get(server.name) || new Camera(server);
    camera.server = server;
    cameras.delete(server.name);
    cameras.set(server.name, camera);   // a Map keeps the order
  }
  const roots = [...cameras.values()].map((camera) => camera.root);
  if (roots.some((root, index) => find("#cameras").children[index] !== root)) find("#cameras").append(...roots);
  connection.review();
}

async function fetchState(options = {}) {
  const signal = AbortSignal.timeout(STATE_MS);
  const response = await fetch(addressOf("state"), { cache: "no-store", signal, ...options });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** Ask for the state: which cameras there are, and what the server's clock says. */
async function askState() {
  const sent = seconds();
  const state = await fetchState();
  clock.add(sent, seconds(), state.clock);
  take(state.cameras);
}

/** The same, with the reason if the browser gives no answer because it asks the user for a password meanwhile. */
async function askStateAgain() {
  try {
    await askState();
  } catch (error) {
    if (error.name === "TimeoutError") await fetchState({ credentials: "omit" });
    throw error;
  }
}

/** Look at the server's clock now and then. There may be no connection left for that, which is no failure. */
async function watchClock() {
  try {
    if (!isHidden() && !connection.problem) {
      await askState();
      await askState();   // the first may have had to connect, which is not the way of an answer
    }
  } catch {
    // at the next time
  }
  setTimeout(watchClock, CLOCK_MS);
}

/** The one request at a time that brings the pictures. */
class Connection {
  constructor() {
    this.key = "";
    this.problem = null;
    this.failures = 0;
    this.wake = () => {};
  }

  /** Look, in a moment, whether what is wanted has changed. */
  review() {
    clearTimeout(this.reviewTimer);
    this.reviewTimer = setTimeout(() => {
      if (keyOf(wanted(STEPS[ladder.step])) !== this.key) this.anew();
    }, DEBOUNCE_MS);
  }

  /** Make a new request, at once. */
  anew() {
    this.controller?.abort(OTHER_WANTED);
    this.wake();
  }

  async rest(ms) {
    await new Promise((resolve) => {
      this.wake = resolve;
      if (Number.isFinite(ms)) setTimeout(resolve, ms);
    });
  }

  async run() {
    for (;;) {
      try {
        await this.attempt();
      } catch (error) {
        if (error === OTHER_WANTED || isHidden()) continue;
        await this.fail(problemOf(error));
      }
    }
  }

  async attempt() {
    if (!isHidden() && (this.problem || !cameras.size)) await askStateAgain();
    const request = wanted(STEPS[ladder.step]);
    this.key = keyOf(request);
    const waiting = new Set(request.map(({ camera }) => camera));
    cameras.forEach((camera) => { camera.isShowing &&= waiting.has(camera); });
    if (request.length) return this.stream(pathOf(request));
    await this.rest(isHidden() ? Infinity : IDLE_MS);
    if (isHidden()) return undefined;
    await askState();
    this.failures = 0;
    return this.succeed();
  }

  async stream(path) {
    this.controller = new AbortController();
    const { signal } = this.controller;
    ladder.begin();
    const began = performance.now();
    try {
      this.expect(ANSWER_MS, new DOMException("", "TimeoutError"));
      const response = await fetch(addressOf(path), { cache: "no-store", signal });
      if (!response.ok) throw await refusal(response);
      await this.read(response.body.getReader());
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      if (performance.now() - began > STEADY_MS) this.failures = 0;
      clearTimeout(this.alarm);
      this.controller.abort();
      this.controller = null;
    }
  }

  /** Give up, with the error `late`, if nothing comes for so long. */
  expect(ms, late) {
    clearTimeout(this.alarm);
    const { controller } = this;
    this.alarm = setTimeout(() => controller.abort(late), ms);
  }

  async read(chunks) {
    const messages = new MessageReader();
    for (;;) {
      const { done, value } = await chunks.read().catch((error) => {
        throw error.name === "TypeError" ? new Problem("the connection to the server was lost") : error;
      });
      if (done) throw new Problem("the server has ended the connection");
      this.expect(STALL_MS, new Problem(`nothing has come for ${STALL_MS / 1000} s`));
      for (const payload of messages.read(value)) this.receive(payload);
    }
  }

  receive(payload) {
    if (payload[0] === JPEG_FIRST_BYTE) this.receivePicture(payload);
    if (payload[0] !== JSON_FIRST_BYTE) return;
    const message = objectIn(payload);
    if (message?.type === "state") this.receiveState(message);
  }

  receivePicture(jpeg) {
    const metadata = metadataOf(jpeg);
    const camera = metadata && cameras.get(metadata.camera);
    if (!camera) return;
    camera.offer({ jpeg, captured: metadata.captured });
    const now = seconds();
    const age = metadata.state === "live" && metadata.captured ? clock.at(now) - metadata.captured : null;
    if (clock.best() && age !== null && ladder.judge(age, now)) this.anew();
  }

  receiveState(message) {
    if (clock.contradicts(seconds(), message.clock)) {
      clock.samples = [];
      askState().catch(() => {});
    }
    take(message.cameras);
    this.succeed();
  }

  succeed() {
    this.problem = null;
    find("#again").hidden = true;
    cameras.forEach((camera) => { camera.problem = ""; });
    summarize();
  }

  /** Say what failed, and wait before the next attempt. */
  async fail(problem) {
    this.problem = problem;
    cameras.forEach((camera) => camera.fail(problem.message));
    summarize();
    find("#again").hidden = !problem.isFinal;
    const usual = RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)];
    const ms = Math.max(usual, problem.retryMs) * (0.75 + Math.random() / 2);   // not all windows at once
    await this.rest(problem.isFinal ? Infinity : ms);
  }
}

const connection = new Connection();

function summarize() {
  const lost = [...cameras.values()].filter((camera) => camera.server.state === "lost").map((camera) => camera.name);
  const notes = [];
  if (ladder.tooSlow) notes.push("the connection is too slow: pictures come late");
  if (lost.length) notes.push(`no signal: ${lost.join(", ")}`);
  setText(find("#summary"), connection.problem ? connection.problem.message : notes.join("; ") || "connected");
}

function main() {
  new ResizeObserver(() => connection.review()).observe(find("#cameras"));
  document.addEventListener("visibilitychange", () => {
    connection.wake();
    connection.review();
  });
  document.addEventListener("fullscreenchange", () => connection.review());
  addEventListener("online", () => connection.wake());
  find("#again").addEventListener("click", () => location.reload());   // which asks for a password
  setInterval(() => cameras.forEach((camera) => camera.show()), SHOW_MS);
  setTimeout(watchClock, FIRST_CLOCK_MS);
  connection.run();
}

main();
