// The scan with the heat map over it, and the slider between the two.

import { element } from "./dom.js";
import { NO_EXPLANATION } from "./words.js";

let strength = 100; // percent; kept from one image to the next

/** The images of an item: what the model saw, and over it where it saw the class. */
export function scan(item) {
  if (!item.view) return null;
  const heat = item.overlay
    ? element("img.heat", { src: item.overlay, alt: `Where in the image the model saw ${item.response.class}` })
    : null;
  const layers = element("div.layers", {}, element("img", { src: item.view, alt: "The image as the model saw it" }), heat);
  return element("figure.scan", {}, layers, heat ? slider(heat) : element("p.hint", {}, NO_EXPLANATION));
}

function slider(heat) {
  const input = element("input", {
    type: "range", min: 0, max: 100, step: 5, value: strength, "data-focus": "heat",
    "aria-label": "Strength of the heat map over the scan",
    oninput: () => { strength = Number(input.value); apply(); },
  });
  const apply = () => {
    heat.style.opacity = String(strength / 100);
    input.setAttribute("aria-valuetext", `${strength} %`);
  };
  apply();
  const ends = element("div.ends", { "aria-hidden": "true" }, element("span", {}, "Scan"), element("span", {}, "Heat map"));
  return element("div.slider", {}, ends, input);
}
