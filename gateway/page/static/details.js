// Everything that is known of one image.

import { element, facts } from "./dom.js";
import { scan } from "./scan.js";
import { decimal, dicomFacts, likely, UNKNOWN_LIKENESS, UNLIKE } from "./words.js";

export class Details {
  #place;
  #retry;

  /**
   * @param {HTMLElement} place Where they are shown.
   * @param {(item: Object, frame: number|null) => void} retry Classifies an image again, or another frame of it.
   */
  constructor(place, retry) {
    this.#place = place;
    this.#retry = retry;
  }

  /** Show an item; null shows nothing. Who worked with a control here still has it. */
  show(item) {
    const focused = this.#place.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
    this.#place.hidden = item === null;
    this.#place.replaceChildren(...(item ? this.#parts(item).filter(Boolean) : []));
    if (focused) (this.#place.querySelector(`[data-focus="${focused}"]`) ?? this.#place).focus({ preventScroll: true });
  }

  #parts(item) {
    const title = element("h3.file-title", { id: "details-title" }, item.name);
    if (item.state === "failed") return [title, ...this.#failure(item)];
    if (item.state === "cancelled") return [title, element("p", {}, "Cancelled."), this.#again(item)];
    if (item.response) return [title, ...this.#result(item)];
    return [title, element("p.hint", {}, item.state === "working" ? "Being classified..." : "Waiting for its turn.")];
  }

  #failure(item) {
    const { title, detail, requestId } = item.problem;
    const frames = item.response?.dicom?.frames > 1;
    return [
      element("div.problem", {}, element("strong", {}, title), element("p", {}, detail)),
      this.#again(item),
      frames ? this.#frames(item) : null,
      requestId ? facts([["Request id", element("code", {}, requestId)]]) : null,
    ];
  }

  #again = (item) =>
    element("button.button", { type: "button", "data-focus": "again", onclick: () => this.#retry(item, item.frame) }, "Try again");

  #result(item) {
    const { response } = item;
    const { score, flag } = response.out_of_distribution;
    return [
      element(
        flag ? "p.verdict.doubtful" : "p.verdict", {},
        element("strong", {}, response.class),
        element("span", {}, `probability ${likely(response.probabilities[response.class])}`),
      ),
      flag ? element("p.warning", {}, UNLIKE) : null,
      ...(response.warnings ?? []).map((text) => element("p.warning", {}, text)),
      element("div.seen", {}, scan(item), bars(response)),
      response.dicom?.frames > 1 ? this.#frames(item) : null,
      flag === null ? element("p.hint", {}, UNKNOWN_LIKENESS) : null,
      facts([
        ["Model", `${response.model.name}, version ${response.model.version}`],
        ...dicomFacts(response.dicom),
        ["Out-of-distribution score", decimal(score)],
        ["Request id", element("code", {}, response.request_id)],
      ]),
      element("p.small-notice", {}, response.notice),
    ];
  }

  /** Choose a frame of a DICOM file with several. */
  #frames(item) {
    const { frame, frames } = item.response.dicom;
    const working = item.state === "working" || item.state === "waiting";
    const input = element("input", {
      id: "frame", type: "number", min: 1, max: frames, step: 1, required: true, value: item.frame ?? frame,
      "data-focus": "frame",
    });
    const go = (event) => {
      event.preventDefault();
      this.#retry(item, Number(input.value));
    };
    const step = (by, text) => element("button.button", {
      type: "button", "data-focus": text, disabled: working || frame + by < 1 || frame + by > frames,
      onclick: () => this.#retry(item, frame + by),
    }, text);
    return element(
      "form.frame", { onsubmit: go },
      element("label", { for: "frame" }, `Frame (1 to ${frames})`), input,
      element("button.button", { "data-focus": "go", disabled: working }, working ? "Being classified..." : "Classify this frame"),
      step(-1, "Previous"), step(1, "Next"),
    );
  }
}

function bars(response) {
  const line = ([name, probability]) => {
    const fill = element("div.fill");
    fill.style.width = `${100 * probability}%`;
    return element(
      name === response.class ? "li.predicted" : "li", {},
      element("div.line", {}, element("span", {}, name), element("span", {}, likely(probability))),
      element("div.track", { "aria-hidden": "true" }, fill),
    );
  };
  return element("ul.bars", { "aria-label": "Probability of each class" }, Object.entries(response.probabilities).map(line));
}
