// The measured quality of a model, in tables: as training writes it, whatever of it is there.

import { element } from "./dom.js";
import { percent } from "./words.js";

const SETS = { test: "Test", deduplicated_test: "Test without copies", validation: "Validation" };
const ROWS = {
  images: "Images", tumours: "Tumours", tumours_missed: "Tumours missed", accuracy: "Accuracy", macro_f1: "Macro F1",
  expected_calibration_error: "Expected calibration error", brier: "Brier score",
};
const OF_CLASSES = { sensitivity: "Sensitivity", specificity: "Specificity", auroc: "AUROC" };

/** Tables of a model's figures, each value with its 95 % interval where there is one. */
export function figures({ metrics, class_names: classes }) {
  const sets = Object.keys(SETS).filter((name) => isObject(metrics[name]));
  const best = metrics[sets[0]];
  return [
    int8(metrics.int8),
    sets.length ? overall(metrics, sets) : null,
    best ? ofClasses(best, classes, SETS[sets[0]]) : null,
    best?.confusion_matrix ? confusion(best.confusion_matrix, classes, SETS[sets[0]]) : null,
    outOfDistribution(metrics),
  ];
}

/** What the int8 form does worse than float32, as the converter judged it; all other tables are of float32. */
function int8(verdict) {
  if (!isObject(verdict?.figures)) return null;
  return table(
    `This form, in int8, against float32, on ${verdict.images} held-out images; all other figures here are of float32`,
    ["", "float32", "int8", "Harm", "Allowed"],
    Object.entries(verdict.figures).map(([key, given]) => [
      key.replaceAll("_", " "), measured(given.float32), measured(given.int8), measured(given.harm, given.interval),
      measured(given.bound),
    ]),
  );
}

function overall(metrics, sets) {
  const rows = Object.entries(ROWS).filter(([key]) => sets.some((set) => metrics[set][key] !== undefined));
  return table(
    "All classes together, with 95 % intervals",
    ["", ...sets.map((set) => SETS[set])],
    rows.map(([key, title]) => [title, ...sets.map((set) => measured(metrics[set][key], metrics[set].intervals?.[key]))]),
  );
}

function ofClasses(set, classes, name) {
  const columns = Object.keys(OF_CLASSES).filter((key) => isObject(set[key]));
  if (!columns.length) return null;
  return table(
    `Each class against the others (${name}), with 95 % intervals`,
    ["", ...columns.map((key) => OF_CLASSES[key])],
    classes.map((label) => [label, ...columns.map((key) => measured(set[key][label], set.intervals?.[key]?.[label]))]),
  );
}

function confusion(matrix, classes, name) {
  if (matrix.length !== classes.length) return null;
  const made = table(
    `How many images of each class (rows) it took for which (columns) (${name})`,
    ["", ...classes],
    matrix.map((row, index) => [classes[index], ...row.map(String)]),
  );
  made.classList.add("matrix");
  [...made.querySelectorAll("tbody tr")].forEach((row, index) => row.cells[index + 1]?.classList.add("right"));
  return made;
}

function outOfDistribution(metrics) {
  const samples = isObject(metrics.ood_samples_flagged) ? Object.entries(metrics.ood_samples_flagged) : [];
  const rows = samples.map(([name, share]) => [name, percent(share)]);
  if (typeof metrics.scans_flagged === "number") rows.unshift(["scans of the test set", percent(metrics.scans_flagged)]);
  return rows.length ? table("How many were flagged as unlike the training images", ["", "Flagged"], rows) : null;
}

function measured(value, interval) {
  if (typeof value !== "number") return "";
  const bounds = Array.isArray(interval)
    ? element("span.interval", {}, ` (${interval.map(figure).join(" to ")})`) : null;
  return [figure(value), bounds];
}

function table(caption, headings, rows) {
  return element(
    "div.scroll", { role: "region", "aria-label": caption, tabindex: 0 },
    element("h3", {}, caption),
    element(
      "table", {},
      element("thead", {}, element("tr", {}, headings.map((text) => (text ? element("th", { scope: "col" }, text) : element("td"))))),
      element("tbody", {}, rows.map(([title, ...cells]) => element(
        "tr", {}, element("th", { scope: "row" }, title), cells.map((cell) => element("td", {}, cell)),
      ))),
    ),
  );
}

/** A count as it is, a share of 1 always with four decimals, so that those of a column compare. */
const figure = (value) => (Number.isInteger(value) && value > 1 ? String(value) : value.toFixed(4));

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
