// The table of all results: one row for each image, sorted by any column, walked through with the arrow keys.

import { element } from "./dom.js";
import { likely, part } from "./words.js";

const names = new Intl.Collator("en", { numeric: true });
const RANKS = { failed: 0, cancelled: 1, working: 2, waiting: 3, done: 5 };
const COLUMNS = [
  { title: "File", value: (item) => item.name },
  { title: "Class", value: (item) => answer(item)?.class },
  { title: "Probability", number: true, value: (item) => answer(item)?.probabilities[answer(item).class] },
  { title: "Note", value: rank },
];

export class Table {
  #table;
  #items;
  #show;
  #shown = null;
  #column = null; // null: as they came
  #descending = false;
  #rows = new Map(); // item -> row

  /**
   * @param {HTMLTableElement} table Has a row in its head.
   * @param {Items} items What it shows.
   * @param {(item: Object, byPerson: boolean) => void} show Shows the details of an item.
   */
  constructor(table, items, show) {
    this.#table = table;
    this.#items = items;
    this.#show = show;
    table.tHead.rows[0].append(...COLUMNS.map((column) => this.#heading(column)));
    table.tBodies[0].addEventListener("keydown", (event) => this.#walk(event));
    table.tBodies[0].addEventListener("click", ({ target }) => {
      const item = this.#itemOf(target.closest("tr"));
      if (item) this.#show(item, true);
    });
  }

  /** Draw the rows of these items anew, and put all rows in order. */
  update(changed) {
    for (const item of changed) this.#fill(item);
    this.#arrange();
  }

  /** Mark the item whose details are shown. */
  mark(item) {
    this.#shown = item;
    for (const [rowItem, row] of this.#rows) this.#markRow(rowItem, row);
  }

  /** The items in the order of the rows. */
  get order() {
    const items = this.#items.all;
    if (this.#column === null) return items;
    const sign = this.#descending ? -1 : 1;
    const { value } = this.#column;
    return items.sort((one, other) => {
      const [first, second] = [value(one), value(other)];
      // What has no value comes last in either direction.
      if (first === undefined || second === undefined) return (first === undefined) - (second === undefined);
      return sign * (typeof first === "string" ? names.compare(first, second) : first - second);
    });
  }

  #heading(column) {
    const button = element("button", { type: "button", onclick: () => this.#sort(column) }, column.title);
    column.heading = element(column.number ? "th.number" : "th", { scope: "col" }, button);
    return column.heading;
  }

  #sort(column) {
    this.#descending = this.#column === column ? !this.#descending : Boolean(column.number);
    this.#column = column;
    for (const { heading } of COLUMNS) heading.removeAttribute("aria-sort");
    column.heading.setAttribute("aria-sort", this.#descending ? "descending" : "ascending");
    this.#arrange();
  }

  #arrange() {
    const order = this.order;
    const known = new Set(order);
    for (const item of [...this.#rows.keys()]) if (!known.has(item)) this.#rows.delete(item);
    for (const item of order) if (!this.#rows.has(item)) this.#fill(item);
    const body = this.#table.tBodies[0];
    const rows = order.map((item) => this.#rows.get(item));
    // A row that is put in its place again loses the focus, and a click that is under way.
    if (rows.length === body.rows.length && rows.every((row, index) => row === body.rows[index])) return;
    const focused = body.contains(document.activeElement) ? document.activeElement : null;
    body.replaceChildren(...rows);
    focused?.focus({ preventScroll: true });
  }

  #fill(item) {
    let row = this.#rows.get(item);
    if (!row) {
      const button = element("button.file", { type: "button" });
      row = element("tr", {}, element("td", {}, button), element("td"), element("td.number"), element("td"));
      this.#rows.set(item, row);
    }
    const [file, name, probability, note] = row.cells;
    file.firstChild.replaceChildren(...fileParts(item));
    const response = answer(item);
    name.replaceChildren(response?.class ?? (item.state === "failed" ? element("small", {}, item.problem.title) : ""));
    probability.textContent = response ? likely(response.probabilities[response.class]) : "";
    note.replaceChildren(...tags(item));
    this.#markRow(item, row);
  }

  #markRow(item, row) {
    row.classList.toggle("shown", item === this.#shown);
    const button = row.querySelector("button");
    if (item === this.#shown) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }

  #itemOf = (row) => [...this.#rows].find(([, of]) => of === row)?.[0];

  #walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest("tr");
    if (!step || !row) return;
    event.preventDefault();
    const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
    const item = this.#itemOf(next);
    if (!item) return;
    next.querySelector("button").focus();
    this.#show(item, false);
  }
}

const answer = (item) => (item.state === "done" ? item.response : undefined);

function rank(item) {
  if (item.state !== "done") return RANKS[item.state];
  const { out_of_distribution: likeness, warnings } = item.response;
  return likeness.flag || warnings?.length ? 4 : RANKS.done;
}

function fileParts(item) {
  const thumb = item.view
    ? element("img.thumb", { src: item.view, alt: "" })
    : element("span.thumb.none", { "aria-hidden": "true" });
  const { word, number, count } = part(item.response) ?? {};
  const which = word ? element("small", {}, `${word} ${number} of ${count}`) : null;
  const name = element("span.file-name", {}, item.name);
  return [thumb, element("span", {}, name, which, element("span.inline-note", {}, tags(item)))];
}

function tags(item) {
  const tag = (kind, text) => element(`span.tag.${kind}`, {}, text);
  if (item.state === "failed") return [tag("problem", "failed")];
  if (item.state !== "done") return [tag("quiet", item.state)];
  const { out_of_distribution: likeness, warnings } = item.response;
  return [
    likeness.flag ? tag("warning", "unlike training") : null,
    warnings?.length ? tag("warning", "see warnings") : null,
  ].filter(Boolean);
}
