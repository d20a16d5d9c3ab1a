// The page that classifies, put together from its parts.

import { csv, save } from "./csv.js";
import { Details } from "./details.js";
import { byId } from "./dom.js";
import { listen } from "./intake.js";
import { Items } from "./items.js";
import { Progress, say } from "./progress.js";
import { Queue } from "./queue.js";
import { Service, UNAUTHORIZED } from "./service.js";
import { Table } from "./table.js";
import { count, verdict } from "./words.js";

const narrow = matchMedia("(max-width: 980px)"); // as in classify.css: the details are below the table

const service = new Service();
const items = new Items();
const progress = new Progress(items);
const queue = new Queue((item, signal) => service.classify(item.file, item.part, signal), {
  waiting: (item) => items.change(item, { state: "waiting" }),
  started: (item) => items.change(item, { state: "working" }),
  done: (item, response) => items.finish(item, response),
  failed: (item, problem) => {
    items.change(item, { state: "failed", problem });
    if (problem.status === UNAUTHORIZED) askForKey();
  },
  cancelled: (item) => items.change(item, { state: "cancelled" }),
  paused: (seconds, problem) => progress.paused(seconds, problem),
  idle: () => {
    progress.ended();
    updateButtons();
  },
});
const details = new Details(byId("details"), (item, part) => {
  items.change(item, { part });
  queue.add([item]);
});
const table = new Table(byId("table"), items, show);
let shown = null;

function show(item, byPerson) {
  shown = item;
  table.mark(item);
  details.show(item);
  if (!item) return;
  if (byPerson && narrow.matches) {
    byId("details").scrollIntoView({ block: "start" });
    byId("details").focus({ preventScroll: true });
  } else {
    say(item.state === "done" ? `${item.name}: ${verdict(item.response)}` : `${item.name}: ${item.state}`);
  }
}

function take(files, { ofSystem = 0, tooMany = 0 } = {}) {
  const first = items.all.length === 0;
  const added = items.add(files);
  const left = files.length - added.length;
  const parts = [files.length || ofSystem ? `${count(added.length, "image")} added.` : "There is no file in it."];
  if (ofSystem) parts.push(`${count(ofSystem, "file")} of the system left out.`);
  if (left || tooMany) parts.push("The page takes 1,000 at a time: the others were left out. Clear the results, then add them.");
  byId("intake-message").textContent = parts.join(" ");
  if (!added.length) return;
  show(added[0], false);
  queue.add(added);
  updateButtons();
  if (first && narrow.matches) byId("results").scrollIntoView({ block: "start" });
}

function updateButtons() {
  byId("results").hidden = items.all.length === 0;
  byId("cancel").hidden = !queue.busy;
  byId("retry-failed").hidden = queue.busy || items.count("failed") + items.count("cancelled") === 0;
  byId("download").disabled = items.count("done") + items.count("failed") === 0;
}

function askForKey() {
  if (!byId("key-form").hidden) return;
  byId("key-form").hidden = false;
  byId("key-refused").hidden = !service.key;
  byId("key").focus();
}

const unfinished = () => items.all.filter((item) => ["failed", "cancelled"].includes(item.state));

// Many items change in one moment; the whole is drawn once.
const changed = new Set();
let waitsToDraw = false;
items.addEventListener("change", ({ detail: item }) => {
  if (item) changed.add(item);
  if (item && item === shown) details.show(item);
  if (waitsToDraw) return;
  waitsToDraw = true;
  requestAnimationFrame(() => {
    waitsToDraw = false;
    const known = new Set(items.all);
    table.update([...changed].filter((one) => known.has(one)));
    changed.clear();
    progress.update();
    updateButtons();
  });
});

listen([byId("choose-files"), byId("choose-folder"), byId("take-photo")], take);
byId("cancel").addEventListener("click", () => {
  queue.cancel();
  byId("results").focus();
});
byId("retry-failed").addEventListener("click", () => {
  queue.add(unfinished());
  byId("results").focus();
});
byId("download").addEventListener("click", () => save(csv(table.order), "classification.csv"));
byId("clear").addEventListener("click", () => {
  queue.cancel();
  show(null, false);
  items.clear();
  byId("intake-message").textContent = "";
  say("Cleared.");
  byId("choose-files").focus();
});
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  service.key = byId("key").value.trim();
  byId("key").value = "";
  byId("key-form").hidden = true;
  queue.add(unfinished());
  byId("results").focus();
});
byId("samples").addEventListener("click", async (event) => {
  const name = event.target.closest("button")?.dataset.sample;
  if (!name) return;
  try {
    const response = await fetch(`static/samples/${name}`);
    if (!response.ok) throw new Error(response.statusText);
    take([new File([await response.blob()], name)]);
  } catch {
    byId("intake-message").textContent = "The sample cannot be loaded. Check your network connection, then try again.";
  }
});

// Which service this is; the page works without knowing it.
service.index().then(
  ({ name, version, model }) => {
    const served = model ? `; model ${model.name}, version ${model.version}` : "";
    byId("service").textContent = `${name} ${version}${served}.`;
  },
  () => {},
);
