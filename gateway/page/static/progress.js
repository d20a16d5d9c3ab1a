// How far the work is: for the eye all the time, for the ear when something is worth being said.

import { byId } from "./dom.js";
import { count } from "./words.js";

export class Progress {
  #items;
  #pause = "";

  constructor(items) {
    this.#items = items;
  }

  /** Draw it anew. */
  update() {
    const total = this.#items.all.length;
    const [done, failed, cancelled, working] = ["done", "failed", "cancelled", "working"].map(this.#items.count);
    const ended = done + failed + cancelled;
    byId("bar").max = Math.max(1, total);
    byId("bar").value = ended;
    byId("bar").hidden = ended === total;
    const parts = [`${done} of ${count(total, "image")} classified`];
    if (working) parts.push(`${working} under way`);
    if (failed) parts.push(`${failed} failed`);
    if (cancelled) parts.push(`${cancelled} cancelled`);
    byId("progress-text").textContent = `${parts.join(", ")}.${this.#pause && ended < total ? ` ${this.#pause}` : ""}`;
  }

  /** Say why nothing goes on; no seconds: it goes on. */
  paused(seconds, problem) {
    const text = seconds ? `${problem.title}: going on in ${count(seconds, "second")}.` : "";
    if (text && !this.#pause) say(text);
    this.#pause = text;
    this.update();
  }

  /** Say how it ended. */
  ended() {
    this.#pause = "";
    this.update();
    if (this.#items.all.length) say(byId("progress-text").textContent);
  }
}

/** Let a screen reader say a text. */
export function say(text) {
  byId("announcement").textContent = text;
}
