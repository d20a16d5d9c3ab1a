// Elements as nested calls. Text is always text: nothing that a file or a response says is ever read as HTML.

/**
 * Make an element.
 * @param {string} name The tag, with classes behind dots: "p.hint".
 * @param {Object} attributes A function is a listener ("onclick"), true an attribute without a value; null and false
 *     leave it out.
 * @param {...(Node|string|null|Array)} children Null is left out.
 */
export function element(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

/** A list of terms and what they are; a row whose value is null is left out. */
export function facts(rows) {
  const pairs = rows.filter(([, value]) => value !== null && value !== undefined);
  return element("dl.facts", {}, pairs.map(([term, value]) => [element("dt", {}, term), element("dd", {}, value)]));
}

/** The element with this id; the page has it. */
export const byId = (id) => document.getElementById(id);
