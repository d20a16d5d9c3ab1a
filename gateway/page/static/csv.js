// Results as CSV (RFC 4180), for people who go on with a spreadsheet or a script.

import { part } from "./words.js";

const START = ["file", "state", "class", "probability"];
const END = [
  "out_of_distribution_score", "out_of_distribution", "model", "model_version", "modality", "frame_or_page", "frames_or_pages",
  "warnings", "error", "request_id", "notice",
];

/**
 * Write one line for each item, under a line of names; a class has a column of its own.
 * @param {Object[]} items As `items.js` keeps them.
 */
export function csv(items) {
  const classes = [...new Set(items.flatMap((item) => Object.keys(item.response?.probabilities ?? {})))];
  const names = [...START, ...classes.map((name) => `probability_${name}`), ...END];
  const lines = [names, ...items.map((item) => row(item, classes))];
  return lines.map((cells) => cells.map(cell).join(",")).join("\r\n") + "\r\n";
}

function row(item, classes) {
  const response = item.state === "done" ? item.response : null;
  const score = response?.out_of_distribution;
  return [
    item.name, item.state, response?.class, response?.probabilities[response.class],
    ...classes.map((name) => response?.probabilities[name]),
    score?.score, score?.flag, response?.model.name, response?.model.version,
    response?.dicom?.modality, part(response)?.number, part(response)?.count,
    response?.warnings?.join(" "), item.problem?.detail, response?.request_id ?? item.problem?.requestId,
    response?.notice,
  ];
}

/** A spreadsheet would compute a text that begins like a formula; a quotation mark before it keeps it a text. */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const text = /^\s*[=+\-@]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Let the browser save a text as a file. */
export function save(text, name) {
  // The mark at the beginning tells spreadsheets that this is UTF-8.
  const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
