// Work on many items: a few at a time, and all of them wait together while the service is busy or away.

import { Passing } from "./service.js";

const AT_ONCE = 4;
const PATIENCE = 300; // seconds for which an item is tried again, from its first try
const PATIENCE_ONLINE = 30; // the same where the browser has a network, but the service does not respond
const LONGEST_BACKOFF = 8; // seconds

/**
 * @param {(item: Object, signal: AbortSignal) => Promise<Object>} work Makes the result of an item.
 * @param {{started: Function, done: Function, failed: Function, waiting: Function, cancelled: Function,
 *     paused: Function, idle: Function}} tell Told what happens: each but the last two gets the item.
 */
export class Queue {
  #work;
  #tell;
  #waiting = [];
  #running = new Map(); // item -> AbortController
  #limit = AT_ONCE;
  #pause = null; // the timer that ends it
  #backoff = 1; // seconds

  constructor(work, tell) {
    this.#work = work;
    this.#tell = tell;
    addEventListener("online", () => this.#resume());
  }

  /** Put items at the end; an item that waits or is worked on stays where it is. */
  add(items) {
    const fresh = items.filter((item) => !this.#running.has(item) && !this.#waiting.includes(item));
    for (const item of fresh) {
      item.firstTry = null;
      this.#tell.waiting(item);
    }
    this.#waiting.push(...fresh);
    this.#next();
  }

  /** Give up everything that waits or is worked on. */
  cancel() {
    const given = [...this.#running.keys(), ...this.#waiting];
    this.#waiting = [];
    for (const controller of this.#running.values()) controller.abort();
    this.#running.clear();
    clearTimeout(this.#pause);
    this.#pause = null;
    given.forEach(this.#tell.cancelled);
    this.#tell.idle();
  }

  get running() {
    return this.#running.size;
  }

  get busy() {
    return this.#running.size + this.#waiting.length > 0;
  }

  #next() {
    while (this.#pause === null && this.#waiting.length && this.#running.size < this.#limit) {
      this.#run(this.#waiting.shift());
    }
    if (!this.busy) this.#tell.idle();
  }

  async #run(item) {
    const controller = new AbortController();
    this.#running.set(item, controller);
    item.firstTry ??= Date.now();
    this.#tell.started(item);
    let settle;
    try {
      const result = await this.#work(item, controller.signal);
      settle = () => {
        this.#limit = Math.min(AT_ONCE, this.#limit + 1);
        this.#backoff = 1;
        this.#tell.done(item, result);
      };
    } catch (problem) {
      settle = () => this.#settleProblem(item, problem);
    }
    if (controller.signal.aborted) return; // cancelled: nobody waits for it
    this.#running.delete(item);
    settle();
    this.#next();
  }

  #settleProblem(item, problem) {
    const lost = problem.seconds === null;
    const patience = lost && navigator.onLine ? PATIENCE_ONLINE : PATIENCE;
    if (!(problem instanceof Passing) || Date.now() - item.firstTry > patience * 1000) {
      this.#tell.failed(item, problem);
      return;
    }
    this.#limit = Math.max(1, this.#limit >> 1);
    this.#waiting.unshift(item);
    this.#tell.waiting(item);
    this.#wait(lost ? this.#backoff : problem.seconds, problem);
    if (lost) this.#backoff = Math.min(LONGEST_BACKOFF, 2 * this.#backoff);
  }

  #wait(seconds, problem) {
    clearTimeout(this.#pause); // the newest response knows best
    this.#pause = setTimeout(() => this.#resume(), seconds * 1000);
    this.#tell.paused(seconds, problem);
  }

  #resume() {
    if (this.#pause === null) return;
    clearTimeout(this.#pause);
    this.#pause = null;
    this.#tell.paused(0, null);
    this.#next();
  }
}
