// The images of this page and what is known of each. They live here alone, and end with the page.

const MOST = 1000;

/**
 * An item is {number, file, name, part, state, response, problem, view, overlay}: state is "waiting", "working",
 * "done", "failed" or "cancelled"; view and overlay are URLs of the images that came with the response, or null.
 * Every change is told by an event "change" with the item in its detail, or null for all.
 */
export class Items extends EventTarget {
  #items = [];
  #made = 0;

  get all() {
    return [...this.#items];
  }

  /** How many are in this state. */
  count = (state) => this.#items.filter((item) => item.state === state).length;

  /** Add files. @returns The new items; fewer than files where the page has no room for more. */
  add(files) {
    const added = files.slice(0, Math.max(0, MOST - this.#items.length)).map((file) => ({
      number: ++this.#made,
      file,
      name: file.webkitRelativePath || file.name || "image",
      part: null,
      state: "waiting",
      response: null,
      problem: null,
      view: null,
      overlay: null,
    }));
    this.#items.push(...added);
    this.#changed(null);
    return added;
  }

  /** Change an item. */
  change(item, fields) {
    Object.assign(item, fields);
    this.#changed(item);
  }

  /** Give an item its response. */
  finish(item, response) {
    forget(item);
    const view = url(response.view?.png);
    const overlay = url(response.explanation?.png);
    // The texts are large, and have become images.
    const kept = { ...response, view: undefined };
    if (kept.explanation) kept.explanation = { class: kept.explanation.class };
    this.change(item, { state: "done", response: kept, problem: null, view, overlay });
  }

  /** Forget everything. */
  clear() {
    this.#items.forEach(forget);
    this.#items = [];
    this.#changed(null);
  }

  #changed(item) {
    this.dispatchEvent(new CustomEvent("change", { detail: item }));
  }
}

function forget(item) {
  for (const made of [item.view, item.overlay]) if (made) URL.revokeObjectURL(made);
  item.view = item.overlay = null;
}

function url(base64) {
  if (!base64) return null;
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
}
