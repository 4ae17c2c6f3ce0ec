/* Elements and numbers. Data are text: they become nodes of text and values of attributes here, and
   never markup, which the page's content policy would refuse as well. */

const MINUS = "\u2212";
const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawing(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/* Text from data, apart from the direction of what is around it. */
function isolated(text, attributes = {}) {
  return element("bdi", attributes, text);
}

/* A name from data, which may break after an underscore or a slash. */
function breakable(name) {
  const pieces = name.split(/(?<=[_/])/).flatMap((piece) => [element("wbr"), piece]);
  return element("bdi", {}, ...pieces.slice(1));
}

/* A button whose content is not data's to choose: `act` is called when it is pressed. */
function button(attributes, act, ...children) {
  const made = element("button", { type: "button", ...attributes }, ...children);
  made.addEventListener("click", act);
  return made;
}

function labelled(text, control) {
  return element("label", {}, element("span", {}, text), control);
}

/* Options are [value, text]; text may be data. */
function choice(options) {
  const made = element("select");
  refill(made, options);
  return made;
}

/* Other options for a choice: what was chosen stays so where it is among them. */
function refill(control, options) {
  const { value: chosen } = control;
  const values = options.map(([value]) => String(value));
  const made = options.map(([value, text]) => element("option", { value, dir: "auto" }, text));
  control.replaceChildren(...made);
  control.value = values.includes(chosen) ? chosen : (values[0] ?? "");
}

const formats = new Map();

/* As the page's other numbers are written; NaN stands for what could not be scored. */
function number(value, decimals) {
  if (Number.isNaN(value)) return "not scored";
  if (!formats.has(decimals)) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(decimals, new Intl.NumberFormat("en-GB", digits));
  }
  const text = formats.get(decimals).format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

function counted(count, noun) {
  return `${number(count, 0)} ${noun}${count === 1 ? "" : "s"}`;
}

function shorten(text, limit) {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}

/* Says before `place` why some work on it failed. */
function reporting(place, work) {
  work.catch((error) =>
    place.before(element("p", { class: "muted", role: "alert" }, error.message)),
  );
}

/* Calls `act` once, when `watched` is about to come into view. */
function whenNear(watched, act) {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      act();
    },
    { rootMargin: "800px" },
  );
  observer.observe(watched);
}
