"use strict";

// How old pictures are when they come, and how much to ask for so that they come young. All times are in seconds.

const CLOCK_SAMPLES = 5;
const CLOCK_MARGIN = 0.005;
const CLOCK_DRIFT = 0.1;         // more than clocks drift apart between two looks

/** The server's time of day, estimated from the answer that came back quickest. */
class ServerClock {
  constructor() {
    this.samples = [];
  }

  /** An answer to a request of the time `sent`, which came at `received` and had the time `server`. */
  add(sent, received, server) {
    const sample = { trip: received - sent, offset: server - (sent + received) / 2 };
    const best = this.best();
    const bothErrors = best && (sample.trip + best.trip) / 2 + CLOCK_MARGIN;
    if (best && Math.abs(sample.offset - best.offset) > bothErrors) this.samples = [];   // a clock was set
    this.samples.push(sample);
    this.samples = this.samples.slice(-CLOCK_SAMPLES);
  }

  /** Whether what came at `received` with the time `server` was sent later than that: a clock was set. */
  contradicts(received, server) {
    const best = this.best();
    return best !== null && server - received > best.offset + best.trip / 2 + CLOCK_DRIFT;
  }

  best() {
    return this.samples.reduce((a, b) => (a && a.trip <= b.trip ? a : b), null);
  }

  /** The server's time at the local time `now`; null if it is unknown. */
  at(now) {
    const best = this.best();
    return best && now + best.offset;
  }
}

// What is asked for: pictures of at most the full width divided by this, and at most so many in a second (0: all).
const STEPS = [
  { divisor: 1, fps: 0 }, { divisor: 2, fps: 0 }, { divisor: 4, fps: 0 },
  { divisor: 4, fps: 4 }, { divisor: 4, fps: 2 }, { divisor: 4, fps: 1 },
];
const MAX_AGE = 1;
const BEFORE_DOWN = 0.7;         // for so long, and for two pictures at least, each was older than MAX_AGE
const BEFORE_UP = 10;            // for so long none was. Each time that proves to be too much, this is doubled
const MAX_BEFORE_UP = 320;
const ON_TRIAL = 30;             // after a step up; the queue in a proxy may grow slowly
const BEFORE_CALM = 2;           // for so long none was old: the link is not too slow
const BEFORE_ANEW = 5;           // between two requests for the least; each time it does not help, this is doubled
const MAX_BEFORE_ANEW = 60;

/**
 * The choice of what to ask for, by the age of the pictures as they come.
 *
 * Every change needs a new request. That also ends what waits in a proxy, whose queue the server cannot see.
 * `changes(a, b)` says whether the requests of two steps differ.
 */
class AgeLadder {
  constructor(changes) {
    this.changes = changes;
    this.step = 0;
    this.beforeUp = BEFORE_UP;
    this.trialEnd = 0;
    this.wentUp = false;
    this.calm();
    this.begin();
  }

  /** A new request was made. */
  begin() {
    this.oldSince = this.youngSince = null;
    this.oldCount = 0;
  }

  /** Judge a picture that came at `now` and was `age` old: returns whether to make a new request. */
  judge(age, now) {
    return age > MAX_AGE ? this.judgeOld(now) : this.judgeYoung(now);
  }

  judgeOld(now) {
    this.youngSince = null;
    this.oldSince ??= now;
    this.oldCount++;
    if (this.oldCount < 2 || now - this.oldSince < BEFORE_DOWN) return false;
    const next = this.next(1);
    return next === this.step ? this.tryAgain(now) : this.goDown(next, now);
  }

  judgeYoung(now) {
    this.oldSince = null;
    this.oldCount = 0;
    this.youngSince ??= now;
    if (now - this.youngSince >= BEFORE_CALM) this.calm();
    const next = this.next(-1);
    if (next === this.step || now - this.youngSince < this.beforeUp) return false;
    return this.goUp(next, now);
  }

  goUp(next, now) {
    this.beforeUp = this.wentUp ? BEFORE_UP : Math.min(2 * this.beforeUp, MAX_BEFORE_UP);
    this.trialEnd = now + ON_TRIAL;
    this.wentUp = true;
    return this.goTo(next);
  }

  goDown(next, now) {
    if (now >= this.trialEnd) this.beforeUp = BEFORE_UP;
    this.wentUp = false;
    return this.goTo(next);
  }

  goTo(step) {
    this.step = step;
    this.begin();
    return true;
  }

  /** Less cannot be asked for: make the same request again, which helps if only the queue was long. */
  tryAgain(now) {
    this.tooSlow = this.triedAgain;
    if (now < this.notBefore) return false;
    this.triedAgain = true;
    this.notBefore = now + this.beforeAnew;
    this.beforeAnew = Math.min(2 * this.beforeAnew, MAX_BEFORE_ANEW);
    return this.goTo(this.step);
  }

  calm() {
    this.tooSlow = this.triedAgain = false;
    this.notBefore = 0;
    this.beforeAnew = BEFORE_ANEW;
  }

  /** The next step in this direction whose request differs, or the present step. */
  next(direction) {
    for (let step = this.step + direction; step in STEPS; step += direction) {
      if (this.changes(STEPS[step], STEPS[this.step])) return step;
    }
    return this.step;
  }
}
