// Everything that is known of one image.

import { element, facts } from "./dom.js";
import { scan } from "./scan.js";
import { capitalized, decimal, dicomFacts, likely, part, partFacts, UNKNOWN_LIKENESS, UNLIKE } from "./words.js";

export class Details {
  #place;
  #retry;
  #wanted; // the control that had the focus, while it is disabled

  /**
   * @param {HTMLElement} place Where they are shown.
   * @param {(item: Object, part: number|null) => void} retry Classifies an image again, or another frame or page of its file.
   */
  constructor(place, retry) {
    this.#place = place;
    this.#retry = retry;
  }

  /** Show an item; null shows nothing. Who worked with a control here still has it. */
  show(item) {
    const active = document.activeElement;
    const wanted = this.#place.contains(active) ? (active.dataset.focus ?? this.#wanted) : undefined;
    this.#place.hidden = item === null;
    this.#place.replaceChildren(...(item ? this.#parts(item).filter(Boolean) : []));
    const control = wanted && this.#place.querySelector(`[data-focus="${wanted}"]`);
    this.#wanted = control?.disabled ? wanted : undefined;
    if (wanted) (control && !control.disabled ? control : this.#place).focus({ preventScroll: true });
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
    return [
      element("div.problem", {}, element("strong", {}, title), element("p", {}, detail)),
      this.#again(item),
      this.#otherParts(item),
      requestId ? facts([["Request id", element("code", {}, requestId)]]) : null,
    ];
  }

  #again = (item) =>
    element("button.button", { type: "button", "data-focus": "again", onclick: () => this.#retry(item, item.part) }, "Try again");

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
      this.#otherParts(item),
      flag === null ? element("p.hint", {}, UNKNOWN_LIKENESS) : null,
      facts([
        ["Model", `${response.model.name}, version ${response.model.version}, ${response.model.precision}`],
        ...partFacts(response),
        ...dicomFacts(response.dicom),
        ["Out-of-distribution score", decimal(score)],
        ["Request id", element("code", {}, response.request_id)],
      ]),
      element("p.small-notice", {}, response.notice),
    ];
  }

  /** Choose another frame or page of a file with several. */
  #otherParts(item) {
    const chosen = part(item.response);
    if (!chosen) return null;
    const { word, number, count } = chosen;
    const working = item.state === "working" || item.state === "waiting";
    const input = element("input", {
      id: "part", type: "number", min: 1, max: count, step: 1, required: true, value: item.part ?? number,
      "data-focus": "part",
    });
    const go = (event) => {
      event.preventDefault();
      this.#retry(item, Number(input.value));
    };
    const step = (by, text) => element("button.button", {
      type: "button", "data-focus": text, disabled: working || number + by < 1 || number + by > count,
      onclick: () => this.#retry(item, number + by),
    }, text);
    return element(
      "form.part", { onsubmit: go },
      element("label", { for: "part" }, `${capitalized(word)} (1 to ${count})`), input,
      element("button.button", { "data-focus": "go", disabled: working }, working ? "Being classified..." : `Classify this ${word}`),
      element("span.pair", {}, step(-1, "Previous"), step(1, "Next")),
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
