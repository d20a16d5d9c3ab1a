// Calls to the gateway. Every URL is relative, so that the page works under any path.

import { mebibytes, problemTitle } from "./words.js";

const SECONDS = 60; // for one request; the gateway's own limits are shorter
const LARGEST = 256 * 2 ** 20; // bytes of a file that is read at all; the gateway's limit is lower, and it says so
export const UNAUTHORIZED = 401; // a key is needed
const BUSY = [429, 503];
const LONGEST_WAIT = 60; // seconds

/** Why a file has no result, and what to do: for a person. */
export class Problem extends Error {
  /** @param {{status?: number, requestId?: string}} about */
  constructor(title, detail, about = {}) {
    super(detail);
    Object.assign(this, { title, detail, ...about });
  }
}

/** A problem that will pass: worth another try after so many seconds, or when the network is back. */
export class Passing extends Problem {
  constructor(title, detail, seconds, about) {
    super(title, detail, about);
    this.seconds = seconds;
  }
}

export class Service {
  key = ""; // goes with each request, if the service asks for one
  #unexplained = null; // the version of a model that cannot explain

  /** What the gateway is, and which model it has. */
  index = () => this.#json("./");

  /** What the model says of itself. */
  model = () => this.#json("model");

  /**
   * Classify one image.
   * @param {File} file The image.
   * @param {number|null} part Which frame or page of a file with several; null is the one that its format shows first.
   * @param {AbortSignal} signal Gives up.
   * @returns The response's document.
   * @throws {Problem} There is no result. {@link Passing} is worth another try.
   */
  async classify(file, part, signal) {
    const content = await read(file);
    try {
      if (this.#unexplained === null) return await this.#predict(content, part, true, signal);
    } catch (problem) {
      if (problem.status !== 422) throw problem;
      // The model offers no activation maps, or the image cannot be used: without the question it becomes clear.
    }
    const response = await this.#predict(content, part, false, signal);
    const { version } = response.model;
    this.#unexplained = this.#unexplained === null || this.#unexplained === version ? version : null;
    return response;
  }

  async #predict(content, part, explain, signal) {
    const query = new URLSearchParams({ view: "true" });
    if (explain) query.set("explain", "true");
    if (part !== null) query.set("page", part); // of a DICOM file, its frames are its pages
    const body = new FormData();
    body.append("image", content, "image"); // the file's name stays here
    const response = await this.#json(`predict?${query}`, { method: "POST", body, signal });
    if (response.probabilities?.[response.class] === undefined) {
      throw new Problem(problemTitle(500), "The service's response cannot be used. Tell its operator.");
    }
    return response;
  }

  async #json(url, { signal, ...options } = {}) {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), SECONDS * 1000);
    const giveUp = () => limit.abort();
    signal?.addEventListener("abort", giveUp);
    if (signal?.aborted) giveUp();
    const headers = { Accept: "application/json" };
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    try {
      const response = await fetch(url, { ...options, headers, signal: limit.signal, cache: "no-store" });
      return await documentOf(response);
    } catch (error) {
      if (error instanceof Problem || signal?.aborted) throw error;
      if (limit.signal.aborted) throw new Problem("Too slow", "No response came within a minute. Try again.");
      throw new Passing(
        "No connection",
        "The service cannot be reached. Check your network connection, then try again. If only this file fails, "
          + "it may be larger than the service takes.",
        null,
      );
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
    }
  }
}

/** The bytes of a file, so that a later retry does not depend on the disk, and the type is left to the gateway. */
async function read(file) {
  if (file.size === 0) throw new Problem("Empty file", "The file is empty. Choose the whole file.");
  if (file.size > LARGEST) {
    throw new Problem("Too large", `The file has ${mebibytes(file.size)}. Choose a smaller image.`);
  }
  try {
    return new Blob([await file.arrayBuffer()]);
  } catch {
    throw new Problem("Cannot be read", "The browser cannot read this file any more. Choose it again.");
  }
}

async function documentOf(response) {
  const about = { status: response.status, requestId: response.headers.get("X-Request-ID") ?? undefined };
  let document;
  try {
    document = JSON.parse(await response.text());
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error; // the connection broke
    document = null;
  }
  if (response.ok && document !== null) return document;
  if (response.status === UNAUTHORIZED && !response.headers.has("WWW-Authenticate")) {
    // Not the gateway, which says that it wants a key, but a proxy in front that asks for a login.
    throw new Problem(
      "Not logged in",
      "Your login has ended. Open this page in another tab and log in there, then try again here.",
    );
  }
  const title = problemTitle(response.status);
  const detail = document?.detail ?? "The service did not respond as it should. Try again later.";
  if (!BUSY.includes(response.status)) throw new Problem(title, detail, about);
  throw new Passing(title, detail, retryAfter(response), about);
}

function retryAfter(response) {
  const seconds = Number(response.headers.get("Retry-After") ?? 2);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), LONGEST_WAIT) : 2;
}
