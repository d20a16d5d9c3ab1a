// The page of the model: its card, from what the served model says of itself. Every part of it may be missing.

import { byId, element, facts } from "./dom.js";
import { figures } from "./figures.js";
import { Service } from "./service.js";
import { decimal } from "./words.js";

const DEEPEST = 6; // levels of a value that are shown in words; the JSON below has all

const DOCUMENTED = { intended_use: "Intended use", out_of_scope: "Not for", data: "Data", groups: "Groups" };
const LEFT_OUT = ["limits", "tripod_ai", ...Object.keys(DOCUMENTED)];

/** The card of a model, as a list of sections. */
function card(model) {
  const documentation = model.documentation ?? {};
  return [
    element("h1", {}, `${model.name}, version ${model.version}`),
    element("p.warning", {}, model.notice),
    section("What it does", about(model)),
    section("Limits", limits(documentation.limits)),
    section("Intended use and data", [
      facts(Object.entries(DOCUMENTED).map(([key, title]) => [title, textOf(documentation[key])])),
      facts(rest(documentation, LEFT_OUT)),
    ], Object.keys(DOCUMENTED).some((key) => documentation[key])),
    section("How good it is", figures(model), Object.keys(model.metrics ?? {}).length > 0),
    section("How it was trained", training(model.training ?? {}), Object.keys(model.training ?? {}).length > 0),
    section("Software", value(model.versions, 0), Object.keys(model.versions ?? {}).length > 0),
    documentation.tripod_ai
      ? section("Reporting checklist (TRIPOD+AI)", folded("Show all items", value(documentation.tripod_ai, 0)))
      : null,
    section("The metadata", folded("Show all of it as JSON", element("pre", { tabindex: 0 }, JSON.stringify(model, null, 2)))),
  ];
}

function about(model) {
  const { image, out_of_distribution: likeness } = model;
  const prepared = [
    `${image.width} x ${image.height} pixels`,
    image.color_mode === "grayscale" ? "grey" : "colour",
    `resized by ${image.resampling}`,
    image.crop_to_head ? "cropped to the head" : null,
    image.pad_to_aspect_ratio ? "padded to its shape" : null,
  ];
  return [
    element("p", {}, "It takes one image and gives a probability for each of these classes:"),
    element("ul.classes", {}, model.class_names.map((name) => element("li", {}, name))),
    facts([
      ["Precision", model.precision],
      ["An image as it takes it", prepared.filter(Boolean).join(", ")],
      ["Calibration", `temperature ${decimal(model.temperature)}`],
      ["Unlike the training images", likeness.threshold === null
        ? "not found: the model has no threshold"
        : `flagged where the score (${likeness.score}) is above ${decimal(likeness.threshold)}`],
      ["Where it saw the class", model.explains ? "shown as a heat map" : "cannot be shown"],
    ]),
  ];
}

function limits(given) {
  if (!Array.isArray(given) || !given.length) return element("p", {}, "The model says nothing about its limits.");
  return element("ul.limits", {}, given.map((limit) => element("li", {}, textOf(limit))));
}

/** Short parts at once, long ones when they are asked for. */
function training(given) {
  const isLong = ([, part]) => typeof part === "object" && part !== null && Object.keys(part).length > 3;
  const parts = Object.entries(given);
  return [
    facts(parts.filter((part) => !isLong(part)).map(([key, part]) => [words(key), value(part, 1)])),
    parts.filter(isLong).map(([key, part]) => folded(`Show ${words(key)}`, value(part, 1))),
  ];
}

function section(title, content, isThere = true) {
  return isThere ? element("section", {}, element("h2", {}, title), content) : null;
}

const folded = (summary, content) => element("details", {}, element("summary", {}, summary), content);

const words = (key) => key.replaceAll("_", " ");
const textOf = (given) => (given === undefined || given === null ? null : typeof given === "string" ? given : JSON.stringify(given));
const rest = (object, known) => Object.entries(object).filter(([key]) => !known.includes(key)).map(([key, given]) => [words(key), value(given, 1)]);

/** Any JSON value in words. */
function value(given, depth) {
  if (given === null || given === undefined) return "none";
  if (typeof given === "boolean") return given ? "yes" : "no";
  if (typeof given !== "object") return String(given);
  if (depth >= DEEPEST) return JSON.stringify(given);
  if (Array.isArray(given)) {
    if (!given.length) return "none";
    if (given.every((part) => typeof part !== "object")) return given.join(", ");
    return element("ul", {}, given.map((part) => element("li", {}, value(part, depth + 1))));
  }
  return facts(Object.entries(given).map(([key, part]) => [words(key), value(part, depth + 1)]));
}

async function load() {
  const place = byId("card");
  try {
    const model = await new Service().model();
    document.title = `${model.name}, version ${model.version} - Brain Tumor Classification`;
    place.removeAttribute("aria-live"); // the whole card would be read aloud
    place.replaceChildren(...card(model).filter(Boolean));
  } catch (problem) {
    const again = () => {
      place.replaceChildren(element("p", {}, "Asking the model..."));
      load();
    };
    place.replaceChildren(
      element("h1", {}, "The model"),
      element("div.problem", {}, element("strong", {}, problem.title ?? "No card"),
        element("p", {}, problem.detail ?? "The model's metadata cannot be shown.")),
      element("button.button", { type: "button", onclick: again }, "Try again"),
    );
  }
}

load();
