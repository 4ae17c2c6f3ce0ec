"use strict";
(() => {
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
  made.append(...options.map(([value, text]) => element("option", { value, dir: "auto" }, text)));
  return made;
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

/* Light, dark, or as the system has it; kept for the next visit where the browser allows that. */

const THEMES = [["auto", "as the system"], ["light", "light"], ["dark", "dark"]];
const THEME = "ddpo-theme";

function remembered() {
  try {
    const kept = localStorage.getItem(THEME);
    return THEMES.some(([name]) => name === kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

function wear(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    /* A browser that keeps nothing for files still shows the theme now. */
  }
}

function themeSwitch() {
  const control = choice(THEMES);
  control.value = remembered();
  control.addEventListener("change", () => wear(control.value));
  const made = labelled("Theme", control);
  made.className = "theme";
  return made;
}

/* At once, before the page is drawn. */
document.documentElement.dataset.theme = remembered();

/* What there is to show. A page opened from disk may load scripts and no other files, so data come
   as scripts that call ddpoData(name, value). */

const scripts = window.trustedTypes
  ? window.trustedTypes.createPolicy("data", { createScriptURL: dataFile })
  : { createScriptURL: dataFile };
const loading = new Map();
const arrivals = new Map();

window.ddpoData = (name, value) => arrivals.get(name)?.(value);

function dataFile(name) {
  if (!/^\w+$/.test(name)) throw new Error(`${name} is no name of a data file`);
  return `data/${name}.js`;
}

function setName(iteration) {
  return String(iteration).padStart(6, "0");
}

function load(name) {
  if (!loading.has(name)) loading.set(name, requested(name));
  return loading.get(name);
}

function requested(name) {
  return new Promise((resolve, reject) => {
    arrivals.set(name, resolve);
    const script = document.createElement("script");
    script.src = scripts.createScriptURL(name);
    const ended = () => {
      script.remove();
      /* After it has resolved, this does nothing. */
      reject(new Error(`${dataFile(name)} is missing or damaged: write the gallery again.`));
    };
    script.addEventListener("load", ended);
    script.addEventListener("error", ended);
    document.head.append(script);
  });
}

/* The samples of one iteration. Numbers are kept in typed arrays, since there may be many. */
class SampleSet {
  constructor({ iteration, prompts, prompt, values, texts, absent }) {
    this.iteration = iteration;
    this.prompts = prompts;
    this.texts = texts;
    this.prompt = Uint32Array.from(prompt);
    this.values = values.map((column) => Float64Array.from(column, (value) => value ?? NaN));
    this.absent = new Set(absent);
  }

  get count() {
    return this.prompt.length;
  }

  promptOf(number) {
    return this.prompts[this.prompt[number]][0];
  }

  referenceOf(number) {
    return this.prompts[this.prompt[number]][1];
  }

  /* Whether there is a sample of this number and prompt. */
  has(number, prompt) {
    return number < this.count && this.promptOf(number) === prompt;
  }

  isText(number) {
    return this.texts[number] !== null;
  }

  thumb(number) {
    return `thumbs/${setName(this.iteration)}/${String(number).padStart(4, "0")}.webp`;
  }

  picture(number) {
    return `pictures/${setName(this.iteration)}/${String(number).padStart(4, "0")}.png`;
  }
}

const sets = new Map();

async function sampleSet(iteration) {
  if (!sets.has(iteration)) {
    sets.set(iteration, load(setName(iteration)).then((data) => new SampleSet(data)));
  }
  return sets.get(iteration);
}

/* The summary, with what all parts of the page ask it. */
class Summary {
  constructor(data) {
    Object.assign(this, data);
    const [width, height] = data.size ?? [1, 1];
    this.aspect = height / width;
    this.isSmall = data.size !== null && Math.max(width, height) <= 128;
  }

  heading(iteration) {
    return this.iterations.find((each) => each.iteration === iteration).heading;
  }

  get hasBase() {
    return this.iterations[0].iteration === 0;
  }
}

/* A sample as it stands anywhere on the page, and the numbers beneath it. */

/* Characters of a text that are shown outside the lightbox; the style clips them further. */
const MOST_SHOWN = 600;

/* The numbers of a sample; with `all`, those too that are parts of a total. */
function scores(summary, set, at, all) {
  const hasTotal = summary.measures.some(({ section }) => section === "total");
  const list = element("dl", { class: "scores" });
  summary.measures.forEach(({ name, section, decimals }, column) => {
    if (!all && hasTotal && section === "rewards") return;
    const value = number(set.values[column][at], decimals);
    const term = element("dt", {}, breakable(name));
    list.append(element("div", { class: section }, term, element("dd", {}, value)));
  });
  return list;
}

/* The small picture, or the text, of a sample. `description` is what the picture shows. */
function miniature(summary, set, at, description) {
  if (set.isText(at)) return completion(shorten(set.texts[at], MOST_SHOWN), "completion clipped");
  if (set.absent.has(at)) return element("span", { class: "absent" }, "picture missing");
  /* With its size, it has its place before it is there, and nothing moves when it comes. */
  const [width, height] = summary.size;
  const how = { alt: description, width, height, decoding: "async" };
  return element("img", { src: set.thumb(at), ...how });
}

function completion(text, style) {
  if (!text.trim()) {
    return element("span", { class: "muted" }, text ? "(white space alone)" : "(empty)");
  }
  const lines = text.trim().includes("\n") ? " lines" : "";
  return isolated(text, { class: style + lines });
}

function promptText(prompt, style = null) {
  if (!prompt) return element("span", { class: "muted" }, "(empty prompt)");
  return isolated(prompt, { class: style });
}

/* Two texts, with the words marked that only one of them has. */

const MOST_WORDS = 1500;

/* What is only in `text` and only in `other`: two lists of [word, whether it is marked], words and
   the spaces between them in turn. Null where the texts are too long to compare. */
function compared(text, other) {
  const [ours, theirs] = [text, other].map((each) => each.match(/\s+|\S+/g) ?? []);
  const [a, b] = [ours, theirs].map((words) => words.filter((word) => word.trim()));
  if (Math.max(a.length, b.length) > MOST_WORDS) return null;
  const [shared, sharedThere] = common(a, b);
  return [marked(ours, shared), marked(theirs, sharedThere)];
}

/* The indices, in each of two lists of words, of a longest common subsequence. */
function common(a, b) {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j;
      lengths[at] =
        a[i] === b[j] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  const [inA, inB] = [new Set(), new Set()];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const at = i * width + j;
    if (a[i] === b[j]) {
      inA.add(i++);
      inB.add(j++);
    } else if (lengths[at + width] >= lengths[at + 1]) i++;
    else j++;
  }
  return [inA, inB];
}

function marked(pieces, shared) {
  let word = 0;
  return pieces.map((piece) => [piece, piece.trim() !== "" && !shared.has(word++)]);
}

function withMarks(pieces, style) {
  const parts = pieces.map(([piece, mark]) =>
    mark ? element("mark", { class: style }, piece) : document.createTextNode(piece),
  );
  return element("bdi", { class: "completion" }, ...parts);
}

/* One sample in full, against the base model's of the same prompt and number. */

/* The stage of the lightbox: a picture and, where there is a base, a slider that uncovers it. */
function pictureStage(summary, set, at, base) {
  if (set.absent.has(at)) return element("div", { class: "absent" }, "picture missing");
  const prompt = shorten(set.promptOf(at), 120);
  const alt = `${summary.heading(set.iteration)}: ${prompt}`;
  const picture = element("img", { src: set.picture(at), alt });
  if (base === null || base.absent.has(at)) return element("div", { class: "stage" }, picture);
  const before = element("img", { src: base.picture(at), alt: `base: ${prompt}`, class: "before" });
  const pair = element("div", { class: "pair" }, picture, before);
  return element("div", { class: "stage" }, pair, slider(summary.heading(set.iteration), pair));
}

function slider(heading, pair) {
  const range = element("input", { type: "range", min: 0, max: 100, value: 0 });
  const show = () => {
    pair.style.setProperty("--uncovered", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % of the base's picture`);
  };
  const follow = (event) => {
    const { left, width } = pair.getBoundingClientRect();
    range.value = (100 * (event.clientX - left)) / width;
    show();
  };
  range.addEventListener("input", show);
  pair.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    pair.setPointerCapture(event.pointerId);
    follow(event);
  });
  pair.addEventListener("pointermove", (event) => {
    if (pair.hasPointerCapture(event.pointerId)) follow(event);
  });
  show();
  const ends = [element("span", {}, "base"), range, element("span", {}, heading)];
  return element("label", { class: "slider" }, ...ends);
}

/* A completion, its reference with the differences marked, and what the base wrote. */
function textStage(set, at, base) {
  const text = set.texts[at];
  const reference = set.referenceOf(at);
  const marks = reference === null ? null : compared(text, reference);
  const ours = marks && text.trim() ? withMarks(marks[0], "only") : completion(text, "completion");
  const parts = [titled("Completion", ours)];
  if (reference !== null) {
    const shown = marks ? withMarks(marks[1], "lacking") : completion(reference, "completion");
    parts.push(titled("Reference", shown), legend(marks));
  }
  if (base !== null) {
    parts.push(titled("Base's completion", completion(base.texts[at], "completion")));
  }
  return element("div", { class: "stage texts" }, ...parts);
}

function titled(title, content) {
  return element("section", {}, element("h3", {}, title), content);
}

function legend(marks) {
  if (marks === null) return element("p", { class: "muted" }, "Too long to mark differences in.");
  const [only, lacking] = [
    element("mark", { class: "only" }, "not in the reference"),
    element("mark", { class: "lacking" }, "not in the completion"),
  ];
  return element("p", { class: "muted" }, "Marked: words ", only, " and ", lacking, ".");
}

/* One sample over the page, with all that is known of it; arrow keys go through a list. */

class Lightbox {
  constructor(summary) {
    this.summary = summary;
    this.title = element("h2", { id: "lightbox-title" });
    this.place = element("p", { class: "muted", "aria-live": "polite" });
    this.content = element("div", { class: "content" });
    this.previous = button({}, () => this.move(-1), "← Previous");
    this.next = button({}, () => this.move(1), "Next →");
    const close = button({ "aria-label": "Close" }, () => this.dialog.close(), "×");
    const head = element("header", {}, element("div", {}, this.title, this.place), close);
    this.dialog = element(
      "dialog",
      { class: "lightbox", "aria-labelledby": "lightbox-title" },
      head,
      this.content,
      element("nav", { "aria-label": "Samples" }, this.previous, this.next),
    );
    this.dialog.addEventListener("keydown", (event) => this.pressed(event));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.dialog.addEventListener("close", () => this.closed(this.index));
    document.body.append(this.dialog);
  }

  /* Shows one of a list, which is {count, at(index) → [iteration, number]}; `closed` is told which
     one was shown last. */
  async open(list, index, closed = () => {}) {
    this.list = list;
    this.closed = closed;
    await this.show(index);
    if (!this.dialog.open) this.dialog.showModal();
  }

  move(by) {
    const index = this.index + by;
    if (index >= 0 && index < this.list.count) this.show(index);
  }

  pressed(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    /* The slider has these keys for itself. */
    if (!by || event.target.type === "range") return;
    event.preventDefault();
    this.move(by);
  }

  async show(index) {
    this.index = index;
    const [iteration, at] = this.list.at(index);
    const set = await sampleSet(iteration);
    const base = await this.baseOf(set, at);
    /* Another one was asked for while the data came. */
    if (this.index !== index) return;
    this.title.textContent = `${this.summary.heading(iteration)}, ${this.summary.shown} ${at}`;
    this.place.textContent = `${number(index + 1, 0)} of ${number(this.list.count, 0)}`;
    const stage = set.isText(at)
      ? textStage(set, at, base)
      : pictureStage(this.summary, set, at, base);
    this.content.replaceChildren(stage, this.facts(set, at));
    this.previous.disabled = index === 0;
    this.next.disabled = index === this.list.count - 1;
  }

  /* The base's samples, where they have one of this prompt and number that is not this one. */
  async baseOf(set, at) {
    if (!this.summary.hasBase || set.iteration === 0) return null;
    const base = await sampleSet(0);
    const isPair = base.has(at, set.promptOf(at)) && base.isText(at) === set.isText(at);
    return isPair ? base : null;
  }

  facts(set, at) {
    const terms = [
      ["prompt", promptText(set.promptOf(at))],
      ["iteration", number(set.iteration, 0)],
      ["number", `${at}, with seed ${this.summary.seed || "not known"}`],
    ];
    const list = element("dl", { class: "about" });
    for (const [term, value] of terms) {
      list.append(element("div", {}, element("dt", {}, term), element("dd", {}, value)));
    }
    const hasFile = !set.isText(at) && !set.absent.has(at);
    const original = element("a", { href: set.picture(at) }, "the picture's file");
    const numbers = scores(this.summary, set, at, true);
    return element("aside", {}, list, numbers, hasFile ? original : null);
  }
}

/* The grid: a row a prompt, a column an iteration. Rows are built as they come into view. */

const AT_ONCE = 8;
const BEFORE_ASKING = 64;

class Rows {
  constructor(summary, lightbox, place) {
    this.summary = summary;
    this.lightbox = lightbox;
    this.place = place;
    this.body = element("tbody", { role: "rowgroup" });
    whenNear(place, () => reporting(place, this.start()));
  }

  async start() {
    this.sets = await Promise.all(this.summary.columns.map(sampleSet));
    this.rows = this.sets.reduce((most, set) => (set.count > most.count ? set : most));
    this.built = 0;
    this.asked = BEFORE_ASKING;
    this.more = button({ class: "more", hidden: true }, () => this.askMore());
    this.end = element("div");
    this.place.replaceChildren(this.table(), this.more, this.end);
    this.build();
  }

  table() {
    const titles = ["prompt", ...this.summary.columns.map((each) => this.summary.heading(each))];
    const cells = titles.map((title) =>
      element("th", { scope: "col", role: "columnheader" }, title),
    );
    const head = element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...cells));
    const style = `grid columns-${this.sets.length}`;
    const name = "Samples by iteration";
    return element("table", { class: style, role: "table", "aria-label": name }, head, this.body);
  }

  build() {
    const end = Math.min(this.built + AT_ONCE, this.asked, this.rows.count);
    for (; this.built < end; this.built++) this.body.append(this.row(this.built));
    const left = this.rows.count - this.built;
    this.more.hidden = left === 0 || this.built < this.asked;
    const next = Math.min(left, BEFORE_ASKING);
    this.more.textContent = `Show ${next} more of ${counted(this.rows.count, "row")}`;
    if (left > 0 && this.built < this.asked) whenNear(this.end, () => this.build());
  }

  askMore() {
    this.asked += BEFORE_ASKING;
    this.build();
  }

  row(at) {
    const prompt = this.rows.promptOf(at);
    const shown = this.sets.filter((set) => set.has(at, prompt));
    const list = { count: shown.length, at: (index) => [shown[index].iteration, at] };
    const cells = this.sets.map((set) => {
      const heading = this.summary.heading(set.iteration);
      const content = set.has(at, prompt)
        ? this.cell(set, at, heading, () => this.lightbox.open(list, shown.indexOf(set)))
        : [element("div", { class: "absent" }, "not there")];
      return element("td", { role: "cell", "data-label": heading }, ...content);
    });
    const head = element("th", { scope: "row", role: "rowheader" }, promptText(shorten(prompt, MOST_SHOWN), "clipped"));
    const reference = this.rows.referenceOf(at);
    if (reference !== null) {
      const text = isolated(shorten(reference, MOST_SHOWN), { class: "clipped" });
      head.append(element("div", { class: "reference" }, element("span", {}, "reference: "), text));
    }
    return element("tr", { role: "row" }, head, ...cells);
  }

  cell(set, at, heading, open) {
    const prompt = shorten(set.promptOf(at), 120);
    const small = miniature(this.summary, set, at, `${heading}: ${prompt}`);
    const beneath = scores(this.summary, set, at, false);
    if (set.isText(at)) {
      const name = `Open the completion of ${heading}: ${prompt}`;
      return [small, beneath, button({ class: "link", "aria-label": name }, open, "open")];
    }
    return [button({ class: "plain" }, open, small), beneath];
  }
}

/* Which samples of an iteration to show, and in which order: numbers of samples. */

/* By the column of a measure; what could not be scored comes last. */
const ORDERS = {
  best: (values) => (a, b) => values[b] - values[a] || a - b,
  worst: (values) => (a, b) => values[a] - values[b] || a - b,
};

function ordered(set, { order, column, prompt, promptHas, textHas }) {
  const kept = filtered(set, prompt, promptHas.toLowerCase(), textHas.toLowerCase());
  if (order === "random") return shuffled(kept);
  const values = set.values[column];
  if (!values || !(order in ORDERS)) return kept;
  const scored = kept.filter((at) => !Number.isNaN(values[at]));
  const others = kept.filter((at) => Number.isNaN(values[at]));
  return [...scored.sort(ORDERS[order](values)), ...others];
}

/* Prompts are looked at once each, however many samples they have. */
function filtered(set, prompt, promptHas, textHas) {
  const fits = set.prompts.map(
    ([text]) => (prompt === null || text === prompt) && text.toLowerCase().includes(promptHas),
  );
  const kept = [];
  for (let at = 0; at < set.count; at++) {
    if (!fits[set.prompt[at]]) continue;
    if (!textHas || set.texts[at]?.toLowerCase().includes(textHas)) kept.push(at);
  }
  return kept;
}

/* The same random order at every visit, so that two people speak of the same samples. */
function shuffled(numbers) {
  const mixed = [...numbers];
  let state = 1;
  for (let last = mixed.length - 1; last > 0; last--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}

/* Many samples in a box that scrolls: only those in view are elements. */

const OVERSCAN = 2;
const REST = 80;
const MOVES = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: (n) => -n, ArrowDown: (n) => n };

class Wall {
  /* `measure` says how wide an item is at least and how high one of a width is, in pixels; `draw`
     fills one; `open` is called with an index when one is pressed. */
  constructor({ label, measure, draw, open }) {
    this.measure = measure;
    this.draw = draw;
    this.open = open;
    this.items = new Map();
    this.count = 0;
    this.active = 0;
    this.top = 0;
    this.list = element("ul");
    this.box = element("div", { class: "wall", role: "region", "aria-label": label }, this.list);
    this.box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.pressed(event));
    new ResizeObserver(() => this.lay()).observe(this.box);
  }

  show(count) {
    this.count = count;
    this.active = 0;
    this.clear();
    this.box.scrollTop = 0;
    this.lay();
  }

  clear() {
    this.items.clear();
    this.list.replaceChildren();
  }

  lay() {
    const gap = 16;
    const room = this.list.clientWidth;
    if (!room) return;
    const { width, height } = this.measure;
    this.columns = Math.max(1, Math.floor((room + gap) / (width(room) + gap)));
    const wide = (room - gap * (this.columns - 1)) / this.columns;
    this.step = { x: wide + gap, y: height(wide) + gap };
    this.list.style.setProperty("--width", `${wide}px`);
    this.list.style.setProperty("--height", `${height(wide)}px`);
    this.list.style.height = `${Math.ceil(this.count / this.columns) * this.step.y}px`;
    for (const [index, item] of this.items) this.put(item, index);
    this.refresh();
  }

  /* Whoever drags past whole screens sees none of them: those are left out until the box rests. */
  scrolled() {
    const { scrollTop, clientHeight } = this.box;
    const isFar = Math.abs(scrollTop - this.top) > clientHeight;
    this.top = scrollTop;
    clearTimeout(this.resting);
    if (isFar) this.resting = setTimeout(() => this.refresh(), REST);
    else this.refresh();
  }

  refresh() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.render();
    });
  }

  render() {
    if (!this.step) return;
    const [first, end] = this.range();
    for (const [index, item] of this.items) {
      /* One that has the focus stays: without it, keys would have nowhere to go. */
      if ((index >= first && index < end) || item.contains(document.activeElement)) continue;
      item.remove();
      this.items.delete(index);
    }
    for (let index = first; index < end; index++) this.item(index);
    /* One of those in view can be reached by the Tab key. */
    if (this.active < first || this.active >= end) this.activate(Math.min(first, this.count - 1));
  }

  range() {
    const { scrollTop, clientHeight } = this.box;
    const firstRow = Math.max(0, Math.floor(scrollTop / this.step.y) - OVERSCAN);
    const endRow = Math.ceil((scrollTop + clientHeight) / this.step.y) + OVERSCAN;
    return [firstRow * this.columns, Math.min(this.count, endRow * this.columns)];
  }

  item(index) {
    if (this.items.has(index)) return this.items.get(index);
    const place = { "aria-posinset": index + 1, "aria-setsize": this.count };
    const press = button({ class: "plain" }, () => this.open(index), ...this.draw(index));
    press.tabIndex = index === this.active ? 0 : -1;
    press.addEventListener("focus", () => this.activate(index));
    const made = element("li", place, press);
    this.put(made, index);
    this.items.set(index, made);
    this.list.append(made);
    return made;
  }

  put(item, index) {
    const [column, row] = [index % this.columns, Math.floor(index / this.columns)];
    item.style.transform = `translate(${column * this.step.x}px, ${row * this.step.y}px)`;
  }

  activate(index) {
    for (const [at, item] of this.items) item.firstChild.tabIndex = at === index ? 0 : -1;
    this.active = index;
  }

  pressed(event) {
    const to = this.target(event.key);
    if (to === null || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.focus(Math.max(0, Math.min(this.count - 1, to)));
  }

  target(key) {
    if (key === "Home") return 0;
    if (key === "End") return this.count - 1;
    return key in MOVES ? this.active + MOVES[key](this.columns) : null;
  }

  focus(index) {
    const top = Math.floor(index / this.columns) * this.step.y;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    const below = top + this.step.y - clientHeight;
    if (below > scrollTop) this.box.scrollTop = below;
    this.item(index).firstChild.focus({ preventScroll: true });
  }
}

/* How many samples have which reward: the base's and an iteration's, in shares of each. */

const BINS = 24;
const FRAME = { width: 440, height: 200, left: 44, right: 428, top: 26, bottom: 160 };

function histogram(measure, heading, values, base) {
  const ours = scored(values);
  const theirs = base === null ? new Float64Array() : scored(base);
  const [low, high] = extent([ours, theirs]);
  if (low === null) return element("p", { class: "muted" }, "Nothing was scored here.");
  const heights = [ours, theirs].map((each) => shares(each, low, high));
  const top = Math.max(...heights.flat());
  const words = [
    [heading, ours],
    ["base", theirs],
  ].map(([name, list]) => `${name}: ${inWords(list, measure)}`);
  const tone = measure.section === "watch" ? "watch" : "reward";
  const chart = drawing(
    "svg",
    {
      class: "chart",
      viewBox: `0 0 ${FRAME.width} ${FRAME.height}`,
      role: "img",
      "aria-labelledby": "histogram-title histogram-desc",
    },
    drawing("title", { id: "histogram-title" }, `Samples by ${measure.name}`),
    drawing("desc", { id: "histogram-desc" }, `${(theirs.length ? words : words.slice(0, 1)).join(". ")}.`),
    ...axes(measure, low, high, top),
    drawing("path", { class: `bars ${tone}`, d: `${outline(heights[0], top)}Z` }),
    theirs.length ? drawing("path", { class: "outline", d: outline(heights[1], top) }) : null,
  );
  const keys = element("ul", {}, element("li", { class: `key-band ${tone}` }, words[0]));
  if (theirs.length) keys.append(element("li", { class: "key-line base" }, words[1]));
  return element("figure", { class: "curve" }, chart, element("figcaption", {}, keys));
}

function scored(values) {
  return values.filter((value) => !Number.isNaN(value));
}

function inWords(values, { decimals }) {
  if (!values.length) return "none scored";
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return `mean ${number(mean, decimals)} of ${number(values.length, 0)}`;
}

/* Least and most of several lists; a single value gets room on either side. */
function extent(lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (const value of list) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return [null, null];
  const room = low === high ? Math.abs(low) / 2 || 0.5 : 0;
  return [low - room, high + room];
}

function shares(values, low, high) {
  const counts = new Array(BINS).fill(0);
  for (const value of values) {
    counts[Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS))]++;
  }
  return counts.map((count) => count / Math.max(1, values.length));
}

/* The steps of a histogram, from the axis and back to it. */
function outline(heights, top) {
  const width = (FRAME.right - FRAME.left) / BINS;
  const steps = heights.map((share) => {
    const y = FRAME.bottom - (share / top) * (FRAME.bottom - FRAME.top);
    return `V${y.toFixed(1)}h${width.toFixed(2)}`;
  });
  return `M${FRAME.left} ${FRAME.bottom}${steps.join("")}V${FRAME.bottom}`;
}

function axes(measure, low, high, top) {
  const { left, right, bottom } = FRAME;
  const name = drawing("text", { class: "axis-name", x: 0, y: 11 }, "share of samples");
  const highest = { x: left - 8, y: FRAME.top + 4, "text-anchor": "end" };
  const most = drawing("text", { class: "tick", ...highest }, `${Math.round(100 * top)} %`);
  const line = drawing("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom });
  const ends = [low, (low + high) / 2, high].map((value, index) => {
    const at = {
      x: left + ((right - left) * index) / 2,
      y: bottom + 16,
      "text-anchor": ["start", "middle", "end"][index],
    };
    return drawing("text", { class: "tick", ...at }, number(value, measure.decimals));
  });
  const middle = { x: (left + right) / 2, y: FRAME.height - 6, "text-anchor": "middle" };
  const below = drawing("text", { class: "axis-name", ...middle }, shorten(measure.name, 48));
  return [name, most, line, ...ends, below];
}

/* Every sample of an iteration: chosen, sorted and searched; the histogram of their rewards. */

const SHOWN = [
  ["best", "best first"],
  ["worst", "worst first"],
  ["random", "at random"],
  ["number", "in order"],
];
const MOST_PROMPTS = 200;
const REM = parseFloat(getComputedStyle(document.documentElement).fontSize);

class Explorer {
  constructor(summary, lightbox, place) {
    this.summary = summary;
    this.lightbox = lightbox;
    this.place = place;
    this.numbers = [];
    place.hidden = false;
    whenNear(place, () => reporting(place, this.start()));
  }

  async start() {
    const newest = this.summary.iterations.at(-1).iteration;
    this.controls = this.made(newest);
    this.found = element("output", { class: "muted" });
    this.histogram = element("div", { class: "histogram" });
    this.wall = new Wall({
      label: `${this.summary.several} of the iteration`,
      measure: this.summary.size ? this.pictureSizes() : this.textSizes(),
      draw: (index) => this.card(this.numbers[index]),
      open: (index) => this.open(index),
    });
    const form = element("form", { class: "controls" }, ...this.fields());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", ({ target }) =>
      reporting(form, this.update(target === this.controls.iteration)),
    );
    this.place.append(form, this.histogram, this.found, this.wall.box);
    await this.update(true);
  }

  made(newest) {
    const { iterations, measures } = this.summary;
    const made = {
      iteration: choice(iterations.map((each) => [each.iteration, each.heading])),
      order: choice(SHOWN),
      column: choice(measures.map((measure, column) => [column, measure.name])),
      prompt: element("select"),
      promptHas: element("input", { type: "search" }),
      textHas: element("input", { type: "search" }),
    };
    made.iteration.value = newest;
    return made;
  }

  fields() {
    const { iteration, order, column, prompt, promptHas, textHas } = this.controls;
    this.promptField = labelled("Prompt", prompt);
    const fields = [
      labelled("Iteration", iteration),
      labelled("Show", order),
      labelled("by", column),
      this.promptField,
      labelled("Prompt has", promptHas),
    ];
    if (!this.summary.size) fields.push(labelled("Completion has", textHas));
    return fields;
  }

  pictureSizes() {
    const caption = 3.9 * REM;
    return {
      width: (room) => Math.min(10 * REM, (room - 16) / 2),
      height: (width) => Math.round(width * this.summary.aspect + caption),
    };
  }

  textSizes() {
    return { width: () => 20 * REM, height: () => 15 * REM };
  }

  async update(isOther) {
    const iteration = Number(this.controls.iteration.value);
    const set = await sampleSet(iteration);
    const base = this.summary.hasBase && iteration !== 0 ? await sampleSet(0) : null;
    if (iteration !== Number(this.controls.iteration.value)) return;
    this.set = set;
    if (isOther) this.offerPrompts();
    this.numbers = ordered(set, this.wanted());
    const all = counted(set.count, this.summary.counted);
    this.found.textContent = `${number(this.numbers.length, 0)} of ${all}`;
    this.wall.show(this.numbers.length);
    this.drawHistogram(set, base);
  }

  wanted() {
    const { order, column, prompt, promptHas, textHas } = this.controls;
    return {
      order: order.value,
      column: Number(column.value),
      prompt: prompt.value === "" ? null : this.set.prompts[Number(prompt.value)][0],
      promptHas: promptHas.value,
      textHas: textHas.value,
    };
  }

  /* The prompts of this iteration to choose from; many are found by what they say alone. */
  offerPrompts() {
    const { prompts } = this.set;
    const chosen = this.controls.prompt.value;
    const options = prompts.map(([text], index) => [index, shorten(text, 80) || "(empty prompt)"]);
    this.promptField.hidden = prompts.length > MOST_PROMPTS;
    const offered = this.promptField.hidden ? [] : options;
    this.controls.prompt.replaceChildren(...choice([["", "all"], ...offered]).children);
    this.controls.prompt.value = Number(chosen) < offered.length ? chosen : "";
  }

  drawHistogram(set, base) {
    const column = Number(this.controls.column.value);
    const measure = this.summary.measures[column];
    if (!measure) return;
    const heading = this.summary.heading(set.iteration);
    const values = base === null ? null : base.values[column];
    this.histogram.replaceChildren(histogram(measure, heading, set.values[column], values));
  }

  card(at) {
    const column = Number(this.controls.column.value);
    const measure = this.summary.measures[column];
    const prompt = this.set.promptOf(at);
    const value = measure ? number(this.set.values[column][at], measure.decimals) : "";
    return [
      miniature(this.summary, this.set, at, ""),
      element("span", { class: `value ${measure?.section}` }, value),
      promptText(shorten(prompt, MOST_SHOWN), "caption"),
    ];
  }

  open(index) {
    const { iteration } = this.set;
    const list = { count: this.numbers.length, at: (at) => [iteration, this.numbers[at]] };
    this.lightbox.open(list, index, (last) => this.wall.focus(last));
  }
}

/* The page has been read: its parts take their places. */

document.addEventListener("DOMContentLoaded", async () => {
  document.querySelector("body > header").append(themeSwitch());
  const place = document.getElementById("rows");
  try {
    const summary = new Summary(await load("summary"));
    document.body.classList.toggle("pixels", summary.isSmall);
    if (!summary.iterations.length) return;
    const lightbox = new Lightbox(summary);
    new Rows(summary, lightbox, place);
    new Explorer(summary, lightbox, document.getElementById("explorer"));
  } catch (error) {
    place.before(element("p", { class: "muted", role: "alert" }, error.message));
  }
});

})();
